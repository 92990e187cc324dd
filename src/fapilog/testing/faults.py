"""Fault: one thing that a faulty sink does with one write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import attrs

from ..errors import PartialWriteError, PermanentSinkError, ThrottledSinkError, TransientSinkError
from ..plugins import Batch
from ..shown import did_you_mean, show

Kind: TypeAlias = Literal[
    "ok", "transient", "permanent", "throttled", "error", "exit", "lost_answer", "delay", "hang", "partial", "corrupt"
]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""The kinds of fault."""

WAITING: Final[frozenset[Kind]] = frozenset({"delay", "hang"})
"""The kinds that only an asynchronous sink can do without holding the event loop."""


@attrs.frozen
class Fault:
    """One thing that a faulty sink does with one write.

    Make one with the methods named after its kind. A kind's name alone stands for its usual form.
    """

    kind: Kind
    seconds: float | None = None
    """How long a delay takes, or how long a throttled sink asks to wait; None to choose by the seed."""
    error: BaseException | None = None
    """What is raised; None for the kind's own error."""
    failed: Mapping[int, BaseException] | None = None
    """The positions that a partial write does not deliver, with the reasons; None to choose by the seed."""
    value: Any = None
    """What a corrupt answer returns."""
    step: Callable[[Batch], Any] | None = attrs.field(default=None, repr=False)
    """A function that is called instead; what it returns is awaited, if it can be, and returned."""

    @classmethod
    def ok(cls) -> Fault:
        """Return no fault: the write succeeds."""
        return cls("ok")

    @classmethod
    def transient(cls, message: str = "not now") -> Fault:
        """Return a failure that may be tried again."""
        return cls("transient", error=TransientSinkError(message))

    @classmethod
    def permanent(cls, message: str = "never") -> Fault:
        """Return a failure that may not be tried again."""
        return cls("permanent", error=PermanentSinkError(message))

    @classmethod
    def throttled(cls, seconds: float | None = None) -> Fault:
        """Return a failure that asks to wait for *seconds*."""
        return cls("throttled", seconds=seconds)

    @classmethod
    def raising(cls, error: BaseException | None = None) -> Fault:
        """Return a failure that raises *error*, by default an :class:`OSError`, and delivers nothing."""
        return cls("error", error=OSError("the connection was reset") if error is None else error)

    @classmethod
    def exit(cls) -> Fault:
        """Return a failure that raises :class:`SystemExit`."""
        return cls("exit", error=SystemExit(3))

    @classmethod
    def lost_answer(cls, error: BaseException | None = None) -> Fault:
        """Return a failure after all events have landed, so that trying again writes them twice."""
        return cls("lost_answer", error=OSError("the answer was lost") if error is None else error)

    @classmethod
    def delay(cls, seconds: float | None = None) -> Fault:
        """Return a write that succeeds after *seconds*."""
        return cls("delay", seconds=seconds)

    @classmethod
    def hang(cls) -> Fault:
        """Return a write that does not end until it is cancelled."""
        return cls("hang")

    @classmethod
    def partial(cls, failed: Mapping[int, BaseException] | None = None) -> Fault:
        """Return a write that delivers all events but those at the positions in *failed*."""
        return cls("partial", failed=failed)

    @classmethod
    def corrupt(cls, value: Any = b"\x00garbage") -> Fault:
        """Return an answer that is *value*, which means nothing; nothing lands."""
        return cls("corrupt", value=value)

    @classmethod
    def of(cls, entry: Any) -> Fault:
        """Return the fault that an entry of a script stands for.

        Parameters:
            entry: a fault; a kind's name; an error to raise; None or True for a write that succeeds; a function of the
                batch; any other value is what the write returns.

        Raises:
            ValueError: if it is a text and no kind's name.
        """
        if isinstance(entry, Fault):
            return entry
        if isinstance(entry, str):
            return _USUAL[_known(entry)]()
        if isinstance(entry, PartialWriteError):
            return cls("partial", error=entry, failed=entry.failed)
        if isinstance(entry, BaseException):
            return cls("error", error=entry)
        if entry is None or entry is True:
            return cls("ok", value=entry)
        if callable(entry):
            return cls("ok", step=entry)
        return cls.corrupt(entry)

    def settled(self, random: Random, number: int, longest: float) -> Fault:
        """Return the fault with what was left open chosen by *random*, for a write of *number* events.

        Parameters:
            longest: the most seconds of a delay or a wait that is asked for.
        """
        if self.seconds is None and self.kind in ("delay", "throttled"):
            return attrs.evolve(self, seconds=round(random.uniform(0, longest), 3))
        if self.failed is None and self.kind == "partial":
            positions = sorted(random.sample(range(number), random.randint(1, number))) if number else []
            reasons = {position: TransientSinkError("not delivered") for position in positions}
            return attrs.evolve(self, failed=cast("Mapping[int, BaseException]", reasons))
        return self

    def exception(self) -> BaseException:
        """Return what a fault that fails raises."""
        if self.kind == "throttled":
            return ThrottledSinkError("not so fast", retry_after=self.seconds or 0.0)
        if self.kind == "partial" and self.error is None:
            return PartialWriteError(self.failed or {})
        assert self.error is not None
        return self.error


def checked_chances(chances: Mapping[str, float]) -> dict[Kind, float]:
    """Return *chances*, by kind.

    Raises:
        ValueError: if a kind is unknown, a chance is not from 0 to 1, or they add up to more than 1.
    """
    for name, chance in chances.items():
        if not 0 <= chance <= 1:
            raise ValueError(f"the chance of {name!r} is {show(chance)}; give a number from 0 to 1")
    total = sum(chances.values())
    if total > 1 + 1e-9:
        raise ValueError(f"the chances add up to {total:g}; a write has one fault, so give 1 together at most")
    return {_known(name): chance for name, chance in chances.items()}


def _known(name: str) -> Kind:
    if name not in KINDS:
        hint = did_you_mean(name, KINDS) or f"there are {', '.join(KINDS)}"
        raise ValueError(f"no kind of fault is called {show(name)}; {hint}")
    return name


_USUAL: Final[Mapping[Kind, Callable[[], Fault]]] = {
    "ok": Fault.ok,
    "transient": Fault.transient,
    "permanent": Fault.permanent,
    "throttled": Fault.throttled,
    "error": Fault.raising,
    "exit": Fault.exit,
    "lost_answer": Fault.lost_answer,
    "delay": Fault.delay,
    "hang": Fault.hang,
    "partial": Fault.partial,
    "corrupt": Fault.corrupt,
}
