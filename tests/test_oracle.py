"""The oracle finds every kind of wrong output, and nothing in right output; each is made here on purpose."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fapilog import QueueFull
from oracle.client import Client
from oracle.ids import derive, identify
from oracle.judge import Kind, Promise, Verdict, judge
from support import TESTS

RUN = "0badcafe"


class Writer:
    """Takes the place of a logger and of its container: an account, and lines that a test can spoil."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.refuses = False
        self.lines: list[bytes] = []
        self.sink = {
            "routed": 0, "fallback_in": 0, "delivered": 0, "dropped": {}, "failed": {}, "fallback_out": 0,
            "abandoned": {}, "deferred": 0, "in_flight": 0, "retries": 0, "duplicates": 0, "outcome_unknown": 0,
        }  # fmt: skip
        self.ledger = {
            "submitted": 0, "created": 0, "rejected": {}, "dropped": {}, "filtered": {}, "merged": 0, "unrouted": 0,
            "dispatched": 0, "abandoned": {}, "in_flight": 0, "calls_go_on": False, "sinks": {"file": self.sink},
        }  # fmt: skip

    def info(self, message: str, **fields: Any) -> bool:
        return self._log("INFO", message, fields)

    def warning(self, message: str, **fields: Any) -> bool:
        return self._log("WARNING", message, fields)

    def error(self, message: str, **fields: Any) -> bool:
        return self._log("ERROR", message, fields)

    def _log(self, level: str, message: str, fields: dict[str, Any]) -> bool:
        self.ledger["submitted"] += 1
        if self.refuses:
            self.ledger["rejected"] = {"closed": self.ledger["rejected"].get("closed", 0) + 1}
            return False
        self.ledger["dispatched"] += 1
        self.sink["routed"] += 1
        self.sink["delivered"] += 1
        self.lines.append(json.dumps({"level": level, "message": message, "fields": fields}).encode() + b"\n")
        return True

    def leave(self) -> None:
        """Write what is there now."""
        (self.directory / "out").write_bytes(b"".join(self.lines))
        (self.directory / "ledger-1.json").write_text(json.dumps(self.ledger))


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    (tmp_path / "run").write_text(RUN)
    return Writer(tmp_path)


@pytest.fixture
def client(writer: Writer) -> Client:
    return Client(writer.directory)


def verdict_on(writer: Writer, promise: Promise = Promise.ACCOUNT, **given: Any) -> Verdict:
    writer.leave()
    return judge(writer.directory, {"file": [writer.directory / "out"]}, promise=promise, **given)


def log(client: Client, writer: Writer, number: int = 10, name: str = "main") -> None:
    producer = client.producer(name)
    for _ in range(number):
        producer.call(writer)


def test_right_output_has_no_problem(writer: Writer, client: Client) -> None:
    log(client, writer, 10, "one")
    writer.refuses = True
    log(client, writer, 5, "two")
    for promise in Promise:
        verdict = verdict_on(writer, promise)
        assert verdict.problems == []
        assert (verdict.accepted, verdict.refused, verdict.seen) == (10, 5, {"file": 10})


def test_the_payload_follows_from_the_id() -> None:
    identity = identify(RUN, "main", 3)
    assert derive(identity) == derive(identity)
    assert derive(identity).fields["id"] == identity
    payloads = [derive(identify(RUN, "main", number)) for number in range(100)]
    assert len({payload.fields["digest"] for payload in payloads}) == 100
    assert {payload.level for payload in payloads} == {"info", "warning", "error"}


def lose_a_line(writer: Writer) -> None:
    del writer.lines[4]


def repeat_a_line(writer: Writer) -> None:
    writer.lines.append(writer.lines[4])


def exchange_two_lines(writer: Writer) -> None:
    writer.lines[3], writer.lines[4] = writer.lines[4], writer.lines[3]


def flip_a_bit(writer: Writer) -> None:
    digest = derive(identify(RUN, "main", 4)).fields["digest"].encode()
    writer.lines[4] = writer.lines[4].replace(digest, digest[::-1])


def change_a_level(writer: Writer) -> None:
    writer.lines[4] = writer.lines[4].replace(b'"level": "', b'"level": "X')


def lose_a_field(writer: Writer) -> None:
    event = json.loads(writer.lines[4])
    del event["fields"]["nested"]
    writer.lines[4] = json.dumps(event).encode() + b"\n"


def mix_two_lines(writer: Writer) -> None:
    writer.lines[4] = writer.lines[4][:30] + writer.lines[5]


def write_what_is_no_json(writer: Writer) -> None:
    writer.lines[4] = writer.lines[4].replace(b'"number": ', b'"number": NaN, "was": ')


def cut_the_last_line(writer: Writer) -> None:
    writer.lines[-1] = writer.lines[-1][:-10]


