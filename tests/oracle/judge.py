"""The judge: compares what a program noted and accounted for with what came out."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NoReturn

from .ids import derive

OWN: Final = frozenset({"events were lost"})
"""The messages of events that fapilog makes itself."""

_SHOWN: Final = 5
"""How many ids a problem names."""


class Promise(Enum):
    """What a program promises for the way it ended."""

    ACCOUNT = "every accepted event is in the output or in the ledger as lost"
    DELIVERED = "every accepted event is in the output; there may be no ledger"
    TAIL = "of each producer the last events may be missing, and the output's last line may be torn; there is no ledger"


class Kind(Enum):
    """What can be wrong."""

    MISSING = "missing"
    SPURIOUS = "spurious"
    CORRUPTED = "corrupted"
    DUPLICATED = "duplicated"
    DISORDERED = "out of order"
    TORN = "torn"
    LEDGER = "ledger"
    NOT_STRUCK = "the fault did not strike"
    EXIT = "return code"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.what}"


@dataclass
class Verdict:
    """What the judge found."""

    accepted: int
    refused: int
    unknown: int
    seen: dict[str, int] = field(default_factory=dict)
    """How many of the run's events came out, by sink."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def kinds(self) -> set[Kind]:
        """What kinds of problems there are."""
        return {problem.kind for problem in self.problems}

    def add(self, kind: Kind, what: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(kind, what))

    def add_ids(self, kind: Kind, where: str, ids: Sequence[str]) -> None:
        """Add a problem with some events, if there are any."""
        if ids:
            more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
            self.add(kind, f"{where}: {', '.join(ids[:_SHOWN])}{more}")


class Journal:
    """What a program noted."""

    def __init__(self, path: Path) -> None:
        self.outcomes: dict[str, dict[int, str]] = {}
        self.ordered: dict[str, bool] = {}
        self.struck: Counter[str] = Counter()
        text = path.read_text() if path.exists() else ""
        for line in text.split("\n")[:-1]:  # what follows the last newline is nothing, or cut by the program's end
            word, name, *rest = line.split(" ")
            if word == "producer":
                self.ordered[name] = rest == ["ordered"]
                self.outcomes.setdefault(name, {})
            elif word == "struck":
                self.struck[name] += 1
            elif word in ("accepted", "refused", "unknown"):
                self.outcomes[name][int(rest[0])] = word

    @cached_property
    def totals(self) -> Counter[str]:
        """How many events were accepted and refused, and of how many that is not known."""
        return Counter(outcome for outcomes in self.outcomes.values() for outcome in outcomes.values())

    def outcome(self, producer: str, number: int) -> str:
        """Return what became of one event: ``in call`` if the program's end may have come before its note."""
        outcomes = self.outcomes.get(producer, {})
        if number in outcomes:
            return outcomes[number]
        if producer not in self.ordered:
            return "never issued"
        # One that is interrupted by itself can have any number of calls under way.
        return "in call" if number == len(outcomes) or not self.ordered[producer] else "never issued"


@dataclass
class Output:
    """What one sink wrote, read back."""

    events: dict[str, dict[int, int]] = field(default_factory=dict)
    """By producer and number, how often; in the order in which they came out."""
    order: dict[str, list[int]] = field(default_factory=dict)
    own: int = 0
    """How many events fapilog made itself."""

    @property
    def distinct(self) -> int:
        """How many of the run's events are there."""
        return sum(len(numbers) for numbers in self.events.values())

    def __contains__(self, event: tuple[str, int]) -> bool:
        return event[1] in self.events.get(event[0], {})


