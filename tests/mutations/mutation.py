"""What a mutation is: a text that is taken out of the source, and the quick tests one of which has to notice.

A mutation replaces a text that occurs in its file exactly once. Where the text occurs more often, more of its
surroundings stand in both.
"""

from __future__ import annotations

from typing import NamedTuple

LEDGER = "tests/mutations/quick_ledger.py"
LEAVING = "tests/test_leaving.py"
DELIVERY = "tests/test_delivery.py"
OVERFLOW = "tests/test_overflow.py"
STAGES = "tests/test_stages.py"
THREADS = "tests/test_threads.py"
ROUTING = "tests/test_routing.py"
SINK_REDACTORS = "tests/test_sink_redactors.py"
RELOAD = "tests/test_reload.py"
SCOPES = "tests/test_scopes.py"
FILTERS = "tests/test_filters.py"
PUMPS = "tests/test_pump_strings.py"
REDACTOR = "tests/test_redactor.py"
ASGI_ATTACKS = "tests/test_asgi_attacks.py"
ASGI_TOLD = "tests/test_asgi_told.py"
INTERRUPTS = "tests/test_interrupts.py"
CONFIRMED = "tests/test_confirmed.py"
INTERRUPTED = "tests/test_confirmed_interrupted.py"
ACCELERATOR_CALLS = "tests/test_accelerator_calls.py"
AT_CALL = "tests/test_at_call.py"
BLOCKING = "tests/test_blocking_container.py"
CANARIES = "tests/test_redaction_canaries.py"
CONTAINERS = "tests/test_containers.py"
DIAGNOSTICS = "tests/test_diagnostics.py"
FAULT_LIMITS = "tests/test_fault_limits.py"
FILTER_PIPELINE = "tests/test_filters_in_the_pipeline.py"
HOSTILE = "tests/test_hostile_code.py"
LINGER = "tests/test_linger.py"
METRICS = "tests/test_metrics.py"
ORDER = "tests/test_order.py"
REDACTION_SCREEN = "tests/test_redaction_screen.py"
SPANS = "tests/test_spans.py"
STATIC_ENRICHMENT = "tests/test_static_enrichment.py"
THREAD_FAULTS = "tests/test_thread_faults.py"
TURNS = "tests/test_turns.py"
WRITER_THREAD = "tests/test_writer_thread.py"


class Mutation(NamedTuple):
    """One change that has to be noticed."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    excuse: str = ""
    """Why no test can notice it, if none can."""

    def apply(self, source: str) -> str:
        """Return the *source* of the file with the mutation.

        Raises:
            ValueError: if what it takes out is not there exactly once.
        """
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"{self.what!r}: what it takes out is {found} times in {self.file}, and has to be once")
        return source.replace(self.old, self.new)


def without(what: str, file: str, old: str, *tests: str, new: str = "pass") -> Mutation:
    return Mutation(what, f"pipeline/{file}.py", old, new, tests or (LEDGER,))


def outside(what: str, file: str, old: str, *tests: str, new: str = "pass", excuse: str = "") -> Mutation:
    return Mutation(what, f"{file}.py", old, new, tests, excuse)
