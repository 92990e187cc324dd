"""Sinks of every form that misbehave in every way: the account is exact, nothing hangs, and no other sink notices.

With the filters, enrichers, processors and redactors of ``test_stages.py`` this is the whole matrix of kinds and
misbehaviours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from fapilog import AsyncLoggingContainer
from fapilog.testing import RecordingSink
from misbehaviour import ASYNCHRONOUS, MISBEHAVIOURS
from sinks import account, quiet
from support import AsyncSink, DirectSink, SyncSink, living, own_threads

pytestmark = pytest.mark.anyio

MESSAGES = ["a", "b", "c"]


def misbehaving(sink: Any, method: str, misbehave: Callable[..., Any]) -> Any:
    """Return *sink* with *misbehave* as one of its methods."""
    if method == "write":
        setattr(sink, method, misbehave)
    elif sink.__class__ is AsyncSink:

        async def no_argument() -> Any:
            return await misbehave(None)

        setattr(sink, method, no_argument)
    else:
        setattr(sink, method, lambda: misbehave(None))
    return sink


async def check_cell(sink: Any, method: str) -> None:
    tasks, threads = living(), own_threads()
    good, other = RecordingSink("good"), AsyncSink("other")
    policy = {"attempts": 2, "backoff": 0, "write_timeout": 0.05, "required": method != "start"}
    container = AsyncLoggingContainer(
        {
            "batch_linger": 0,
            "shutdown_timeout": 1,
            "on_incomplete": "ignore",
            "plugin_config": {"sink": {**policy, "overflow_strategy": "block"}},
        },
        sinks=[good, sink, other],
    )
    quiet(container)
    async with container:
        began = anyio.current_time()
        log = container.logger()
        for message in MESSAGES:
            assert await log.info(message)
            assert log.nowait.debug(message) is False
        if method == "flush":
            await log.flush(0.3)
    assert anyio.current_time() - began <= 2
    report = account(container)
    assert report.submitted == report.dispatched == 3
    assert report.sinks["good"].delivered == report.sinks["other"].delivered == 3
    assert good.messages == other.messages == MESSAGES
    bad = report.sinks["sink"]
    if method in ("write", "start"):
        assert bad.delivered == 0 and sum(bad.failed.values()) == 3, str(report)
    else:
        assert bad.delivered == 3
    assert living() == tasks and own_threads() == threads


@pytest.mark.parametrize("method", ["write", "flush", "aclose", "start"])
@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
@pytest.mark.parametrize("kind", [SyncSink, DirectSink], ids=["thread", "direct"])
async def test_pl14_a_synchronous_sink_that_misbehaves_costs_no_other_sink_anything(
    kind: type[SyncSink], misbehaviour: str, method: str
) -> None:
    if method == "start" and misbehaviour.startswith("returns"):
        pytest.skip("what start returns means nothing")
    await check_cell(misbehaving(kind(), method, MISBEHAVIOURS[misbehaviour]), method)


@pytest.mark.parametrize("method", ["write", "flush", "aclose", "start"])
@pytest.mark.parametrize("misbehaviour", ASYNCHRONOUS)
async def test_pl14_an_asynchronous_sink_that_misbehaves_costs_no_other_sink_anything(
    misbehaviour: str, method: str
) -> None:
    if method == "start" and misbehaviour.startswith("returns"):
        pytest.skip("what start returns means nothing")
    await check_cell(misbehaving(AsyncSink(), method, ASYNCHRONOUS[misbehaviour]), method)