def judge(
    directory: Path,
    outputs: Mapping[str, Iterable[Path]],
    *,
    promise: Promise = Promise.ACCOUNT,
    struck: Mapping[str, int] | None = None,
    ended: int | None = None,
    returncode: int | None = None,
    interrupts: int = 0,
) -> Verdict:
    """Judge a run after its program has ended.

    Parameters:
        directory: the run's directory.
        outputs: by sink, the files with what it wrote, the oldest first; one JSON object a line.
        promise: what is promised for the way in which the program ended.
        struck: how often at least the program must have noted each fault that was to strike.
        ended: the return code with which the program ended; negative for a signal.
        returncode: the return code with which it was to end.
        interrupts: how often an exception may have struck the program between a call and its note.
    """
    journal = Journal(directory / "journal")
    totals = journal.totals
    verdict = Verdict(totals["accepted"], totals["refused"], totals["unknown"])
    run = (directory / "run").read_text()
    ledgers = [json.loads(path.read_text()) for path in sorted(directory.glob("ledger-*.json"))]
    for fault, times in (struck or {}).items():
        if journal.struck[fault] < times:
            verdict.add(Kind.NOT_STRUCK, f"{fault}: {journal.struck[fault]} times instead of {times}")
    if ended != returncode:
        verdict.add(Kind.EXIT, f"{ended} instead of {returncode}")
    if promise is Promise.ACCOUNT:
        _judge_ledgers(ledgers, journal, interrupts, verdict)
    for sink, paths in outputs.items():
        output = _read(sink, paths, run, journal, promise, verdict)
        verdict.seen[sink] = output.distinct
        _judge_order(sink, output, journal, verdict)
        if promise is Promise.ACCOUNT:
            _judge_account(sink, output, ledgers, journal, verdict)
        else:
            _judge_missing(sink, output, journal, promise, verdict)
            _judge_duplicates(sink, output, 0, verdict)
    return verdict


def _read(sink: str, paths: Iterable[Path], run: str, journal: Journal, promise: Promise, verdict: Verdict) -> Output:
    output = Output()
    paths = list(paths)
    for path in paths:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        *lines, rest = content.split(b"\n")
        if rest and not (promise is Promise.TAIL and path == paths[-1]):
            verdict.add(Kind.TORN, f"{sink}: {path.name} ends in {rest[-80:]!r}")
        for line in lines:
            _read_line(sink, line, run, journal, output, verdict)
    return output


def _read_line(sink: str, line: bytes, run: str, journal: Journal, output: Output, verdict: Verdict) -> None:
    try:
        event: dict[str, Any] = json.loads(line, parse_constant=_refuse)
        fields = event.get("fields", {})
        if event.get("logger") == "fapilog" and event["message"] in OWN:
            output.own += 1
            return
        identity: str = fields["id"]
        its_run, producer, digits = identity.split("/")
        number = int(digits)
    except (ValueError, KeyError, TypeError, AttributeError):
        verdict.add(Kind.CORRUPTED, f"{sink}: no event in {line[:200]!r}")
        return
    if its_run != run or (outcome := journal.outcome(producer, number)) in ("refused", "never issued"):
        verdict.add(Kind.SPURIOUS, f"{sink}: {identity} ({'of another run' if its_run != run else outcome})")
        return
    payload = derive(identity)
    if (event["level"].lower(), event["message"], fields) != (payload.level, payload.message, payload.fields):
        verdict.add(Kind.CORRUPTED, f"{sink}: {identity} came out as {line[:300]!r}")
    numbers = output.events.setdefault(producer, {})
    numbers[number] = numbers.get(number, 0) + 1
    output.order.setdefault(producer, []).append(number)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _judge_order(sink: str, output: Output, journal: Journal, verdict: Verdict) -> None:
    for producer, numbers in output.events.items():
        if journal.ordered[producer]:
            # The first time that each came out; a second time is another problem.
            first = list(numbers)
            wrong = [f"{producer}/{after} after {before}" for before, after in pairwise(first) if after < before]
            verdict.add_ids(Kind.DISORDERED, sink, wrong)


def _judge_missing(sink: str, output: Output, journal: Journal, promise: Promise, verdict: Verdict) -> None:
    missing = _missing(output, journal)
    if promise is Promise.TAIL:
        # What came before something that did come out cannot have been in memory any more.
        last = {producer: max(numbers) for producer, numbers in output.events.items()}
        missing = [(name, number) for name, number in missing if journal.ordered[name] and number < last.get(name, -1)]
    verdict.add_ids(Kind.MISSING, sink, [f"{name}/{number}" for name, number in missing])


