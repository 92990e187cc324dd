"""The demo's console: the console sink, shown a sample of the events."""

from __future__ import annotations

from ..errors import PartialWriteError
from ..event import LogEvent
from ..plugins.batch import Batch
from ..sinks.console import ConsoleSink

FIRST = 12
EVERY = 500


class SampledConsole:
    """Writes the first events and then one of many to the console; thousands of lines would tell nobody anything.

    Which ones depends on their sequence alone, so that a retry shows the same.
    """

    blocking = True
    ordered = True

    def __init__(self) -> None:
        self._console = ConsoleSink()

    def start(self) -> None:
        self._console.start()

    def write(self, batch: Batch) -> None:
        shown = [position for position, event in enumerate(batch.events) if _is_shown(event)]
        if not shown:
            return
        try:
            self._console.write(batch.select(shown))
        except PartialWriteError as error:
            raise PartialWriteError({shown[position]: why for position, why in error.failed.items()}) from error

    def aclose(self) -> None:
        self._console.aclose()


def _is_shown(event: LogEvent) -> bool:
    return event.sequence <= FIRST or event.sequence % EVERY == 0
