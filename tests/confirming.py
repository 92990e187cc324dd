"""What the tests of confirmed calls share."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

from fapilog import AsyncLoggingContainer, NotConfirmed
from sinks import account, quiet


def make(*sinks: object, policies: Mapping[str, Any] | None = None, **given: Any) -> AsyncLoggingContainer:
    """Return a quiet container; the keywords that are no settings are plugins."""
    plugins = {name: given.pop(name) for name in ("filters", "enrichers", "processors", "redactors") if name in given}
    container = AsyncLoggingContainer(
        {"plugin_config": dict(policies or {}), "on_incomplete": "ignore", **given}, sinks=sinks, **plugins
    )
    quiet(container)
    return container


def pending(container: AsyncLoggingContainer) -> int:
    """Return how many confirmed calls have no outcome yet."""
    return len(container.async_pipeline.intake.confirmations)


async def refused(call: Awaitable[bool]) -> NotConfirmed:
    """Return the error of a confirmed call that is refused."""
    with pytest.raises(NotConfirmed) as caught:
        await call
    return caught.value


async def refused_at_once(call: Awaitable[bool]) -> NotConfirmed:
    """Return the same of a call that does not wait for its deadline."""
    began = anyio.current_time()
    error = await refused(call)
    assert anyio.current_time() == began
    return error


def told(error: NotConfirmed) -> dict[str, str]:
    return {name: str(outcome) for name, outcome in error.sinks.items()}


@contextmanager
def nothing_left(container: AsyncLoggingContainer) -> Generator[None]:
    """Check that no confirmation is left when the block ends, and that the account of the container is exact."""
    yield
    assert pending(container) == 0
    account(container)