def _missing(output: Output, journal: Journal) -> list[tuple[str, int]]:
    return [
        (producer, number)
        for producer, outcomes in journal.outcomes.items()
        for number, outcome in outcomes.items()
        if outcome == "accepted" and (producer, number) not in output
    ]


def _judge_duplicates(sink: str, output: Output, allowed: int, verdict: Verdict) -> None:
    several = [
        f"{producer}/{number} {times} times"
        for producer, numbers in output.events.items()
        for number, times in numbers.items()
        if times > 1
    ]
    if sum(len(order) for order in output.order.values()) - output.distinct > allowed:
        verdict.add_ids(Kind.DUPLICATED, sink, several)


# -- the ledger

_CONTAINER: Final = ("rejected", "dropped", "filtered", "merged", "unrouted", "abandoned")
"""The places in which a container's event can be that were not handed to the sinks."""
_SINK: Final = ("dropped", "failed", "fallback_out", "abandoned", "deferred")
"""The places in which a sink's event can be that it did not deliver."""


def _total(account: Mapping[str, Any], names: Iterable[str]) -> int:
    values = [account[name] for name in names]
    return sum(sum(value.values()) if isinstance(value, dict) else value for value in values)


def _judge_ledgers(ledgers: Sequence[Mapping[str, Any]], journal: Journal, interrupts: int, verdict: Verdict) -> None:
    if not ledgers:
        verdict.add(Kind.LEDGER, "there is none")
    for ledger in ledgers:
        before = ledger["submitted"] + ledger["created"]
        after = _total(ledger, _CONTAINER) + ledger["dispatched"] + ledger["in_flight"]
        if before != after:
            verdict.add(Kind.LEDGER, f"container: {before} came in, {after} are accounted for")
        if ledger["in_flight"]:
            verdict.add(Kind.LEDGER, f"container: {ledger['in_flight']} are in flight")
        for name, sink in ledger["sinks"].items():
            before = sink["routed"] + sink["fallback_in"]
            after = _total(sink, _SINK) + sink["delivered"] + sink["in_flight"]
            if before != after:
                verdict.add(Kind.LEDGER, f"sink {name}: {before} came in, {after} are accounted for")
            if sink["in_flight"]:
                verdict.add(Kind.LEDGER, f"sink {name}: {sink['in_flight']} are in flight")
    submitted, calls = sum(ledger["submitted"] for ledger in ledgers), journal.totals.total()
    # A producer that goes on can have one call in the ledger and not yet in the journal, and any number of later ones.
    running = any(ledger["calls_go_on"] for ledger in ledgers)
    unnoted = interrupts + running * len(journal.ordered)
    # An interrupt can strike before the event is counted, too; the call has then raised it.
    uncounted = min(interrupts, journal.totals["unknown"])
    if submitted > calls + unnoted or (submitted < calls - uncounted and not running):
        verdict.add(Kind.LEDGER, f"{submitted} submitted in {calls} calls")


def _judge_account(
    sink: str, output: Output, ledgers: Sequence[Mapping[str, Any]], journal: Journal, verdict: Verdict
) -> None:
    accounts = [ledger["sinks"][sink] for ledger in ledgers if sink in ledger["sinks"]]
    delivered = sum(account["delivered"] for account in accounts)
    # A write that was cut off may have landed.
    unsure = sum(account["outcome_unknown"] for account in accounts)
    landed = output.distinct + output.own
    if not delivered <= landed <= delivered + unsure:
        sure = f"{delivered} to {delivered + unsure}" if unsure else f"{delivered}"
        verdict.add(Kind.LEDGER, f"sink {sink}: {sure} delivered, {landed} came out")
    _judge_duplicates(sink, output, sum(account["duplicates"] for account in accounts) + unsure, verdict)
    missing = _missing(output, journal)
    refused = journal.totals["refused"]
    lost = sum(_total(ledger, _CONTAINER) for ledger in ledgers) - refused
    lost += sum(_total(account, _SINK) for account in accounts)
    if len(missing) > lost:
        ids = [f"{name}/{number}" for name, number in missing]
        verdict.add_ids(Kind.MISSING, f"{sink}, where {lost} are counted as lost", ids)
