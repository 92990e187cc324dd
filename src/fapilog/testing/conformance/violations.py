"""What the kit checks: for each check why it matters and what to do, and the violations that were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs


@attrs.frozen
class Violation:
    """One thing that a plugin does wrong."""

    check: str
    """Which check found it, one of ``CHECKS``."""
    what: str
    """What the plugin did."""
    backends: tuple[str, ...] = ()
    """Where it was seen; empty if it has nothing to do with an event loop."""

    @property
    def why(self) -> str:
        """Why it matters."""
        return CHECKS[self.check][0]

    @property
    def fix(self) -> str:
        """What to do about it."""
        return CHECKS[self.check][1]

    def __str__(self) -> str:
        where = f" ({', '.join(self.backends)})" if self.backends else ""
        return f"{self.check}{where}: {self.what}\n    why: {self.why}\n    fix: {self.fix}"


class ConformanceError(AssertionError):
    """Raised when a plugin does not conform; holds every violation."""

    def __init__(self, plugin: str, violations: Sequence[Violation]) -> None:
        self.plugin = plugin
        self.violations: tuple[Violation, ...] = tuple(violations)
        count = len(violations)
        lines = [f"{plugin} has {count} violation{'s' if count != 1 else ''}:"]
        lines += [f"  {violation}" for violation in violations]
        super().__init__("\n".join(lines))


CHECKS: Final[Mapping[str, tuple[str, str]]] = {
    "shape": (
        "a container refuses the plugin when it is made",
        "give the plugin the method of its kind, with its parameters: see the protocols in fapilog.plugins",
    ),
    "metadata": (
        "settings, reports and messages know the plugin by its metadata",
        (
            "set metadata: ClassVar[PluginMetadata] with a name of ASCII letters, digits, '_' and '-', the plugin's "
            "version and its kind"
        ),
    ),
    "config": (
        "a plugin that settings name is made from its Config, whose schema and text are shown",
        "make Config an attrs class with typed attributes; give secrets attrs.field(repr=False)",
    ),
    "instances": (
        "two containers share nothing, and neither do two sinks of one plugin",
        "keep state in the instance, made in __init__, and let the factory make a new instance each time",
    ),
    "start": (
        "a sink that does not start fails the start of the whole container",
        "raise only if the sink cannot work at all, and let the check's factory make one that can",
    ),
    "write": (
        "what is raised for a batch that could be written is retried or lost",
        (
            "write whatever events there are; raise a SinkError only for a failure of the target, and let the check's "
            "factory make a sink whose target works"
        ),
    ),
    "flush": (
        "somebody waits until what was written is out",
        "let flush take no arguments, return None, and do nothing when there is nothing to do",
    ),
    "aclose": (
        "a sink is closed at the end, also after a failure, and perhaps more than once",
        "let aclose give everything back once, do nothing the next time, and need no write before it",
    ),
    "returns": (
        "an answer that means nothing is taken for a failure, and the events are lost or go unchanged",
        (
            "return None from write and redact, a bool from keep, a mapping or None from enrich, and a list of events "
            "from process"
        ),
    ),
    "errors": (
        "SystemExit and the like are for the program, and positions that do not exist cannot be retried",
        "raise exceptions that derive from Exception; in a PartialWriteError name positions of the batch",
    ),
    "odd values": (
        "events carry whatever a program logs, and an event at which the plugin fails goes without its work",
        "handle any text, number, None, tuple and mapping as a value, and events without fields",
    ),
    "read-only": (
        "other sinks and plugins see the same events, at the same time or later",
        "copy what you change; only enrichers, processors and redactors change events, and only those given to them",
    ),
    "loop": (
        "while a plugin runs on the event loop's thread, the whole program stands still",
        "await instead of blocking, or make a sink synchronous so that it gets a thread of its own",
    ),
    "timeout": (
        "every call has a deadline, after which its events have failed",
        "return sooner, or say in plugin_config how long a call may take",
    ),
    "cancellation": (
        "a container that is left cancels what takes too long, and abandons what does not heed it",
        "let the cancellation pass: 'finally' rather than 'except BaseException', and no shield without a deadline",
    ),
    "leaks": (
        "nothing outlives a container: what is left adds up, and keeps the program from ending",
        "end in aclose every task and thread that was started, and close every file and socket",
    ),
    "ledger": (
        "the account says where every event went, and a plugin may not make it wrong",
        "look at the report that is shown for what happened to the events",
    ),
    "hidden": (
        "what a redactor should have removed gets out",
        (
            "look wherever a secret can be (message, fields, context, tags, exception), also beside odd values, and "
            "raise when in doubt: the event's content is withheld then"
        ),
    ),
}
"""Every check, with why it matters and what to do about a violation."""
