"""What a full intake means: the strategies, the reserve for errors, and who waits for room in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fapilog
from fapilog import AsyncLoggingContainer, Level, OverflowStrategy
from fapilog.context import ambient_variable
from fapilog.core import Core
from fapilog.event import Origin
from fapilog.levels import Levels
from fapilog.logger import AsyncLogger
from fapilog.metrics import MetricsCollector
from fapilog.pipeline.backend import current_backend
from fapilog.pipeline.door import Door
from fapilog.pipeline.eviction import Eviction
from fapilog.pipeline.intake import Intake
from fapilog.pipeline.queued import Admission
from sinks import HELD, PRIMERS, HeldSink, account, hold, in_thread, quiet, turns, until

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

SIZES = (1, 2, 7, 127, 129, 1000)
STRATEGIES = tuple(OverflowStrategy)
FACES = ("await", "nowait", "blocking on the loop", "nowait in a thread", "blocking in a thread", "async in a thread")


def held_container(sink: HeldSink, **given: Any) -> AsyncLoggingContainer:
    container = AsyncLoggingContainer(
        {
            "batch_linger": 0,
            "on_incomplete": "ignore",
            "plugin_config": {"sink": HELD},
            "block_timeout": 0.5,
            **given,
        },
        sinks=[sink],
    )
    quiet(container)
    return container


def reserve(size: int, share: float = 0.1) -> int:
    return min(max(1, int(size * share)), size - 1) if share else 0


def call(log: AsyncLogger, face: str, number: int, level: str = "info") -> Callable[[], Any]:
    """Return the call of one face, without what awaiting it adds."""
    logger = log.nowait if "nowait" in face else log.blocking if "blocking" in face else log
    return lambda: getattr(logger, level)("event", number=number)


async def outcome(log: AsyncLogger, face: str, number: int, level: str = "info") -> object:
    """Make one call and return whether it was accepted, or the error it raised."""
    result = call(log, face, number, level)()
    return result if isinstance(result, bool) else await finished(result)


async def outcomes(log: AsyncLogger, face: str, number: int) -> list[object]:
    """Make *number* calls, one after the other, and return their outcomes."""
    if "thread" not in face:
        return [await outcome(log, face, n) for n in range(number)]

    def main() -> list[Any]:
        found: list[Any] = []
        for n in range(number):
            try:
                found.append(call(log, face, n)())
            except fapilog.QueueFull:
                found.append(fapilog.QueueFull)
        return found

    return [result if not hasattr(result, "__await__") else await finished(result) for result in await in_thread(main)]


async def finished(result: Any) -> object:
    try:
        return await result
    except fapilog.QueueFull:
        return fapilog.QueueFull


def expected(strategy: OverflowStrategy, face: str, size: int, number: int) -> tuple[list[object], dict[str, int]]:
    """Return what each call says and what is counted, for *number* calls at INFO into an empty queue of *size*."""
    room = size - reserve(size)
    over = number - room
    if strategy is OverflowStrategy.DROP_OLDEST:
        return [True] * number, {"dropped.evicted": over}
    if strategy is OverflowStrategy.RAISE:
        raises = face in ("await", "blocking in a thread", "async in a thread")
        return [True] * room + [fapilog.QueueFull if raises else False] * over, {"rejected.queue_full": over}
    counts = {"dropped.queue_full": over}
    if strategy is OverflowStrategy.BLOCK and face in ("await", "blocking in a thread"):
        counts = {"dropped.block_timeout": 1, "dropped.congested": over - 1}
    if strategy is OverflowStrategy.BLOCK and face == "blocking on the loop":
        counts = {"dropped.would_deadlock": over}
    return [True] * room + [False] * over, counts


def losses(report: fapilog.DrainReport) -> dict[str, int]:
    return {f"dropped.{reason}": number for reason, number in report.dropped.items()} | {
        f"rejected.{reason}": number for reason, number in report.rejected.items()
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
async def test_ov1_ov2_ov3_ov4_a_full_queue_means_what_its_strategy_says(
    strategy: OverflowStrategy, face: str, size: int
) -> None:
    sink = HeldSink()
    # Threads wait in real time: none at all here.
    block_timeout = 0 if "thread" in face else 0.5
    container = held_container(sink, queue_max_size=size, overflow_strategy=strategy, block_timeout=block_timeout)
    number = min(2 * size + 3, size + 200)
    async with container as entered:
        await hold(entered)
        began = anyio.current_time()
        says = await outcomes(entered.logger(), face, number)
        waited = anyio.current_time() - began
        sink.gate.set()
    report = account(container)
    said, counted = expected(strategy, face, size, number)
    assert says == said
    assert losses(report) == counted
    room = size - reserve(size)
    kept = range(number - room, number) if strategy is OverflowStrategy.DROP_OLDEST else range(room)
    assert sink.values("number") == list(kept)
    assert report.submitted == number + PRIMERS
    assert report.sinks["sink"].delivered == room + PRIMERS + report.created
    waits = strategy is OverflowStrategy.BLOCK and face == "await"
    assert waited == (pytest.approx(0.5) if waits else 0.0)


# -- the intake by itself, against a model of it


class Loop:
    """The event loop, as far as an intake needs one; the test is the worker."""

    cancelled_class = KeyError

    def __init__(self) -> None:
        self.callbacks: deque[Callable[[], object]] = deque()

    def task_name(self) -> str:
        return "task"

    def time(self) -> float:
        return 0.0

    running, run_context = None, dict[str, Any]()
    loop = None

    def ready(self, value: bool) -> None:
        return None

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.callbacks.append(callback)

    def turn(self) -> None:
        while self.callbacks:
            self.callbacks.popleft()()


def bare_intake(size: int, reserved: int, strategy: OverflowStrategy) -> tuple[Intake, AsyncLogger, Loop]:
    metrics = MetricsCollector("c", size)
    intake = Intake(Admission(size, reserved, strategy, 0.0), metrics)
    intake.door = Door(intake, metrics.thread_counts)
    loop = Loop()
    intake.open(loop)  # type: ignore[arg-type]
    core = Core(None, intake, ambient_variable("c"), False, Levels("DEBUG", {}))  # type: ignore[arg-type]
    return intake, AsyncLogger(core, Origin("", "", "c")), loop


def content(intake: Intake) -> list[tuple[int, int]]:
    """Return level and number of what is queued, in order."""
    intake.door.empty_into_intake()
    intake.settle()
    return [(r[1], r[3]["number"]) for chunk in intake.chunks if isinstance(chunk, list) for r in chunk]


class Model:
    """What an intake holds, in the plainest words."""

    def __init__(self, size: int, reserved: int, strategy: OverflowStrategy) -> None:
        self.size, self.general, self.strategy = size, size - reserved, strategy
        self.queue: list[tuple[int, int]] = []
        self.lost = 0

    def put(self, level: int, number: int) -> bool:
        if len(self.queue) < (self.size if level >= Level.ERROR else self.general):
            self.queue.append((level, number))
            return True
        self.lost += 1
        if self.strategy is not OverflowStrategy.DROP_OLDEST:
            return False
        for position, (other, _) in enumerate(self.queue):
            if other < Level.ERROR:
                del self.queue[position]
                break
        else:
            if level < Level.ERROR:
                return False
            del self.queue[0]
        self.queue.append((level, number))
        return True


operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(("info", "error")), st.booleans()),
        st.tuples(st.just("burst"), st.sampled_from(("debug", "critical")), st.integers(2, 80)),
        st.tuples(st.sampled_from(("take", "turn")), st.just(""), st.just(False)),
    ),
    min_size=2,
    max_size=60,
)


@given(
    size=st.sampled_from((1, 2, 3, 7, 8, 16, 17, 40, 64, 100)),
    share=st.sampled_from((0.0, 0.1, 0.5)),
    strategy=st.sampled_from(STRATEGIES),
    operations=operations,
)
@settings(max_examples=3 * settings().max_examples)
# A chunk that was evicted from while it was the open one, and was closed since.
@example(
    size=2, share=0.0, strategy=OverflowStrategy.DROP_OLDEST,
    operations=[("put", "error", False), *[("put", "info", False)] * 2, ("take", "", 0), *[("put", "info", False)] * 2],
)  # fmt: skip
# A burst that opens a new chunk by evicting.
@example(size=16, share=0.0, strategy=OverflowStrategy.DROP_OLDEST, operations=[("burst", "info", 40)])
# An error from a thread into the reserve, which evicts nothing.
@example(
    size=2, share=0.1, strategy=OverflowStrategy.DROP_OLDEST,
    operations=[("put", "info", False), ("put", "error", True)],
)  # fmt: skip
# An event from a thread into a full queue: it evicts one.
@example(
    size=3, share=0.1, strategy=OverflowStrategy.DROP_OLDEST,
    operations=[*[("put", "info", False)] * 2, ("put", "error", False), ("put", "info", True)],
)  # fmt: skip
def test_ov13_the_intake_holds_what_a_plain_queue_would(
    size: int, share: float, strategy: OverflowStrategy, operations: list[tuple[str, str, Any]]
) -> None:
    intake, log, loop = bare_intake(size, reserve(size, share), strategy)
    model = Model(size, reserve(size, share), strategy)
    thread, number = intake.thread, 0
    for operation, level, argument in operations:
        foreign = operation == "put" and argument
        if operation == "turn" or (foreign and len(intake.door.records) >= size):
            loop.turn()
        if operation == "take":
            taken = intake.take()
            assert (taken is None) == (not model.queue)
            for record in taken or ():
                assert model.queue.pop(0) == (record[1], record[3]["number"])
        for _ in range({"put": 1, "burst": argument}.get(operation, 0)):
            number += 1
            intake.thread = -1 if foreign else thread  # as if the call came from another thread
            accepted = getattr(log.nowait, level)("m", number=number)
            intake.thread = thread
            fits = model.put(Level.parse(level), number)
            # A thread cannot know that the queue is full of errors, which its event must not evict.
            assert accepted == fits or (accepted and foreign and strategy is OverflowStrategy.DROP_OLDEST)
        if not foreign:
            assert content(intake) == model.queue
            assert intake.depth() == len(model.queue) <= size
    assert content(intake) == model.queue
    rejected = intake._metrics.report().rejected.get("queue_full", 0)
    assert model.lost == sum(intake._metrics.losses().values()) + rejected


class Interrupting(int):
    """A level that does, once, what a signal handler might do while it is looked at."""

    handler: Callable[[], object] | None = None

    def __ge__(self, other: object) -> bool:
        handler, self.handler = self.handler, None
        if handler is not None:
            handler()
        return int(self) >= int(other)  # type: ignore[call-overload]


def test_ov2_pr21_a_chunk_that_a_handler_evicts_while_it_is_looked_at_costs_no_other_one() -> None:
    intake, log, _ = bare_intake(16, 0, OverflowStrategy.DROP_OLDEST)
    for number in range(16):
        assert log.nowait.info("m", number=number)
    first = intake.chunks[0]
    assert isinstance(first, list) and first is not intake.chunk

    def evict_it() -> None:
        for _ in range(len(first)):
            assert intake.evict(Level.INFO)

    level = Interrupting(first[0][1])
    level.handler = evict_it
    first[0] = (first[0][0], level, *first[0][2:])
    size = len(first)
    assert intake._eviction.evict_first_chunk(size) == 0
    assert content(intake) == [(20, number) for number in range(size, 16)]
    assert intake._counts.dropped_evicted == size
    assert intake.depth() == 16 - size


@pytest.mark.parametrize("size", [2, 16])
def test_ov2_pr21_an_event_that_a_handler_evicts_as_it_is_about_to_go_costs_no_other_one(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    intake, log, _ = bare_intake(size, 0, OverflowStrategy.DROP_OLDEST)
    for number in range(size):
        assert log.nowait.info("m", number=number)
    remove = Eviction._remove

    def interrupted(eviction: Eviction, *found: Any) -> bool:
        monkeypatch.setattr(Eviction, "_remove", remove)
        for number in range(size, 2 * size):
            assert log.nowait.info("m", number=number)
        intake.settle()
        return remove(eviction, *found)

    monkeypatch.setattr(Eviction, "_remove", interrupted)
    assert intake.evict(Level.INFO)
    assert content(intake) == [(20, number) for number in range(size + 1, 2 * size)]
    assert intake._counts.dropped_evicted == size + 1
    assert intake.depth() == size - 1


def test_ov2_pr21_an_event_whose_chunk_a_handler_evicts_as_it_is_about_to_go_costs_no_other_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    intake, log, _ = bare_intake(16, 0, OverflowStrategy.DROP_OLDEST)
    for number in range(16):
        assert log.nowait.info("m", number=number)
    remove, size = Eviction._remove, intake.chunk_size

    def interrupted(eviction: Eviction, *found: Any) -> bool:
        monkeypatch.setattr(Eviction, "_remove", remove)
        assert eviction.evict_first_chunk(size) == size
        return remove(eviction, *found)

    monkeypatch.setattr(Eviction, "_remove", interrupted)
    assert intake.evict(Level.INFO)
    assert content(intake) == [(20, number) for number in range(size + 1, 16)]
    assert intake._counts.dropped_evicted == size + 1
    assert intake.depth() == 16 - size - 1


@pytest.mark.parametrize("raising", [False, True], ids=["logs", "raises"])
def test_ov2_pr21_a_handler_that_opens_a_chunk_during_an_eviction_costs_nothing_and_its_error_is_its_own(
    raising: bool,
) -> None:
    intake, log, _ = bare_intake(16, 0, OverflowStrategy.DROP_OLDEST)
    for number in range(16):
        assert log.nowait.info("m", number=number)

    class Looked(int):
        def __lt__(self, other: int) -> bool:
            first[0] = (first[0][0], Level.ERROR, *first[0][2:])
            if raising:
                raise RuntimeError("the handler's own")
            intake.make_room_in_chunk()
            return False

    first = intake.chunks[0]
    assert isinstance(first, list) and len(first) == 2
    first[:] = [(first[0][0], Looked(Level.ERROR), *first[0][2:]), (first[1][0], Level.ERROR, *first[1][2:])]
    if raising:
        with pytest.raises(RuntimeError, match="the handler's own"):
            intake.evict(Level.INFO)
        assert intake.depth() == 16
    else:
        assert intake.evict(Level.INFO)
        assert content(intake) == [(40, 0), (40, 1), *((20, number) for number in range(3, 16))]


async def test_a_flush_in_a_nearly_full_queue_gives_no_room_that_there_is_not() -> None:
    async with AsyncLoggingContainer(
        {"queue_max_size": 1000}, sinks=[fapilog.testing.RecordingSink("sink")]
    ) as entered:
        intake, log = entered.async_pipeline.intake, entered.logger().nowait
        await turns()
        while intake.depth() < intake.general - 3:
            assert log.info("m")
        assert len(intake.chunk) > 3
        intake.put_barrier()
        assert [log.info("m") for _ in range(5)] == [True] * 3 + [False] * 2


async def test_a_smaller_queue_after_a_reload_is_not_filled_by_chunks_of_the_larger_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = fapilog.testing.RecordingSink("sink")
    hand_over = Intake.hand_over
    settings = {"overflow_strategy": "drop_oldest", "batch_linger": 0}

    def crowded(intake: Intake, *given: Any) -> None:
        for _ in range(40):
            assert log.info("before")
        hand_over(intake, *given)
        for _ in range(2000):
            assert log.info("after")
            assert len(intake.chunk) <= intake.chunk_size

    monkeypatch.setattr(Intake, "hand_over", crowded)
    async with AsyncLoggingContainer(settings, sinks=[sink]) as entered:
        log = entered.logger().nowait
        await turns()
        await entered.reload({**settings, "queue_max_size": 8}, sinks=[sink])
    assert account(entered).dropped == {"evicted": 2000}


async def test_an_event_for_whose_wait_there_are_no_frames_left_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=2, reserved_for_errors=0) as entered:
        log = entered.logger()
        await hold(entered)
        assert log.nowait.info("event", number=0) and log.nowait.info("event", number=1)
        waits = [log.info("event", number=2), log.info("event", number=3)]
        sink.gate.set()
        await until(lambda: not entered.async_pipeline.intake.depth())
        admit = Intake._try_admit

        def before(intake: Intake, record: Any) -> bool:
            raise RecursionError

        def behind(intake: Intake, record: Any) -> bool:
            assert admit(intake, record)
            raise RecursionError

        with monkeypatch.context() as struck:
            struck.setattr(Intake, "_try_admit", before)
            assert not await waits[0]
            struck.setattr(Intake, "_try_admit", behind)
            assert await waits[1]
    assert sink.values("number") == [0, 1, 3]
    assert losses(account(entered)) == {"dropped.recursion": 1}


# -- waiting for room


async def test_ov3_callers_that_wait_get_room_in_the_order_of_their_calls() -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=2, reserved_for_errors=0) as entered:
        log = entered.logger()
        await hold(entered)
        assert [await log.info("event", number=n) for n in range(2)] == [True, True]
        got: list[int] = []

        async def wait(number: int) -> None:
            assert await log.info("event", number=number)
            got.append(number)

        async with anyio.create_task_group() as callers:
            for number in range(2, 12):
                callers.start_soon(wait, number)
                await turns()  # each waits before the next one calls
            assert not log.nowait.info("event", number=99), "a call that cannot wait must not overtake those who do"
            assert entered.stats().in_flight == 12
            sink.gate.set()
    report = account(entered)
    assert sink.values("number") == list(range(12))
    assert got == list(range(2, 12))
    assert losses(report) == {"dropped.queue_full": 1}


async def test_no_later_call_takes_the_room_that_a_waiting_one_was_given() -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=1) as entered:
        log = entered.logger()
        await hold(entered)
        assert await log.info("event", number=0)

        async def producer() -> None:
            for number in range(1, 30):
                assert await log.info("event", number=number)

        refused = 0
        async with anyio.create_task_group() as callers:
            callers.start_soon(producer)
            await turns()
            sink.gate.set()
            while len(sink.values("number")) < 30:
                refused += not log.nowait.info("other")
                await anyio.lowlevel.checkpoint()
    assert sink.values("number") == list(range(30))
    assert losses(account(entered)).get("dropped.queue_full", 0) == refused > 0


async def test_an_error_uses_the_reserve_and_passes_those_who_wait_for_other_room() -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=10, reserved_for_errors=0.2) as entered:
        log = entered.logger()
        await hold(entered)
        for number in range(8):
            assert log.nowait.info("event", number=number)
        assert not log.nowait.warning("event", number=98)
        async with anyio.create_task_group() as callers:
            callers.start_soon(log_awaited, log, "info", 8)
            await turns()
            assert await log.error("event", number=100)
            assert await log.critical("event", number=101)
            assert not log.nowait.error("event", number=99), "the reserve has an end"
            sink.gate.set()
    assert sink.values("number") == [0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 8]
    assert losses(account(entered)) == {"dropped.queue_full": 2}


async def log_awaited(log: AsyncLogger, level: str, number: int) -> None:
    assert await outcome(log, "await", number, level)


async def test_an_error_that_waits_is_overtaken_by_no_later_error() -> None:
    intake, log, _ = bare_intake(16, 8, OverflowStrategy.BLOCK)
    intake.admission = intake.admission._replace(block_timeout=10.0)
    intake.backend = current_backend()  # who waits for room really waits
    for number in range(8):
        assert log.nowait.info("m", number=number)
    for number in range(8, 16):
        assert log.nowait.error("m", number=number)
    async with anyio.create_task_group() as callers:
        callers.start_soon(log_awaited, log, "info", 100)
        await turns()
        callers.start_soon(log_awaited, log, "error", 101)
        await turns()
        intake.take()  # room in the reserve, none beside it
        assert log.nowait.error("m", number=102)
        assert [number for _, number in content(intake)][-2:] == [101, 102]
        while intake.take():
            await turns()


async def test_block_timeout_ends_the_wait_and_then_nobody_waits_until_room_has_come_back() -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=4, reserved_for_errors=0) as entered:
        log = entered.logger()
        await hold(entered)
        for number in range(4):
            assert await log.info("event", number=number)
        began = anyio.current_time()
        assert not await log.info("event", number=90)
        assert anyio.current_time() - began == pytest.approx(0.5)
        for number in (91, 92):
            assert not await log.info("event", number=number)
        assert not await log.error("event", number=93), "nor does an error, if nothing is reserved for it"
        assert anyio.current_time() - began == pytest.approx(0.5), "a dead sink costs one timeout and not one per line"
        assert losses(entered.stats()) == {"dropped.block_timeout": 1, "dropped.congested": 3}
        sink.gate.set()
        await until(lambda: 3 in sink.values("number"))
        assert await log.info("event", number=4)
        await until(lambda: "events were lost" in sink.messages and 4 in sink.values("number"))
        sink.gate = anyio.Event()
        await hold(entered)
        for number in range(5, 9):
            assert await log.info("event", number=number)
        began = anyio.current_time()
        assert not await log.info("event", number=94)
        assert anyio.current_time() - began == pytest.approx(0.5), "after room came back, calls wait again"
        sink.gate.set()
    assert sink.values("number") == list(range(9))
    assert losses(account(entered)) == {"dropped.block_timeout": 2, "dropped.congested": 3}


async def test_waiting_callers_all_have_their_own_timeout() -> None:
    sink = HeldSink()
    ended: list[float] = []
    async with held_container(sink, queue_max_size=1) as entered:
        log = entered.logger()
        await hold(entered)
        assert await log.info("event", number=0)

        async def wait() -> None:
            assert not await log.info("late")
            ended.append(anyio.current_time() - began)

        began = anyio.current_time()
        async with anyio.create_task_group() as callers:
            for _ in range(3):
                callers.start_soon(wait)
                await anyio.sleep(0.1)
        sink.gate.set()
    assert ended == [pytest.approx(0.5), pytest.approx(0.6), pytest.approx(0.7)]
    assert losses(account(entered)) == {"dropped.block_timeout": 3}


async def test_a_call_that_is_never_awaited_is_counted_and_taken_back_when_it_is_awaited() -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=2, reserved_for_errors=0) as entered:
        log = entered.logger()
        await hold(entered)
        for number in range(2):
            log.info("event", number=number)  # an unawaited call with room loses only the backpressure
        forgotten = log.info("event", number=90)
        later = log.info("event", number=2)
        assert losses(entered.stats()) == {"dropped.not_awaited": 2}
        assert entered.stats().submitted == PRIMERS + 4
        sink.gate.set()
        assert await later is True
        assert await later is True, "a second await only tells again"
        del forgotten
        assert losses(entered.stats()) == {"dropped.not_awaited": 1}
    assert sink.values("number") == [0, 1, 2]
    assert account(entered).submitted == PRIMERS + 4


async def test_a_call_awaited_after_the_end_is_rejected_as_closed() -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=1) as entered:
        await hold(entered)
        assert await entered.logger().info("event", number=0)
        late = entered.logger().info("event", number=1)
        sink.gate.set()
        await entered.aclose()
        assert await late is False
    assert losses(account(entered)) == {"rejected.closed": 1}


async def test_cx1_a_caller_cancelled_while_it_waits_is_counted_once_and_the_cancellation_goes_on() -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=1) as entered:
        log = entered.logger()
        await hold(entered)
        assert await log.info("event", number=0)
        with anyio.move_on_after(0.1) as scope:
            await log.info("event", number=90)
            raise AssertionError("the wait was not cancelled")
        assert scope.cancelled_caught
        assert losses(entered.stats()) == {"dropped.cancelled": 1}
        # Those behind it are not held up by it.
        async with anyio.create_task_group() as callers:
            with anyio.CancelScope() as scope:
                callers.start_soon(cancelled_wait, scope, log)
                await turns()
                callers.start_soon(log_awaited, log, "info", 1)
                await turns()
            scope.cancel()
            await turns()
            sink.gate.set()
    assert sink.values("number") == [0, 1]
    assert losses(account(entered)) == {"dropped.cancelled": 2}


async def cancelled_wait(scope: anyio.CancelScope, log: AsyncLogger) -> None:
    with anyio.CancelScope() as own:
        async with anyio.create_task_group() as inner:

            async def watch() -> None:
                while not scope.cancel_called:
                    await anyio.lowlevel.checkpoint()
                own.cancel()

            inner.start_soon(watch)
            await log.info("event", number=91)


async def test_cx10_nothing_waits_while_a_cancellation_is_handled() -> None:
    sink = HeldSink()
    reached = []
    async with held_container(sink, queue_max_size=1) as entered:
        log = entered.logger()
        await hold(entered)
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await anyio.sleep(1)
            finally:
                assert await log.info("event", number=0)
                assert not await log.info("event", number=1)
                reached.append(anyio.current_time())
        assert reached
        sink.gate.set()
    assert sink.values("number") == [0]
    assert losses(account(entered)) == {"dropped.queue_full": 1}


async def test_cx10_a_call_that_is_awaited_while_a_cancellation_is_handled_does_not_wait_either() -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=1) as entered:
        log = entered.logger()
        await hold(entered)
        assert await log.info("event", number=0)
        with anyio.CancelScope() as scope:
            made = log.info("event", number=1)
            scope.cancel()
            try:
                await anyio.sleep(1)
            finally:
                began = anyio.current_time()
                assert not await made
                assert anyio.current_time() == began
        assert losses(entered.stats()) == {"dropped.queue_full": 1}
        sink.gate.set()
    assert account(entered).submitted == PRIMERS + 2


async def test_a_call_that_is_awaited_after_others_have_waited_in_vain_does_not_wait_either() -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=1) as entered:
        log = entered.logger()
        await hold(entered)
        assert await log.info("event", number=0)
        made = log.info("event", number=1)
        assert not await log.info("event", number=2)
        began = anyio.current_time()
        assert not await made
        assert anyio.current_time() == began
        assert losses(entered.stats()) == {"dropped.block_timeout": 1, "dropped.congested": 1}
        sink.gate.set()
    assert account(entered).submitted == PRIMERS + 3


async def test_closing_refuses_those_who_wait() -> None:
    sink = HeldSink()
    async with held_container(sink, queue_max_size=1) as entered:
        log = entered.logger()
        await hold(entered)
        assert await log.info("event", number=0)
        said = []

        async def wait() -> None:
            said.append(await log.info("event", number=1))

        async with anyio.create_task_group() as callers:
            callers.start_soon(wait)
            await turns()
            callers.start_soon(entered.aclose)
            await turns()
            assert said == [False]
            sink.gate.set()
    assert sink.values("number") == [0]
    assert losses(account(entered)) == {"rejected.closed": 1}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
async def test_a_synchronous_burst_is_dropped_beyond_the_queue_and_what_was_accepted_arrives(
    strategy: OverflowStrategy, size: int
) -> None:
    sink = HeldSink()
    sink.gate.set()
    async with held_container(sink, queue_max_size=size, overflow_strategy=strategy) as entered:
        for number in range(3 * size):
            entered.logger().nowait.info("event", number=number)
        assert entered.metrics_collector.snapshot().queue_depth <= size
    room = size - reserve(size)
    kept = range(3 * size - room, 3 * size) if strategy is OverflowStrategy.DROP_OLDEST else range(room)
    assert sink.values("number") == list(kept)
    assert sum(losses(account(entered)).values()) == 2 * size + reserve(size)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 16])
async def test_a_queue_that_is_small_does_not_stay_full_while_its_events_linger(size: int) -> None:
    sink = HeldSink()
    sink.gate.set()
    async with held_container(sink, queue_max_size=size, overflow_strategy="drop_newest", batch_linger=1) as entered:
        for number in range(20):
            assert entered.logger().nowait.info("event", number=number)
            await turns()
    assert sink.values("number") == list(range(20))


async def test_an_event_from_a_thread_is_not_left_behind_when_a_call_on_the_loop_finds_the_queue_full() -> None:
    """The thread's event fills the queue, and the loop's call comes before the door's answer and has no room."""
    sink = HeldSink()
    sink.gate.set()
    async with held_container(sink, queue_max_size=1) as entered:
        log = entered.logger()
        await turns()
        thread, entered.async_pipeline.intake.thread = entered.async_pipeline.intake.thread, -1
        assert log.nowait.info("event", number=0)
        entered.async_pipeline.intake.thread = thread
        assert not log.nowait.info("event", number=1)
        await until(lambda: sink.values("number") == [0])
        assert await log.info("event", number=2)
    assert sink.values("number") == [0, 2]
