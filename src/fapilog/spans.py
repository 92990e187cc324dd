"""Span: a block of work told by one event at its end."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .context import INSIDE_PLUGIN, extended
from .event import Level
from .values import FrozenDict, freeze_mapping

if TYPE_CHECKING:
    from contextvars import Token

    from .event import Ambient
    from .logger import NowaitLogger


class Span:
    """Logs one event when its block ends, with start, duration and outcome.

    Events inside carry ``trace_id`` and ``span_id`` in their context (sizes as in W3C Trace Context), and
    a span inside has this one as its parent. The outcome is ``ok``, ``error`` (the event is at ERROR and
    has the exception) or ``cancelled``. Leaving it never waits, also in a cancelled scope.
    """

    __slots__ = ("_began", "_fields", "_logger", "_name", "_parent_id", "_started_ns", "_token", "span_id", "trace_id")

    def __init__(self, logger: NowaitLogger, name: str, fields: dict[str, Any]) -> None:
        self._logger = logger
        self._name = name
        self._fields = fields
        self._parent_id = ""
        self._token: Token[Ambient] | None = None
        self._started_ns = 0
        self._began = 0
        self.trace_id: str = ""
        """The trace's id, 32 hexadecimal digits; known once the block is entered."""
        self.span_id: str = os.urandom(8).hex()
        """The span's id, 16 hexadecimal digits."""

    def set(self, **fields: Any) -> None:
        """Add *fields* to the event that the end of the block logs."""
        self._fields.update(freeze_mapping(fields))

    def __enter__(self) -> Self:
        variable = self._logger._core.ambient
        ambient = variable.get()
        self.trace_id = ambient.values.get("trace_id") or os.urandom(16).hex()
        self._parent_id = ambient.values.get("span_id", "")
        if ambient is not INSIDE_PLUGIN:
            self._token = variable.set(extended(ambient, {"trace_id": self.trace_id, "span_id": self.span_id}))
        self._started_ns = time_ns()
        self._began = perf_counter_ns()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        duration = (perf_counter_ns() - self._began) / 1e9
        logger = self._logger
        outcome = "ok"
        if exception is not None:
            outcome = "cancelled" if self._is_cancellation(exception) else "error"
        told = {
            "start": datetime.fromtimestamp(self._started_ns / 1e9, UTC),
            "duration": duration,
            "outcome": outcome,
        }
        if self._parent_id:
            told["parent_id"] = self._parent_id
        with logger.context(span=FrozenDict(told)):
            logger.log(
                Level.ERROR if outcome == "error" else Level.INFO,
                self._name,
                exc_info=exception if outcome == "error" else None,
                **self._fields,
            )
        if self._token is not None:
            try:
                logger._core.ambient.reset(self._token)
            except ValueError:
                # Left in another context than entered, as generators do; that context keeps its own value.
                pass

    def _is_cancellation(self, exception: BaseException) -> bool:
        cancelled_class = getattr(self._logger._intake, "backend", None)
        if cancelled_class is None:
            return False
        cancelled: type[BaseException] = cancelled_class.cancelled_class
        group: Any = exception
        if isinstance(exception, BaseExceptionGroup):
            return group.split(cancelled)[1] is None
        return isinstance(exception, cancelled)
