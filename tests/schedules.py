"""Random schedules: producers, overflow, failing sinks, cancellations and endings, made from a seed, run and judged.

`make` turns a seed into a `Schedule`, `run` runs one on virtual time and raises an `AssertionError` if the account is
not exact, and `shrunk` leaves out of a failing one whatever it fails without. The sinks, and the calls' own results,
are the other book that the account is compared with.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import attrs

import fapilog
from checkpoints import Steps, run_counted
from fapilog.errors import SinkOutcome
from fapilog.plugins import Batch
from fapilog.testing.clock import Backend
from support import living, own_threads

STRATEGIES = ("block", "drop_newest", "drop_oldest", "raise")
WRITES = (
    "ok", "raise", "land_and_raise", "exit", "permanent", "throttle", "partial", "slow", "hang", "shield", "swallow",
    "false", "garbage",
)  # fmt: skip
METHODS = ("ok", "ok", "ok", "raise", "exit", "hang", "swallow")
PLUGINS = (
    "filter", "async_filter", "enrich_fails", "isolated", "async_slow", "async_swallows", "split", "merge",
    "async_merge", "redact_fails",
)  # fmt: skip
ACTIONS = (
    "await", "await", "await", "call", "late", "nowait", "burst", "blocking", "error", "error_nowait", "thread",
    "thread_async", "thread_blocking", "sleep", "yield", "cancelled", "finally", "flush", "cancelled_flush", "audit",
)  # fmt: skip
STRIKES = ("scope", "native", "producers", "aclose", "stage", "cancelled_aclose")
ROUTES: dict[str, tuple[Any, Callable[[fapilog.LogEvent], bool]]] = {
    "errors": ({"level": "error"}, lambda event: event.level_number >= 40),
    "rest": ({"exclude": {"level": "error"}}, lambda event: event.level_number < 40),
    "few": (
        [{"expression": "fields.number in [1, 3, 5]"}, {"logger": "p1"}],
        lambda event: event.fields.get("number") in (1, 3, 5) or event.logger == "p1",
    ),
    "nothing": ({"tags": {"team": "pay"}}, lambda event: False),
}
"""What a sink's route may be, and the same in Python."""
ENDINGS = ("normal", "normal", "error", "cancel", "native", "aclose", "aclose_twice", "aclose_soon")


@attrs.frozen
class Sink:
    """One sink: what it does at each write (the last entry for all later ones), and the policy it is under."""

    kind: str = "async"
    writes: tuple[str, ...] = ("ok",)
    start: str = "ok"
    flush: str = "ok"
    aclose: str = "ok"
    required: bool = True
    ordered: bool = False
    strategy: str = "block"
    queue_batches: int = 64
    batch_size: int = 256
    batch_linger: float = 0.0
    attempts: int = 1
    breaker_failures: int = 5
    falls_back: bool = False
    """On the next sink."""
    route: str = ""
    """Which of `ROUTES`; none if it is empty."""
    redacts: bool = False
    """Whether it has a redactor of its own, which fails at times."""


@attrs.frozen
class Schedule:
    """One run: the settings, the sinks, what each producer does, and what strikes at which step of the event loop."""

    seed: int = 0
    queue_max_size: int = 10
    strategy: str = "block"
    reserved: float = 0.0
    workers: int = 1
    linger: float = 0.0
    block_timeout: float = 0.3
    shutdown_timeout: float = 3.0
    sinks: tuple[Sink, ...] = ()
    plugins: tuple[str, ...] = ()
    producers: tuple[tuple[tuple[str, int], ...], ...] = ()
    floods: tuple[int, ...] = ()
    """Threads that log beside the event loop, as fast as they can, by how many events each."""
    strikes: tuple[tuple[int, str], ...] = ()
    ending: str = "normal"

    @property
    def actions(self) -> int:
        """How many actions the producers take."""
        return sum(map(len, self.producers))


