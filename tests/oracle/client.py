"""What the program under fault uses: producers of events, and a journal that survives the program."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from .ids import Payload, derive, identify


class Report(Protocol):
    """A `fapilog.DrainReport`, as far as the client is concerned."""

    @property
    def container_id(self) -> str: ...


class Client:
    """Issues the ids of one run and notes what became of them.

    A note is one write to the end of a file, without a buffer in this process: what was noted stays, whatever happens
    to the process next. It may be used from any thread, from signal handlers and finalizers, and after a fork.
    """

    def __init__(self, directory: Path, control: int | None = None) -> None:
        """Open the journal.

        Parameters:
            directory: the run's directory, which has a file ``run`` with the run's id.
            control: the descriptor on which whoever runs the program is told how far it is.
        """
        self.directory = directory
        self.run = (directory / "run").read_text()
        self._control = control
        self._journal = os.open(directory / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def producer(self, name: str, *, ordered: bool = True) -> Producer:
        """Return a new producer; one that may be interrupted by itself is not *ordered*."""
        self.note(f"producer {name} {'ordered' if ordered else 'unordered'}")
        return Producer(self, name)

    def note(self, line: str) -> None:
        """Append a line to the journal."""
        os.write(self._journal, f"{line}\n".encode())

    def struck(self, fault: str) -> None:
        """Note that a fault has struck: called where it takes effect, not where it is asked for."""
        self.note(f"struck {fault}")

    def tell(self, words: str) -> None:
        """Tell whoever runs the program how far it is."""
        if self._control is not None:
            os.write(self._control, f"told {words}\n".encode())

    def leave_ledger(self, report: Report, *, running: bool = False) -> None:
        """Leave the account of a container.

        Parameters:
            report: the account, taken after the container was left.
            running: whether threads go on calling the container, whose calls are then refused.
        """
        import attrs

        account = attrs.asdict(report)  # type: ignore[arg-type]
        account["calls_go_on"] = running
        path = self.directory / f"ledger-{report.container_id}.json"
        path.write_text(json.dumps(account))


class Producer:
    """Logs its events one after the other and notes each outcome."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._client = client
        self._numbers = count()

    def call(self, log: Any) -> bool:
        """Log the next event with a logger that does not wait for a loop; return whether it was accepted."""
        number, payload = self._next()
        return self._noted(number, lambda: _method(log, payload)(payload.message, **payload.fields))

    async def acall(self, log: Any) -> bool:
        """Log the next event with an asynchronous logger; return whether it was accepted."""
        number, payload = self._next()
        try:
            accepted = await _awaitable(log, payload)
        except BaseException as error:
            self._failed(number, error)
            raise
        self._client.note(f"{'accepted' if accepted else 'refused'} {self.name} {number}")
        return bool(accepted)

    def _next(self) -> tuple[int, Payload]:
        number = next(self._numbers)
        return number, derive(identify(self._client.run, self.name, number))

    def _noted(self, number: int, call: Callable[[], bool]) -> bool:
        try:
            accepted = call()
        except BaseException as error:
            self._failed(number, error)
            raise
        self._client.note(f"{'accepted' if accepted else 'refused'} {self.name} {number}")
        return accepted

    def _failed(self, number: int, error: BaseException) -> None:
        # A cancellation or an interrupt passes after the event is accounted for; which way, the caller does not learn.
        outcome = "refused" if type(error).__name__ == "QueueFull" else "unknown"
        self._client.note(f"{outcome} {self.name} {number}")


def _method(log: Any, payload: Payload) -> Callable[..., bool]:
    method: Callable[..., bool] = getattr(log, payload.level)
    return method


def _awaitable(log: Any, payload: Payload) -> Awaitable[bool]:
    awaitable: Awaitable[bool] = getattr(log, payload.level)(payload.message, **payload.fields)
    return awaitable