def write_another_runs_event(writer: Writer) -> None:
    writer.lines[4] = writer.lines[4].replace(RUN.encode(), b"deadbeef")


def write_an_event_that_was_never_issued(writer: Writer) -> None:
    payload = derive(identify(RUN, "main", 99))
    event = {"level": payload.level.upper(), "message": payload.message, "fields": payload.fields}
    writer.lines.append(json.dumps(event).encode() + b"\n")


def write_an_unknown_producers_event(writer: Writer) -> None:
    writer.lines[4] = writer.lines[4].replace(b"/main/", b"/nobody/")


@pytest.mark.parametrize("promise", Promise)
@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lose_a_line, Kind.MISSING),
        (repeat_a_line, Kind.DUPLICATED),
        (exchange_two_lines, Kind.DISORDERED),
        (flip_a_bit, Kind.CORRUPTED),
        (change_a_level, Kind.CORRUPTED),
        (lose_a_field, Kind.CORRUPTED),
        (mix_two_lines, Kind.CORRUPTED),
        (write_what_is_no_json, Kind.CORRUPTED),
        (write_another_runs_event, Kind.SPURIOUS),
        (write_an_event_that_was_never_issued, Kind.SPURIOUS),
        (write_an_unknown_producers_event, Kind.SPURIOUS),
    ],
)
def test_wrong_output_is_found(
    writer: Writer, client: Client, spoil: Callable[[Writer], None], kind: Kind, promise: Promise
) -> None:
    log(client, writer)
    spoil(writer)
    assert kind in verdict_on(writer, promise).kinds


def test_a_refused_event_in_the_output_is_spurious(writer: Writer, client: Client) -> None:
    producer = client.producer("main")
    producer.call(writer)
    writer.refuses = True
    producer.call(writer)
    payload = derive(identify(RUN, "main", 1))
    event = {"level": payload.level.upper(), "message": payload.message, "fields": payload.fields}
    writer.lines.append(json.dumps(event).encode() + b"\n")
    assert verdict_on(writer, Promise.DELIVERED).kinds == {Kind.SPURIOUS}


def test_a_line_that_is_cut_is_found_unless_the_end_may_be_torn(writer: Writer, client: Client) -> None:
    log(client, writer)
    cut_the_last_line(writer)
    assert Kind.TORN in verdict_on(writer, Promise.ACCOUNT).kinds
    assert Kind.TORN in verdict_on(writer, Promise.DELIVERED).kinds
    assert verdict_on(writer, Promise.TAIL).problems == []


def test_a_line_that_is_cut_in_the_middle_of_the_output_is_always_found(writer: Writer, client: Client) -> None:
    log(client, writer)
    writer.lines[4] = writer.lines[4][:20]
    assert Kind.CORRUPTED in verdict_on(writer, Promise.TAIL).kinds


def test_a_killed_program_may_lose_the_last_events_of_each_producer_only(writer: Writer, client: Client) -> None:
    log(client, writer, 10, "one")
    log(client, writer, 10, "two")
    del writer.lines[15:], writer.lines[8:10]
    assert verdict_on(writer, Promise.TAIL).problems == []
    assert verdict_on(writer, Promise.DELIVERED).kinds == {Kind.MISSING}
    del writer.lines[3]
    assert verdict_on(writer, Promise.TAIL).kinds == {Kind.MISSING}


def test_an_event_whose_call_was_cut_off_may_be_there_or_not(writer: Writer, client: Client) -> None:
    producer = client.producer("main")
    producer.call(writer)
    producer.call(writer)
    journal = (writer.directory / "journal").read_text()
    (writer.directory / "journal").write_text(journal.removesuffix("accepted main 1\n") + "accep")
    assert verdict_on(writer, Promise.TAIL).problems == []
    writer.lines.pop()
    assert verdict_on(writer, Promise.TAIL).problems == []


