"""A container's metrics in a real Prometheus: it scrapes programs on both backends, and is asked what it has."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import attrs
import pytest
from prometheus_client.parser import text_string_to_metric_families

from example_programs import Program, running
from fapilog import AsyncLoggingContainer
from fapilog.integrations.prometheus import PrometheusCollector
from prometheus_program import ODD

PROGRAM = Path(__file__).with_name("prometheus_program.py")
PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "monitor-it.md"
PATIENCE = 40.0
"""Seconds after which the server is stuck. It looks at its targets for the first time after five to ten."""
BACKENDS = ("asyncio", "trio")
T = TypeVar("T")
Sample = tuple[str, frozenset[tuple[str, str]]]


def found(program: str) -> str:
    """Return where the program is, or skip the test."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"no `{program}` on the PATH; on Debian: apt-get install prometheus")
    return path


@attrs.define
class Target:
    """A program that serves metrics and logs when it is told to."""

    program: Program
    port: int

    def log_ten_events(self) -> None:
        stdin = self.program.process.stdin
        assert stdin is not None
        stdin.write("\n")
        stdin.flush()
        self.program.wait_for("logged")

    def samples(self) -> dict[Sample, float]:
        """Return what it serves now, in the oldest of the formats."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return {
            (sample.name, frozenset((label, same_number(label, value)) for label, value in sample.labels.items())): (
                sample.value
            )
            for family in families
            for sample in family.samples
        }


@attrs.define
class Server:
    """A Prometheus that scrapes one target for each backend."""

    port: int
    targets: dict[str, Target]
    output: Path

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/)."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            told = json.load(answer)
        assert told["status"] == "success"
        assert not told.get("warnings")
        return told["data"]

    def query(self, expression: str, backend: str = "") -> dict[Sample, float]:
        """Return the values of an expression by name and labels, those left out that every target has."""
        values: dict[Sample, float] = {}
        for series in self.ask("query", query=expression)["result"]:
            labels = series["metric"]
            if backend in ("", labels.pop("backend")):
                name = labels.pop("__name__", "")
                del labels["job"], labels["instance"]
                labels = {label: same_number(label, value) for label, value in labels.items()}
                values[name, frozenset(labels.items())] = float(series["value"][1])
        return values

    def wait_until(self, look: Callable[[], T], is_there: Callable[[T], bool]) -> T:
        """Return what is seen as soon as it is there."""
        end = time.monotonic() + PATIENCE
        while not is_there(seen := look()):
            if time.monotonic() > end:
                pytest.fail(f"not there after {PATIENCE:g} s: {seen}\n{self.output.read_text()}")
            time.sleep(0.05)  # the API has no way to wait for a scrape
        return seen


def same_number(label: str, value: str) -> str:
    """Return a bucket's bound as every format and version writes it: ``1.0`` and ``1`` are one."""
    return str(float(value)) if label == "le" else value


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server with a storage of its own, and what it scrapes."""
    binary = found("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as stack:
        targets: dict[str, Target] = {}
        for backend in BACKENDS:
            program = stack.enter_context(running(str(PROGRAM), backend, folder=folder, stdin=subprocess.PIPE))
            targets[backend] = Target(program, int(program.wait_for(r"serving on (\d+)")[1]))
            targets[backend].log_ten_events()
        static = [
            {"targets": [f"127.0.0.1:{target.port}"], "labels": {"backend": backend}}
            for backend, target in targets.items()
        ]
        configuration = {
            "global": {"scrape_interval": "100ms", "scrape_timeout": "100ms"},
            "scrape_configs": [{"job_name": "fapilog", "static_configs": static, "scrape_timeout": "100ms"}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
        port = free_port()
        output = folder / "output"
        command = [
            binary,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        told = stack.enter_context(output.open("wb"))
        process = stack.enter_context(subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT, cwd=folder))
        stack.callback(process.kill)
        server = Server(port, targets, output)
        server.wait_until(lambda: answers(port, process), bool)
        server.wait_until(
            lambda: server.ask("targets")["activeTargets"],
            lambda seen: [target["health"] for target in seen] == ["up", "up"],
        )
        yield server


def answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "it has ended"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=PATIENCE):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def test_the_targets_are_up(server: Server) -> None:
    targets = server.ask("targets")["activeTargets"]
    assert {target["labels"]["backend"] for target in targets} == set(BACKENDS)
    for target in targets:
        assert (target["health"], target["lastError"]) == ("up", "")


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_sample_arrives(server: Server, backend: str) -> None:
    """What the program tells in text at that moment is what the server has, each label and value."""
    target = server.targets[backend]
    target.log_ten_events()
    served = {sample: value for sample, value in target.samples().items() if sample[0].startswith("fapilog_")}
    submitted = next(value for (name, _), value in served.items() if name == "fapilog_events_submitted_total")
    seen = server.wait_until(
        lambda: server.query('{__name__=~"fapilog_.*"}', backend),
        lambda seen: submitted in seen.values() and seen.keys() >= served.keys(),
    )
    assert seen == served
    signals = submitted * 7 / 10
    for name, labels, value in [
        ("events_submitted_total", {}, submitted),
        ("events_filtered_total", {"filter": "keep"}, submitted - signals),
        ("events_dispatched_total", {}, signals),
        ("plugin_errors_total", {"plugin": "broken"}, signals),
        ("values_redacted_total", {"plugin": "redact", "reason": "name:password"}, signals),
        ("sink_events_delivered_total", {"sink": "memory"}, signals),
        ("sink_events_failed_total", {"sink": "faulty", "reason": "permanent"}, signals),
        ("sink_write_duration_seconds_bucket", {"sink": "memory", "le": "inf"}, submitted / 10),
        ("queue_capacity_events", {}, 10_000),
        ("ready", {}, 1),
    ]:
        key = f"fapilog_{name}", frozenset({**labels, "container": ODD}.items())
        assert seen.get(key) == value, key


def test_types_and_help_texts_arrive(server: Server) -> None:
    metadata = server.ask("metadata")
    types: dict[str, str] = {}
    for family in PrometheusCollector(AsyncLoggingContainer(sinks=[])).describe():
        # A counter is listed under its family's name or its sample's, as the format has it that the server asked for.
        told = metadata.get(family.name) or metadata.get(f"{family.name}_total")
        assert told == [{"type": family.type, "help": family.documentation, "unit": ""}], family.name
        types[family.name] = told[0]["type"]
    assert types["fapilog_events_submitted"] == "counter"
    assert types["fapilog_queue_events"] == "gauge"
    assert types["fapilog_sink_write_duration_seconds"] == "histogram"


def test_what_the_page_says_to_alert_on_can_be_asked(server: Server) -> None:
    """Each condition is asked as it stands there, and its left side has a value for each container."""
    conditions = re.findall(r"^\| `([^`]+ (?:>|==) [^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(conditions) >= 4
    for condition in conditions:
        server.ask("query", query=condition)
        left = re.split(r" (?:>|==) ", condition)[0]
        if "dropped" in left or "not_confirmed" in left:  # a reason is there once something has it
            continue
        for backend in BACKENDS:
            server.wait_until(lambda left=left, backend=backend: server.query(left, backend), bool)


def test_a_rate_rises_and_no_counter_is_taken_for_reset(server: Server) -> None:
    target = server.targets["trio"]
    condition = 'increase(fapilog_sink_events_failed_total{backend="trio"}[1m]) > 0'
    before = server.query("fapilog_events_submitted_total", "trio")
    target.log_ten_events()
    server.wait_until(lambda: server.query("fapilog_events_submitted_total", "trio"), lambda seen: seen != before)
    assert server.wait_until(lambda: server.query(condition, "trio"), bool)
    for name in sorted({name for name, _ in target.samples()}):
        if name.startswith("fapilog_") and name.endswith(("_total", "_count", "_bucket")):
            assert set(server.query(f"resets({name}[1m])", "trio").values()) == {0}, name


def test_a_program_that_has_ended_is_down(server: Server) -> None:
    program = server.targets["asyncio"].program
    assert program.process.stdin is not None
    program.process.stdin.close()
    assert program.wait() == 0
    server.wait_until(lambda: server.query("up", "asyncio"), lambda seen: set(seen.values()) == {0})
    assert server.query("fapilog_ready", "asyncio") == {}
    assert set(server.query("up", "trio").values()) == {1}
    assert server.query("fapilog_ready", "trio")


def test_its_own_linter_finds_nothing(server: Server) -> None:
    command = [found("promtool"), "check", "metrics"]
    with urllib.request.urlopen(f"http://127.0.0.1:{server.targets['trio'].port}/metrics", timeout=PATIENCE) as answer:
        text = answer.read()
    ours = b"".join(line for line in text.splitlines(keepends=True) if b"fapilog_" in line)
    checked = subprocess.run(command, input=ours, capture_output=True, timeout=PATIENCE, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
