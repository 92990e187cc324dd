"""CapturedLogs: a recording sink with assertions, which knows whether events are still on their way to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from ..container import AsyncLoggingContainer, SettingsSource
from ..container import container as open_container
from ..event import LogEvent
from ..logger import AsyncLogger
from .matching import Wanted, listed, nearest
from .recording import PlainRecordingSink


class CapturedLogs(PlainRecordingSink):
    """Keeps every event of the containers it is a sink of, and asserts what was logged."""

    def __init__(self, name: str = "captured") -> None:
        super().__init__(name)
        self._containers: list[AsyncLoggingContainer] = []

    def container(self, settings: SettingsSource = None, **plugins: Any) -> AbstractAsyncContextManager[AsyncLogger]:
        """Return ``fapilog.container(settings, ...)`` with this as a sink, beside those that *plugins* names.

        Parameters:
            settings: a :class:`Settings`, a mapping, the path of a TOML file, or None for the defaults.
            plugins: the other keywords of :func:`fapilog.container`.
        """
        plugins["sinks"] = [*(plugins.get("sinks") or ()), self]
        block = open_container(settings, **plugins)
        self.watch(block._container)
        return block

    def watch(self, container: AsyncLoggingContainer) -> None:
        """Let the assertions know of a container that has this as a sink."""
        self._containers.append(container)

    def assert_logged(
        self,
        message: str | re.Pattern[str] | None = None,
        *,
        level: str | int | None = None,
        logger: str | None = None,
        fields: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        exception: str | None = None,
        times: int | None = None,
    ) -> LogEvent:
        """Assert that an event like that was logged; the parameters are those of :meth:`Recorded.find`.

        Parameters:
            times: how many such events there have to be; at least one if None.

        Returns:
            The first of them.

        Raises:
            AssertionError: if there is none, or another number of them; it shows the events that come nearest.
            ValueError: if the level is none, or *times* is below 1.
        """
        __tracebackhide__ = True
        if times is not None and times < 1:
            raise ValueError(f"times is {times}; give 1 or more, or use assert_nothing_logged")
        wanted = Wanted(
            message=message,
            level=level,
            logger=logger,
            exception=exception,
            fields=fields or {},
            context=context or {},
            tags=tags or {},
            metrics=metrics or {},
        )
        events = self.events
        found = [event for event in events if wanted.matches(event)]
        if not found:
            text = f"no event was logged with {wanted}; nearest:\n{nearest(wanted, events)}"
        elif times is not None and len(found) != times:
            text = f"{len(found)} events were logged with {wanted}, not {times}:\n{listed(found)}"
        else:
            return found[0]
        raise AssertionError(text + self._on_their_way())

    def assert_nothing_logged(
        self,
        message: str | re.Pattern[str] | None = None,
        *,
        level: str | int | None = None,
        logger: str | None = None,
        fields: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Assert that nothing like that was logged; without arguments, that nothing was logged.

        Parameters:
            level: this level or any above it.
            message, logger, fields, tags: as in :meth:`Recorded.find`.

        Raises:
            AssertionError: if an event like that was logged, which is shown; or if events are still on their way to
                this sink, so that it cannot be told.
            ValueError: if the level is none.
        """
        __tracebackhide__ = True
        wanted = Wanted(message=message, at_least=level, logger=logger, fields=fields or {}, tags=tags or {})
        found = [event for event in self.events if wanted.matches(event)]
        if found:
            raise AssertionError(f"{len(found)} events were logged with {wanted}:\n{listed(found)}")
        if waiting := self._on_their_way():
            raise AssertionError(f"whether nothing was logged with {wanted} cannot be told yet{waiting}")

    def _on_their_way(self) -> str:
        """Return a hint if events have not arrived yet, which a test that does not flush would not see."""
        number = 0
        for container in self._containers:
            number += container.stats().in_flight
            for delivery in container.async_pipeline.deliveries:
                if delivery.caller._plugin is self:
                    number += delivery.counts.in_flight
        if not number:
            return ""
        return f"\n{number} more events are on their way; await log.flush() before asserting"
