"""What the filters that remove some of many events have in common: which events they look at, and their checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from ..checks import CHECK, Problems, check_or_raise, flag, text
from ..event import Level, LogEvent
from ..plugins.expressions import LONGEST, ExpressionError, compiled

_NO_LEVEL = 1000
"""More than any level."""


def condition(problems: Problems, path: str, value: Any) -> Any:
    """Check for an expression on events; the empty text is none, and stands for every event."""
    plain = text(LONGEST)(problems, path, value)
    if type(plain) is str and plain:
        try:
            compiled(plain)
        except ExpressionError as error:
            problems.say(path, "an expression", "a condition on events, such as 'level >= warning'", str(error))
    return plain


@attrs.frozen(kw_only=True)
class SelectiveConfig:
    """Which events a filter looks at; the others are kept."""

    when: str = attrs.field(default="", metadata={CHECK: condition})
    """An expression that tells which events the filter looks at, see :mod:`fapilog.plugins.expressions`; empty for
    all."""
    keep_errors: bool = attrs.field(default=False, metadata={CHECK: flag})
    """Whether events at ERROR and above are always kept."""

    def __attrs_post_init__(self) -> None:
        check_or_raise(self)

    @property
    def condition(self) -> Callable[[LogEvent], bool] | None:
        """The expression as a function, or None if there is none."""
        return compiled(self.when) if self.when else None

    @property
    def kept_level(self) -> int:
        """The level number from which on events are always kept."""
        return Level.ERROR.value if self.keep_errors else _NO_LEVEL