def make(seed: int) -> Schedule:
    """Return the schedule of that seed."""
    rng = random.Random(seed)
    pick = rng.choice
    actions = pick((3, 10, 10, 20, 20, 40, 60, 200))
    number = rng.randint(1, 4)
    producers = tuple(
        tuple((pick(ACTIONS), rng.randint(1, 12)) for _ in range(rng.randint(0, actions // number)))
        for _ in range(number)
    )
    # A thread that waits for room does so on the real clock.
    waits_in_thread = any(action == "thread_blocking" for producer in producers for action, _ in producer)
    block_timeout = 0.001 if waits_in_thread else pick((0.0, 0.05, 0.3, 10.0))
    count = pick((0, 1, 1, 1, 2, 2, 3))
    floods = tuple(rng.randint(1, 60) for _ in range(pick((0,) * 9 + (1, 2))))
    routing = random.Random(f"routes {seed}")  # of its own, so that a seed's other choices stay what they were
    routed = routing.random() < 0.5
    return Schedule(
        seed=seed,
        queue_max_size=pick((1, 2, 3, 7, 10, 20, 127, 129, 1000)),
        strategy=pick(STRATEGIES),
        reserved=pick((0.0, 0.1, 0.5)),
        workers=pick((1, 1, 2, 4)),
        linger=pick((0.0, 0.0, 0.02)),
        block_timeout=block_timeout,
        shutdown_timeout=max(block_timeout, pick((0.0, 0.5, 3.0, 30.0))),
        sinks=tuple(
            attrs.evolve(
                _make_sink(rng, last=position == count - 1),
                route=routing.choice(("", *ROUTES)) if routed else "",
                redacts=routed and routing.random() < 0.3,
            )
            for position in range(count)
        ),
        plugins=tuple(dict.fromkeys(pick(PLUGINS) for _ in range(pick((0, 0, 0, 1, 2, 3))))),
        producers=producers,
        floods=floods,
        strikes=tuple(
            sorted((int(10 ** rng.uniform(1, 3)), pick(STRIKES)) for _ in range(pick((0, 0, 1, 1, 1, 2, 3))))
        ),
        ending=pick(ENDINGS),
    )


def _make_sink(rng: random.Random, *, last: bool) -> Sink:
    pick = rng.choice
    kind = pick(("async",) * 6 + ("direct",) * 3 + ("thread",))
    methods = METHODS if kind == "async" else METHODS[:5]
    required = rng.random() < 0.6
    allowed = WRITES if kind == "async" else tuple(w for w in WRITES if w not in ("slow", "hang", "shield", "swallow"))
    return Sink(
        kind=kind,
        writes=(*(pick(allowed) for _ in range(rng.randint(0, 4))), pick(("ok", "ok", "ok", "ok", pick(allowed)))),
        start="ok" if required else pick(methods),
        flush=pick(methods),
        aclose=pick(methods),
        required=required,
        ordered=rng.random() < 0.5,
        strategy=pick(STRATEGIES),
        queue_batches=pick((1, 2, 64)),
        batch_size=pick((1, 3, 256)),
        batch_linger=pick((0.0, 0.0, 0.01)),
        attempts=pick((1, 2, 5)),
        breaker_failures=pick((1, 3, 5)),
        falls_back=not last and rng.random() < 0.2,
    )


Key = tuple[str, int]


def _key(event: fapilog.LogEvent) -> Key:
    return (event.logger, event.fields.get("number", -event.sequence))


async def _hang() -> None:
    await anyio.sleep_forever()


async def _shield() -> None:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(100)


async def _swallow() -> None:
    while True:
        try:
            await anyio.sleep_forever()
        except BaseException:
            pass


WAITS = {"hang": _hang, "shield": _shield, "swallow": _swallow, "slow": lambda: anyio.sleep(0.5)}


class JudgedSink:
    """Behaves as told, and keeps its own book."""

    def __init__(self, name: str, behaviour: Sink) -> None:
        self.metadata = fapilog.PluginMetadata(name, "1", fapilog.PluginType.SINK)
        self.ordered = behaviour.ordered
        self.behaviour = behaviour
        self._writes = list(behaviour.writes)
        self.returned: Counter[Key] = Counter()
        """Events of writes that returned success."""
        self.landed: Counter[Key] = Counter()
        """Events written, whatever came of the write."""
        self.attempted: dict[Key, None] = {}
        """In the order of the first attempts."""
        self.in_order: list[Key] = []
        """In the order in which they landed."""
        self.sequences: list[int] = []
        self.own: dict[int, bool] = {}
        """The numbers at the sink, in the order of the first attempts, and whether the sink's route picks the event."""
        self.foreign = 0
        """Events without such a number that the route does not pick."""

    def _next(self, batch: Batch) -> tuple[str, list[Key]]:
        keys = [_key(event) for event in batch.events]
        self.attempted.update(dict.fromkeys(keys))
        self.sequences += [event.sequence for event in batch.events]
        if self.behaviour.route:
            picks = ROUTES[self.behaviour.route][1]
            for event in batch.events:
                # The sink's redactor takes the number out of the event.
                right = picks(event) or (self.behaviour.redacts and "number" not in event.fields)
                if event.sink_sequence:
                    self.own.setdefault(event.sink_sequence, right)
                else:
                    self.foreign += 1
        return (self._writes.pop(0) if len(self._writes) > 1 else self._writes[0]), keys

    def _land(self, keys: list[Key]) -> None:
        self.landed.update(keys)
        self.in_order += keys

    def _conclude(self, kind: str, keys: list[Key]) -> Any:
        if kind == "raise":
            raise OSError("no")
        if kind == "exit":
            raise SystemExit(3)
        if kind == "permanent":
            raise fapilog.PermanentSinkError("never")
        if kind == "throttle":
            raise fapilog.ThrottledSinkError(retry_after=0.2)
        if kind == "land_and_raise":
            self._land(keys)
            raise OSError("no, but it is written")
        if kind == "partial":
            failed = range(0, len(keys), 2)
            good = [key for position, key in enumerate(keys) if position not in failed]
            self._land(good)
            self.returned.update(good)
            raise fapilog.PartialWriteError(failed)
        if kind == "false":
            return False
        if kind == "garbage":
            return 5
        self._land(keys)
        self.returned.update(keys)
        return None

    def _do(self, kind: str) -> None:
        if kind == "raise":
            raise OSError("no")
        if kind == "exit":
            raise SystemExit(3)


class AsyncJudged(JudgedSink):
    """An asynchronous sink."""

    async def write(self, batch: Batch) -> Any:
        kind, keys = self._next(batch)
        if kind in WAITS:
            await WAITS[kind]()
        return self._conclude(kind, keys)

    async def _step(self, kind: str) -> None:
        if kind in WAITS:
            await WAITS[kind]()
        self._do(kind)

    async def start(self) -> None:
        await self._step(self.behaviour.start)

    async def flush(self) -> None:
        await self._step(self.behaviour.flush)

    async def aclose(self) -> None:
        await self._step(self.behaviour.aclose)


class ThreadJudged(JudgedSink):
    """A synchronous sink in a thread of its own, on the real clock: it has no ``start``, which would time out."""

    def write(self, batch: Batch) -> Any:
        return self._conclude(*self._next(batch))

    def flush(self) -> None:
        self._do(self.behaviour.flush)

    def aclose(self) -> None:
        self._do(self.behaviour.aclose)


class DirectJudged(ThreadJudged):
    """A synchronous sink that is called on the event loop."""

    blocking = False

    def start(self) -> None:
        self._do(self.behaviour.start)


SINKS: dict[str, type[JudgedSink]] = {"async": AsyncJudged, "thread": ThreadJudged, "direct": DirectJudged}


def _plugins(names: tuple[str, ...]) -> dict[str, list[Any]]:
    async def async_filter(event: fapilog.LogEvent) -> bool:
        await anyio.lowlevel.checkpoint()
        return event.fields.get("number", 1) % 7 != 0

    async def async_slow(event: fapilog.LogEvent) -> None:
        if event.fields.get("number") == 3:
            await anyio.sleep(10)

    async def async_swallows(event: fapilog.LogEvent) -> None:
        if event.fields.get("number") == 2:
            await _swallow()

    def enrich_fails(event: fapilog.LogEvent) -> dict[str, Any]:
        if event.fields.get("number", 0) % 2:
            raise SystemExit
        return {"even": True}

    def split(batch: list[fapilog.LogEvent]) -> list[fapilog.LogEvent]:
        made = [fapilog.LogEvent("copy", logger="split") for event in batch if event.fields.get("number") == 1]
        return [*batch, *made]

    def merge(batch: list[fapilog.LogEvent]) -> list[fapilog.LogEvent]:
        return [event for event in batch if event.fields.get("number", 1) % 5]

    async def async_merge(batch: list[fapilog.LogEvent]) -> list[fapilog.LogEvent]:
        await anyio.lowlevel.checkpoint()
        return merge(batch)

    def redact_fails(event: fapilog.LogEvent) -> None:
        if event.fields.get("number", 0) % 4 == 1:
            raise ValueError

    kinds = {
        "filter": ("filters", lambda event: event.fields.get("number", 1) % 3 != 0),
        "async_filter": ("filters", async_filter),
        "enrich_fails": ("enrichers", enrich_fails),
        "isolated": ("enrichers", lambda event: {"seen": True}),
        "async_slow": ("enrichers", async_slow),
        "async_swallows": ("enrichers", async_swallows),
        "split": ("processors", split),
        "merge": ("processors", merge),
        "async_merge": ("processors", async_merge),
        "redact_fails": ("redactors", redact_fails),
    }
    methods = {"filters": "keep", "enrichers": "enrich", "processors": "process", "redactors": "redact"}
    types = {
        "filters": fapilog.PluginType.FILTER,
        "enrichers": fapilog.PluginType.ENRICHER,
        "processors": fapilog.PluginType.PROCESSOR,
        "redactors": fapilog.PluginType.REDACTOR,
    }
    found: dict[str, list[Any]] = {kind: [] for kind in methods}
    for name in names:
        kind, function = kinds[name]
        members = {"metadata": fapilog.PluginMetadata(name, "1", types[kind]), methods[kind]: staticmethod(function)}
        found[kind].append(type("Plugin", (), members)())
    return found


def _registry() -> fapilog.PluginRegistry:
    """Return a registry with the redactor that sinks may have of their own."""
    (redactor,) = _plugins(("redact_fails",))["redactors"]
    registry = fapilog.PluginRegistry()
    registry.register(lambda: redactor, name="redact_fails", plugin_type="redactor")
    return registry


class Book:
    """What the producers did, by their own account."""

    def __init__(self) -> None:
        self.submitted = 0
        self.accepted: set[Key] = set()
        self.refused: set[Key] = set()
        self.unknown: set[Key] = set()
        """Calls whose result nobody looked at, or was cut off."""
        self.disordered: set[str] = set()
        """Loggers that awaited a call after a later one was made."""
        self.strangers: list[BaseException] = []
        self.confirmed: dict[Key, int] = {}
        """The events that were confirmed, with their level."""
        self.not_confirmed: list[tuple[Key, fapilog.NotConfirmed]] = []

    def note(self, key: Key, accepted: bool) -> None:
        (self.accepted if accepted else self.refused).add(key)


class Producer:
    """One task that logs under a name of its own."""

    def __init__(self, run: Run, name: str) -> None:
        self.run = run
        self.book = run.book
        self.log = run.container.logger(name)
        self.name = name
        self.number = 0
        self.postponed: tuple[Key, Any] | None = None

    def _key(self) -> Key:
        self.number += 1
        self.book.submitted += 1
        key = (self.name, self.number)
        self.book.unknown.add(key)
        return key

    def _note(self, key: Key, accepted: bool) -> None:
        self.book.unknown.discard(key)
        self.book.note(key, accepted)

    async def _await(self, key: Key, call: Any) -> None:
        try:
            self._note(key, await call)
        except fapilog.QueueFull:
            self._note(key, False)

    async def produce(self, actions: tuple[tuple[str, int], ...]) -> None:
        for action, number in actions:
            await getattr(self, f"do_{action}")(number)
        if self.postponed is not None:
            await self._await(*self.postponed)

    async def do_await(self, number: int) -> None:
        key = self._key()
        await self._await(key, self.log.info("m", number=key[1]))

    async def do_error(self, number: int) -> None:
        key = self._key()
        await self._await(key, self.log.error("m", number=key[1]))

    async def do_call(self, number: int) -> None:
        self.log.info("m", number=self._key()[1])

    async def do_late(self, number: int) -> None:
        if self.postponed is not None:
            await self._await(*self.postponed)
        key = self._key()
        self.postponed = (key, self.log.info("m", number=key[1]))
        self.book.disordered.add(self.name)

    async def do_nowait(self, number: int) -> None:
        key = self._key()
        self._note(key, self.log.nowait.info("m", number=key[1]))

    async def do_burst(self, number: int) -> None:
        for _ in range(number):
            await self.do_nowait(0)

    async def do_error_nowait(self, number: int) -> None:
        key = self._key()
        self._note(key, self.log.nowait.error("m", number=key[1]))

    async def do_blocking(self, number: int) -> None:
        key = self._key()
        self._note(key, self.log.blocking.info("m", number=key[1]))

    async def do_thread(self, number: int) -> None:
        key = self._key()
        self._note(key, _threads().submit(self.log.nowait.info, "m", number=key[1]).result())

    async def do_thread_async(self, number: int) -> None:
        key = self._key()
        _threads().submit(self.log.info, "m", number=key[1]).result()

    async def do_thread_blocking(self, number: int) -> None:
        key = self._key()
        try:
            self._note(key, _threads().submit(self.log.blocking.info, "m", number=key[1]).result())
        except fapilog.QueueFull:
            self._note(key, False)

    async def do_sleep(self, number: int) -> None:
        await anyio.sleep(number / 50)

    async def do_yield(self, number: int) -> None:
        for _ in range(number):
            await anyio.lowlevel.checkpoint()

    async def do_flush(self, number: int) -> None:
        began = anyio.current_time()
        await self.log.flush(number / 10)
        assert anyio.current_time() - began <= number / 10 + 0.001, "a flush takes no longer than its timeout"

    async def do_cancelled_flush(self, number: int) -> None:
        with anyio.move_on_after(number / 1000):
            await self.log.flush(1)

    async def do_reload(self, number: int) -> None:
        with suppress(fapilog.FapilogError):  # the container may be on its way out
            await self.run.container.reload()

    async def do_cancelled_reload(self, number: int) -> None:
        with suppress(fapilog.FapilogError), anyio.move_on_after(number / 1000):
            await self.run.container.reload()

    async def do_confirmed(self, number: int) -> None:
        await self._confirm("info", number)

    async def do_confirmed_error(self, number: int) -> None:
        await self._confirm("error", number)

    async def do_confirmed_in_vain(self, number: int) -> None:
        self.log.confirming(number / 10).info("m", number=self._key()[1])

    async def do_cancelled_confirmed(self, number: int) -> None:
        with anyio.move_on_after(number / 1000):
            await self._confirm("info", number)

    async def do_confirmed_finally(self, number: int) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await anyio.sleep(1)
            finally:
                noted = len(self.book.confirmed) + len(self.book.not_confirmed)
                await self._confirm("info", number)
                assert len(self.book.confirmed) + len(self.book.not_confirmed) > noted, "the clean-up goes on"

    async def _confirm(self, method: str, number: int) -> None:
        """Wait for an event's delivery, less than two seconds."""
        key = self._key()
        timeout = number / 7
        began = anyio.current_time()
        try:
            assert await getattr(self.log.confirming(timeout), method)("m", number=key[1]) is True
            self.book.confirmed[key] = fapilog.Level[method.upper()].value
            self._note(key, True)
        except fapilog.NotConfirmed as error:
            self.book.not_confirmed.append((key, error))
            if error.sequence:
                self._note(key, True)
            elif error.state in ("rejected", "dropped", "filtered", "merged"):
                self._note(key, False)
        finally:
            assert anyio.current_time() - began <= timeout + 0.001, "it waits no longer than to its deadline"

    async def do_audit(self, number: int) -> None:
        self.run.audit()

    async def do_cancelled(self, number: int) -> None:
        with anyio.move_on_after(number / 1000):
            await self.do_await(0)

    async def do_finally(self, number: int) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await anyio.sleep(1)
            finally:
                await self.do_await(0)
                assert True, "the clean-up goes on"


_executors: list[ThreadPoolExecutor] = []


def _threads() -> ThreadPoolExecutor:
    """Return the one thread from which producers log."""
    if not _executors:
        _executors.append(ThreadPoolExecutor(1, "producer"))
    return _executors[0]


class Ended(Exception):
    """The body's own exception."""


class Run:
    """One run of a schedule."""

    def __init__(self, schedule: Schedule, steps: Steps, *, native: bool) -> None:
        self.schedule = schedule
        self.steps = steps
        self.native = native
        self.book = Book()
        self.error = Ended()
        self.outcome: BaseException | None = None
        self.outer = anyio.CancelScope()
        self.producing = anyio.CancelScope()
        self.closing = anyio.Event()
        self.closing_briefly = anyio.Event()
        self.host: Any = None
        self.struck: set[str] = set()
        self.entered = False
        self.left_at: float | None = None
        self.floods: list[threading.Thread] = []
        self.flood_counts: list[int] = []
        self.sinks = [SINKS[sink.kind](f"sink{position}", sink) for position, sink in enumerate(schedule.sinks)]
        self.container = self._container()
        for step, strike in schedule.strikes:
            steps.at.setdefault(step, []).append(lambda strike=strike: self.strike(strike))

    def _container(self) -> fapilog.AsyncLoggingContainer:
        schedule = self.schedule
        config: dict[str, Any] = {"isolated": {"isolate": True}} if "isolated" in schedule.plugins else {}
        for position, sink in enumerate(schedule.sinks):
            config[f"sink{position}"] = {
                "required": sink.required,
                "ordered": sink.ordered,
                "overflow_strategy": sink.strategy,
                "queue_batches": sink.queue_batches,
                "batch_size": sink.batch_size,
                "batch_linger": sink.batch_linger,
                "attempts": sink.attempts,
                "breaker_failures": sink.breaker_failures,
                "breaker_reset": 1,
                "write_timeout": 1,
                **({"fallback": f"sink{position + 1}"} if sink.falls_back else {}),
                **({"route": ROUTES[sink.route][0]} if sink.route else {}),
                **({"redactors": ["own=redact_fails"]} if sink.redacts else {}),
            }
        container = fapilog.AsyncLoggingContainer(
            {
                "queue_max_size": schedule.queue_max_size,
                "overflow_strategy": schedule.strategy,
                "reserved_for_errors": schedule.reserved,
                "max_workers": schedule.workers,
                "batch_linger": schedule.linger,
                "block_timeout": schedule.block_timeout,
                "shutdown_timeout": schedule.shutdown_timeout,
                "on_incomplete": "ignore",
                "sinks": [] if self.sinks else ["null"],
                "plugin_config": config,
            },
            sinks=self.sinks,
            plugin_registry=_registry(),
            **_plugins(schedule.plugins),
        )
        container._diagnostics.warn = lambda *_: None  # type: ignore[method-assign]
        container._diagnostics.error = self.told  # type: ignore[method-assign]
        container.async_pipeline._report = self.told
        container.async_pipeline._losses._report = self.told
        return container

    def told(self, key: str, message: str) -> None:
        """Take what the pipeline tells; it may not tell of mistakes of its own."""
        if "internal" in key or "internal" in message:
            self.book.strangers.append(AssertionError(message))

    # -- what strikes from outside, before some step of the event loop

    def strike(self, kind: str) -> None:
        if kind in ("native", "stage") and not self.native:
            return
        if kind == "stage" and not self.entered:
            return  # asyncio never runs a task that is cancelled before its first step; entering waits for that step
        self.struck.add(kind)
        if kind == "scope":
            self.outer.cancel()
        elif kind == "producers":
            self.producing.cancel()
        elif kind == "aclose":
            self.closing.set()
        elif kind == "cancelled_aclose":
            self.closing_briefly.set()
        elif kind == "native":
            if self.host is not None:
                self.host.cancel()
        elif kind == "stage":
            stages = [task for task in self.steps.tasks if task.get_name().startswith("fapilog ") and not task.done()]
            running = asyncio.current_task()  # nobody but the task itself could cancel it in the middle of its step
            stages = [task for task in stages if task is not running and task.get_name() != "fapilog drain"]
            if stages:
                stages[self.steps.number % len(stages)].cancel()

    async def close_when_told(self) -> None:
        await self.closing.wait()
        if self.entered:
            await self.container.aclose()

    async def close_briefly_when_told(self) -> None:
        await self.closing_briefly.wait()
        if self.entered:
            with anyio.move_on_after(0.001):
                await self.container.aclose(0.2)

    # -- the program

    async def main(self) -> None:
        tasks, threads = living(), set(own_threads())
        done = anyio.Event()
        async with anyio.create_task_group() as siblings:
            siblings.start_soon(self.close_when_told, name="closer")
            siblings.start_soon(self.close_briefly_when_told, name="brief closer")
            siblings.start_soon(self._host, done, name="host")
            await done.wait()
            siblings.cancel_scope.cancel()
        for flood in self.floods:
            flood.join()
        self.book.submitted += sum(self.flood_counts)
        if self.entered:
            self.book.submitted += 1
            assert not self.container.logger("late").nowait.info("m"), "a container that was left takes nothing"
        assert living() == tasks, "a task is left"
        for thread in threading.enumerate():
            if thread.name.startswith("fapilog") and thread.name not in threads:
                thread.join(5)  # it was left behind in the middle of a call
                assert not thread.is_alive(), "a thread is left"
        judge(self)

    async def _host(self, done: anyio.Event) -> None:
        if self.native:
            self.host = asyncio.current_task()
        try:
            with self.outer:
                try:
                    async with self.container as container:
                        self.entered = True
                        for position, delivery in enumerate(container.async_pipeline.deliveries):
                            # By the seed, so that the run can be repeated.
                            delivery._backoff._random = random.Random(f"{self.schedule.seed} {position}")
                        try:
                            await self._body(container)
                        finally:
                            self.left_at = anyio.current_time()
                finally:
                    if self.left_at is not None:
                        self._check_time(anyio.current_time() - self.left_at)
        except BaseException as error:
            self.outcome = error
        finally:
            self.host = None
            done.set()

    def _check_time(self, took: float) -> None:
        timeout = self.schedule.shutdown_timeout
        if "cancelled_aclose" in self.struck or self.schedule.ending == "aclose_twice":
            timeout = max(timeout, 0.2)  # the one who asks first says how long
        assert took <= timeout + 1.001, f"leaving took {took} s"

    async def _body(self, container: fapilog.AsyncLoggingContainer) -> None:
        schedule = self.schedule
        for position, number in enumerate(schedule.floods):
            self.flood_counts.append(0)
            flood = threading.Thread(target=self._flood, args=(position, number), name="flood")
            self.floods.append(flood)
            flood.start()
        with self.producing:
            async with anyio.create_task_group() as producers:
                for position, actions in enumerate(schedule.producers):
                    producers.start_soon(Producer(self, f"p{position}").produce, actions)
        if not self.floods:
            self.audit()
        if schedule.ending == "error":
            raise self.error
        if schedule.ending.startswith("aclose"):
            await self._close(container, schedule.ending)
        if schedule.ending == "cancel":
            self.outer.cancel()
            await anyio.sleep_forever()
        if schedule.ending == "native" and self.native:
            self.strike("native")
            await anyio.sleep_forever()

    async def _close(self, container: fapilog.AsyncLoggingContainer, ending: str) -> None:
        if ending == "aclose_soon":
            await container.aclose(0)
        elif ending == "aclose_twice":
            async with anyio.create_task_group() as closers:
                closers.start_soon(container.aclose)
                closers.start_soon(container.aclose, 0.1)
        else:
            await container.aclose()
        self.book.submitted += 1
        assert not await container.logger("late").info("m", number=1), "a closed container takes nothing"

    def _flood(self, position: int, number: int) -> None:
        log = self.container.logger(f"flood{position}").nowait
        for event in range(1, number + 1):
            log.info("m", number=event)
            self.flood_counts[position] += 1

    def audit(self) -> None:
        """Check the account so far, which has to be exact at every moment at which a task can look."""
        report = self.container.stats()
        assert report.balanced, f"the account so far: {report}"
        assert report.in_flight >= 0 and all(sink.in_flight >= 0 for sink in report.sinks.values()), report
        if not self.floods:
            assert report.submitted == self.book.submitted, f"{self.book.submitted} calls, and the account: {report}"
        for sink in self.sinks:
            _check_sink(self, sink, report.sinks[sink.metadata.name])


# -- judging


def judge(run: Run) -> None:
    """Raise an ``AssertionError`` if anything is not as it has to be."""
    schedule, book = run.schedule, run.book
    assert not book.strangers, book.strangers
    _judge_outcome(run)
    if not run.entered:
        return
    report = run.container.stats()
    assert run.container.report is not None, "there is no report"
    assert report.balanced, report
    assert report.in_flight == 0, report
    assert report.submitted == book.submitted, f"{book.submitted} calls, and the account: {report}"
    assert not any(number < 0 for counts in _mappings(report) for number in counts.values()), report
    landed: set[Key] = set()
    fallbacks = {f"sink{position + 1}" for position, sink in enumerate(schedule.sinks) if sink.falls_back}
    for position, sink in enumerate(run.sinks):
        name = sink.metadata.name
        account = report.sinks[name]
        assert account.in_flight == 0, report
        if not sink.behaviour.route:
            assert account.routed == (0 if name in fallbacks else report.dispatched), report
            assert name in fallbacks or not report.unrouted, report
        else:
            _check_route(sink, account)
        given = report.sinks[f"sink{position - 1}"].fallback_out if name in fallbacks else 0
        assert account.fallback_in == given, report
        assert schedule.sinks[position].falls_back or not account.fallback_out, report
        _check_sink(run, sink, account)
        if name not in fallbacks:  # what another sink gives up comes later than what followed it there
            _check_order(run, sink)
        landed |= sink.landed.keys()
    assert not landed & book.refused, f"what was refused has landed: {landed & book.refused}"
    issued = book.accepted | book.refused | book.unknown
    strangers = {key for key in landed if key[1] > 0 and key[0].startswith("p")} - issued
    assert not strangers, f"nobody logged {strangers}"
    if schedule.strategy != "drop_oldest" and not schedule.plugins and not report.abandoned and not schedule.floods:
        entered = report.dispatched + report.unrouted - report.created
        assert len(book.accepted) <= entered <= len(book.accepted) + len(book.unknown), (entered, book.accepted, report)

    _judge_confirmed(run, fallbacks)
    routed = {sink.behaviour.route: report.sinks[sink.metadata.name].routed for sink in run.sinks}
    for sink in run.sinks:
        if sink.behaviour.route:
            assert report.sinks[sink.metadata.name].routed == routed[sink.behaviour.route], report
    if {"errors", "rest"} <= routed.keys():
        assert routed["errors"] + routed["rest"] == report.dispatched and not report.unrouted, report


def _judge_confirmed(run: Run, fallbacks: set[str]) -> None:
    """Compare what confirmed calls were told with what the sinks have got."""
    assert not run.container.async_pipeline.intake.confirmations, "somebody is still waited for"
    for key, level in run.book.confirmed.items():
        event = fapilog.LogEvent("m", level, logger=key[0], fields={"number": key[1]})
        held = 0
        for position, sink in enumerate(run.sinks):
            route = sink.behaviour.route
            own = sink.metadata.name not in fallbacks or route
            if not (own and sink.behaviour.required and (not route or ROUTES[route][1](event))):
                continue
            stands_in = position
            while key not in run.sinks[stands_in].returned:
                assert run.sinks[stands_in].behaviour.falls_back, (
                    f"{key} is confirmed, and {sink.metadata.name} lacks it"
                )
                stands_in += 1
            held += 1
        assert held or not run.sinks, f"{key} is confirmed, and no required sink has it"
    for key, error in run.book.not_confirmed:
        for sink in run.sinks:
            outcome = error.sinks.get(sink.metadata.name)
            if outcome is None or sink.metadata.name in fallbacks:
                continue
            if outcome == SinkOutcome("delivered"):
                assert key in sink.returned, f"{key} was said to be delivered: {error}"
            elif outcome.state in ("failed", "dropped", "not_routed", "filtered", "merged", "rejected"):
                assert key not in sink.returned, f"{key} was said not to be delivered: {error}"


def _check_route(sink: JudgedSink, account: Any) -> None:
    assert all(sink.own.values()), f"{sink.metadata.name} got what its route does not pick"
    assert not sink.foreign or account.fallback_in, f"{sink.metadata.name} got events without a number"
    assert max(sink.own, default=0) <= account.routed, (sink.own, account)
    assert list(sink.own) == sorted(sink.own), f"the numbers of {sink.metadata.name} are in disorder: {sink.own}"
    if account.delivered == account.routed and not account.retries and not account.fallback_in:
        assert list(sink.own) == list(range(1, account.routed + 1)), f"the numbers of {sink.metadata.name} have a gap"


def _mappings(report: fapilog.DrainReport) -> Iterator[Any]:
    yield from (report.rejected, report.dropped, report.filtered, report.abandoned)
    for sink in report.sinks.values():
        yield from (sink.dropped, sink.failed, sink.abandoned)


def _judge_outcome(run: Run) -> None:
    schedule, outcome = run.schedule, run.outcome
    if isinstance(outcome, AssertionError):
        raise outcome
    interrupted = run.struck & {"scope", "native"} or schedule.ending in ("cancel", "native")
    if outcome is None:
        # A cancelled scope of the host's is caught by it; else the body has to have come to its end.
        assert schedule.ending != "error" or "scope" in run.struck, "the body's error was lost"
    elif outcome is run.error:
        assert schedule.ending == "error"
    elif isinstance(outcome, fapilog.PluginError):
        assert "stage" in run.struck and not run.entered, outcome
    else:
        assert interrupted and run.native and type(outcome).__name__ == "CancelledError", repr(outcome)
    if not interrupted and schedule.ending != "error" and run.entered:
        assert outcome is None, repr(outcome)
    if schedule.ending == "error" and not interrupted and run.entered:
        assert outcome is run.error
    if schedule.ending == "cancel" and "native" not in run.struck and run.entered:
        assert run.outer.cancelled_caught, "the scope's cancellation did not arrive"


def _check_sink(run: Run, sink: JudgedSink, account: Any) -> None:
    returned = sink.returned.total()
    # A write that was cut off, or is under way in its thread, may have ended by itself in the same moment.
    unsure = account.outcome_unknown + account.in_flight
    assert account.delivered <= returned <= account.delivered + unsure, (sink.metadata.name, returned, account)
    if account.fallback_in and _may_come_twice(run.schedule.sinks, run.sinks.index(sink)):
        return
    assert not sink.returned or max(sink.returned.values()) == 1, "delivered twice"
    twice = sink.landed.total() - len(sink.landed)
    assert twice <= account.duplicates, f"{twice} landed twice, and the account of {sink.metadata.name}: {account}"


def _may_come_twice(sinks: Sequence[Sink], position: int) -> bool:
    """Whether a sink that is a fallback, or one before it in the chain of fallbacks, gets events by a route as well."""
    while position and sinks[position - 1].falls_back:
        if sinks[position].route:
            return True
        position -= 1
    return False


def _check_order(run: Run, sink: JudgedSink) -> None:
    unordered = run.book.disordered if run.schedule.strategy == "block" else set()
    _check_rising(sink.attempted, unordered, "first attempts")
    if sink.behaviour.ordered and "partial" not in sink.behaviour.writes:
        _check_rising(dict.fromkeys(sink.in_order), unordered, "what landed")
    account = run.container.stats().sinks[sink.metadata.name]
    complete = account.delivered == account.routed and not account.retries and not account.fallback_in
    if complete and not sink.behaviour.route:
        assert sink.sequences == list(range(1, account.routed + 1)), "the sequence has a gap"


def _check_rising(keys: Any, unordered: set[str], what: str) -> None:
    numbers: dict[str, list[int]] = defaultdict(list)
    for logger, number in keys:
        if number > 0 and logger not in unordered:
            numbers[logger].append(number)
    for logger, found in numbers.items():
        assert all(one < other for one, other in pairwise(found)), f"{what} of {logger} are out of order: {found}"


# -- running


def run(backend: Backend, schedule: Schedule) -> None:
    """Run a schedule to its end.

    Raises:
        AssertionError: if the account is not exact, or anything else is not as it has to be.
    """
    steps = Steps()

    async def main() -> None:
        await Run(schedule, steps, native=backend == "asyncio").main()

    run_counted(backend, steps, main, seed=schedule.seed)


def shrunk(schedule: Schedule, fails: Callable[[Schedule], bool], attempts: int = 300) -> Schedule:
    """Return what is left of a failing schedule when everything is left out that it fails without."""
    progress = True
    while progress and attempts > 0:
        progress = False
        for smaller in _smaller(schedule):
            attempts -= 1
            if attempts <= 0:
                break
            if fails(smaller):
                schedule, progress = smaller, True
                break
    return schedule


def _smaller(schedule: Schedule) -> Iterator[Schedule]:
    for name in ("producers", "sinks", "plugins", "floods", "strikes"):
        for shorter in _shorter(getattr(schedule, name)):
            if name == "sinks" and shorter:
                shorter = (*shorter[:-1], attrs.evolve(shorter[-1], falls_back=False))
            yield attrs.evolve(schedule, **{name: shorter})
    for position, actions in enumerate(schedule.producers):
        for shorter in _shorter(actions):
            changed = (*schedule.producers[:position], shorter, *schedule.producers[position + 1 :])
            yield attrs.evolve(schedule, producers=changed)
    plain_sink = Sink()
    for position, sink in enumerate(schedule.sinks):
        for field in attrs.fields(Sink):
            plain = getattr(plain_sink, field.name)
            if getattr(sink, field.name) != plain:
                simpler = attrs.evolve(sink, **{field.name: plain})
                yield attrs.evolve(
                    schedule, sinks=(*schedule.sinks[:position], simpler, *schedule.sinks[position + 1 :])
                )
    plain_schedule = Schedule()
    for name in ("ending", "workers", "linger", "reserved"):
        if getattr(schedule, name) != getattr(plain_schedule, name):
            yield attrs.evolve(schedule, **{name: getattr(plain_schedule, name)})


def _shorter(items: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield *items* without its halves, its quarters and so on, down to single ones."""
    size = len(items)
    while size:
        for start in range(0, len(items), size):
            yield items[:start] + items[start + size :]
        size //= 2