def test_what_a_call_raised_is_noted(writer: Writer, client: Client) -> None:
    def fail(message: str, **fields: Any) -> bool:
        raise error

    writer.info = writer.warning = writer.error = fail  # type: ignore[method-assign]
    producer = client.producer("main")
    for error in (QueueFull(1), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            producer.call(writer)
    verdict = verdict_on(writer, Promise.DELIVERED)
    assert (verdict.accepted, verdict.refused, verdict.unknown) == (0, 1, 1)


def test_a_producer_that_interrupts_itself_may_be_out_of_order(writer: Writer, client: Client) -> None:
    producer = client.producer("main", ordered=False)
    for _ in range(10):
        producer.call(writer)
    exchange_two_lines(writer)
    assert verdict_on(writer).problems == []


def test_compressed_files_are_read_too(writer: Writer, client: Client) -> None:
    log(client, writer)
    writer.leave()
    first, second = writer.directory / "first.gz", writer.directory / "second"
    first.write_bytes(gzip.compress(b"".join(writer.lines[:5])))
    second.write_bytes(b"".join(writer.lines[5:]))
    assert judge(writer.directory, {"file": [first, second]}).problems == []


# -- the ledger


def test_lost_events_that_are_counted_are_not_missing(writer: Writer, client: Client) -> None:
    log(client, writer)
    lose_a_line(writer)
    writer.sink["delivered"] -= 1
    writer.sink["failed"] = {"timeout": 1}
    assert verdict_on(writer).problems == []
    assert Kind.MISSING in verdict_on(writer, Promise.DELIVERED).kinds


def test_an_event_that_may_have_landed_may_be_there_or_not(writer: Writer, client: Client) -> None:
    log(client, writer)
    writer.sink["delivered"] -= 1
    writer.sink["abandoned"] = {"deadline": 1}
    assert verdict_on(writer).kinds == {Kind.LEDGER}
    writer.sink["outcome_unknown"] = 1
    assert verdict_on(writer).problems == []
    lose_a_line(writer)
    assert verdict_on(writer).problems == []


def test_duplicates_that_are_counted_are_allowed(writer: Writer, client: Client) -> None:
    log(client, writer)
    repeat_a_line(writer)
    writer.sink["duplicates"] = 1
    assert verdict_on(writer).problems == []
    repeat_a_line(writer)
    assert verdict_on(writer).kinds == {Kind.DUPLICATED}


def test_the_events_that_fapilog_makes_are_known(writer: Writer, client: Client) -> None:
    log(client, writer)
    writer.lines.append(json.dumps({"logger": "fapilog", "message": "events were lost"}).encode() + b"\n")
    assert verdict_on(writer).kinds == {Kind.LEDGER}
    writer.ledger["created"] += 1
    writer.ledger["dispatched"] += 1
    writer.sink["routed"] += 1
    writer.sink["delivered"] += 1
    assert verdict_on(writer).problems == []


@pytest.mark.parametrize(
    "change",
    [
        lambda ledger, sink: ledger.update(submitted=11),
        lambda ledger, sink: ledger.update(submitted=11, dispatched=11),
        lambda ledger, sink: ledger.update(dispatched=9),
        lambda ledger, sink: ledger.update(dispatched=9, in_flight=1),
        lambda ledger, sink: ledger.update(dispatched=9, dropped={"queue_full": 2}),
        lambda ledger, sink: sink.update(delivered=9),
        lambda ledger, sink: sink.update(delivered=9, in_flight=1),
        lambda ledger, sink: sink.update(delivered=9, failed={"timeout": 1}),
        lambda ledger, sink: sink.update(routed=11),
    ],
)
def test_a_wrong_ledger_is_found(writer: Writer, client: Client, change: Callable[..., None]) -> None:
    log(client, writer)
    change(writer.ledger, writer.sink)
    assert verdict_on(writer).kinds == {Kind.LEDGER}


def test_a_missing_ledger_is_found(writer: Writer, client: Client) -> None:
    log(client, writer)
    writer.leave()
    (writer.directory / "ledger-1.json").unlink()
    assert Kind.LEDGER in judge(writer.directory, {"file": [writer.directory / "out"]}).kinds


def test_calls_that_go_on_after_the_ledger_are_not_in_it(writer: Writer, client: Client) -> None:
    log(client, writer)
    ledger = json.dumps(writer.ledger)
    writer.refuses = True
    log(client, writer, 3, "thread")
    writer.ledger = json.loads(ledger)
    assert verdict_on(writer).kinds == {Kind.LEDGER}
    writer.ledger["calls_go_on"] = True
    assert verdict_on(writer).problems == []


# -- the fault and the end


def test_a_fault_that_did_not_strike_is_found(writer: Writer, client: Client) -> None:
    log(client, writer)
    client.struck("fork")
    client.struck("fork")
    assert verdict_on(writer, struck={"fork": 2}).problems == []
    assert verdict_on(writer, struck={"fork": 3}).kinds == {Kind.NOT_STRUCK}
    assert verdict_on(writer, struck={"hang": 1}).kinds == {Kind.NOT_STRUCK}


def test_another_return_code_is_found(writer: Writer, client: Client) -> None:
    log(client, writer)
    assert verdict_on(writer, ended=-9, returncode=-9).problems == []
    assert verdict_on(writer, ended=0, returncode=-9).kinds == {Kind.EXIT}


def test_the_oracle_is_a_program(writer: Writer, client: Client) -> None:
    log(client, writer)
    writer.leave()
    command = [sys.executable, "-m", "oracle", "--output", "file=out", str(writer.directory)]
    ended = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{writer.directory}: 10 accepted, 0 refused, seen {{'file': 10}}\n"
    lose_a_line(writer)
    writer.leave()
    ended = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "missing: file, where 0 are counted as lost: main/4" in ended.stdout
