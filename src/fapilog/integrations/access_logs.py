"""What uvicorn, Hypercorn and Granian log: requests as fields instead of a line of text, exceptions once."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from ..container import AsyncLoggingContainer
from ..current import current_logger
from ..errors import NoCurrentLogger
from ._feed import Feed
from ._layers import Layer
from ._secret_names import Masking, secret_names
from ._served import Served, served_as, served_with
from .stdlib import FapilogHandler

_SERVERS = (
    "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "hypercorn.error", "hypercorn.access",
    "granian.access",
)  # fmt: skip
"""Each by itself, for a filter sees the records of its own logger only."""
_GRANIAN = "_granian"
"""Above the loggers of Granian's modules, whichever they are; it has a handler, and nothing propagates further."""
_ACCESS = frozenset({"uvicorn.access", "hypercorn.access", "granian.access"})
_RAISED = (
    ("uvicorn.error", "Exception in ASGI application"),
    ("hypercorn.error", "Error in ASGI Framework"),
    ("_granian.", "Application callable raised an exception"),
)
"""How loggers' names and messages begin that tell of an exception which has left the application."""
_WEBSOCKET = '%s - "WebSocket %s"'
"""How the messages begin in which uvicorn tells of a WebSocket's handshake, with the query in the second argument."""


class ServerLogHandler(FapilogHandler):
    """Logs the records of uvicorn, Hypercorn and Granian; those of their access logs with the request as fields.

    Such an event has the message ``request`` and the fields ``client``, ``method``, ``path``, ``query`` (its secrets
    masked), ``http_version`` and ``status``; Granian's have ``duration`` (seconds) too, Hypercorn's also
    ``response_size`` (bytes), ``user_agent`` and ``referer``. uvicorn's records of a WebSocket's handshake become
    ``websocket`` with ``client``, ``path``, ``query``, ``accepted``, and ``status`` if it was refused; Granian's, made
    before the application has decided, without the last two. A record that is not as these servers make them is
    logged as it is.

    A record about an exception that has left the application has the request's id, and is no event if the request's
    own event tells of that exception: it is counted under ``filtered`` as ``told_already``.

    Parameters:
        container: where the records go; None for the current one, as for :class:`FapilogHandler`.
        redact: names of query parameters that hold secrets, beside those that are known to.
    """

    def __init__(self, container: AsyncLoggingContainer | None = None, *, redact: Collection[str] = ()) -> None:
        super().__init__(container)
        self._masking = Masking(secret_names(redact))
        self._elsewhere: Feed | None = None
        """Of the container for records that come where none is current."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record* as an event."""
        served: Served | None = None
        try:
            error = _raised(record)
            if error is None:
                message, fields = self._read(record)
                if record.name == "granian.access" and message == "request":
                    served = served_as(str(fields["method"]), str(fields["path"]))
            else:
                served = served_with(error)
                if served is not None and served.told(error):
                    served.logger.container.metrics_collector.discard("told_already", 1)
                    return
                # In Granian's, the traceback's text follows.
                message = str(record.msg).partition("\n")[0]
                fields = {"exc_info": (type(error), error, error.__traceback__)}
            if message:
                # A copy: other handlers get the record as it was.
                record = logging.makeLogRecord({**record.__dict__, "msg": message, "args": (), **fields})
        except Exception:
            self.handleError(record)
            return
        with nullcontext() if served is None else served.context():
            super().emit(record)

    def _current_feed(self) -> Feed | None:
        return super()._current_feed() or self._elsewhere

    def _read(self, record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
        """Return the message and the fields that a record stands for; an empty message if it stands for itself."""
        arguments: Any = record.args
        if record.name == "uvicorn.access" and _has_length(arguments, 5, 5):
            return "request", self._of_uvicorn(*arguments)
        if record.name == "hypercorn.access" and _has_atoms(arguments):
            return "request", self._of_hypercorn(arguments)
        if record.name == "granian.access" and _has_names(arguments):
            return ("websocket" if arguments["scheme"] in ("ws", "wss") else "request"), self._of_granian(arguments)
        message = str(record.msg) if record.name == "uvicorn.error" else ""
        if message.startswith(_WEBSOCKET) and _has_length(arguments, 2, 3):
            return "websocket", self._of_handshake(message, *arguments)
        return "", {}

    def _of_uvicorn(self, client: str, method: str, path: str, http_version: str, status: int) -> dict[str, Any]:
        return {
            **_client(client), "method": method, **self._target(path), "http_version": http_version, "status": status,
        }  # fmt: skip

    def _of_handshake(self, message: str, client: str, path: str, status: int | None = None) -> dict[str, Any]:
        fields: dict[str, Any] = {**_client(client), **self._target(path), "accepted": message.endswith("[accepted]")}
        if not fields["accepted"]:
            fields["status"] = status or 403
        return fields

    def _of_hypercorn(self, atoms: Mapping[str, Any]) -> dict[str, Any]:
        """Read the atoms of Hypercorn's access log (https://hypercorn.readthedocs.io/en/latest/how_to_guides/logging.html)."""
        fields: dict[str, Any] = {
            **_client(atoms["h"]),
            "method": atoms["m"],
            **self._target(atoms["Uq"]),
            "http_version": atoms["H"],
        }
        if str(atoms["s"]).isdigit():  # a dash for a request that got no response
            fields["status"] = int(atoms["s"])
        if str(atoms["b"]).isdigit():
            fields["response_size"] = int(atoms["b"])
        fields["duration"] = float(atoms["L"])
        for name, atom in (("user_agent", "a"), ("referer", "f")):
            if (value := str(atoms[atom])) not in ("", "-"):
                fields[name] = self._masking.text(value)
        return fields

    def _of_granian(self, atoms: Mapping[str, Any]) -> dict[str, Any]:
        """Read the atoms of Granian's access log (https://github.com/emmett-framework/granian#access-log-format)."""
        fields: dict[str, Any] = {"client": str(atoms["addr"])}
        is_request = atoms["scheme"] not in ("ws", "wss")
        if is_request:
            fields["method"] = atoms["method"]
        fields["path"] = str(atoms["path"])
        if query := str(atoms["query_string"]):
            fields["query"] = self._masking.query(query)
        fields["http_version"] = str(atoms["protocol"]).removeprefix("HTTP/")
        if is_request:  # of a WebSocket it has the status and the time of one that is accepted at once
            fields["status"] = int(atoms["status"])
            fields["duration"] = round(float(atoms["dt_ms"]) / 1000, 6)
        return fields

    def _target(self, target: str) -> dict[str, str]:
        path, _, query = str(target).partition("?")
        return {"path": path, "query": self._masking.query(query)} if query else {"path": path}


def _has_length(arguments: object, least: int, most: int) -> bool:
    return isinstance(arguments, tuple) and least <= len(arguments) <= most  # pyright: ignore[reportUnknownArgumentType]


def _has_atoms(arguments: object) -> bool:
    return isinstance(arguments, Mapping) and "m" in arguments


def _has_names(arguments: object) -> bool:
    return isinstance(arguments, Mapping) and "addr" in arguments


def _raised(record: logging.LogRecord) -> BaseException | None:
    """Return the exception that has left the application, if *record* is a server's about one."""
    if not any(record.name.startswith(name) and str(record.msg).startswith(text) for name, text in _RAISED):
        return None
    # Granian gives its text only, but logs while it handles it.
    found = record.exc_info
    error = found[1] if isinstance(found, tuple) else sys.exc_info()[1]
    return error if isinstance(error, BaseException) else None


def _client(address: str | None) -> dict[str, str]:
    """Return the host of ``host:port``; nothing for a client without an address, behind a Unix socket."""
    host = str(address or "").rpartition(":")[0]
    return {"client": host} if host else {}


class _Taking(logging.Filter):
    """Gives the records of a logger to one handler, and to nobody else.

    A filter, since Hypercorn gives its loggers new handlers when it serves, after the application has started.
    """

    def __init__(self, handler: logging.Handler | None) -> None:
        super().__init__()
        self._handler = handler

    def filter(self, record: logging.LogRecord) -> bool:
        if self._handler is not None:
            self._handler.handle(record)
        return False


def _feed_from_here() -> Feed | None:
    try:
        return Feed(current_logger().container)
    except NoCurrentLogger:
        return None


@contextmanager
def capture_server_logs(
    container: AsyncLoggingContainer | None = None, *, access: bool = True, redact: Collection[str] = ()
) -> Generator[ServerLogHandler]:
    """Log what uvicorn, Hypercorn and Granian log to the container inside the block, instead of where else it goes.

    Enter it in the application's own lifespan. What the server says outside of that goes where it always goes. Servers
    write an access log if they are told to: uvicorn unless there is ``--no-access-log``, Hypercorn with
    ``--access-logfile -``, Granian with ``--access-log``.

    Parameters:
        container: the container; None for the one that is current where a record arrives, and where none is, for the
            one that is current where the block is entered.
        access: whether the access logs are taken too; if not, nobody gets them, for the middleware says the same.
        redact: names of query parameters that hold secrets, beside those that are known to.
    """
    handler = ServerLogHandler(container, redact=redact)
    handler._elsewhere = _feed_from_here()
    granian = Layer(logging.getLogger(_GRANIAN), handler, None, replaces=True)
    taking, leaving = _Taking(handler), _Taking(None)
    put_on: list[tuple[logging.Logger, _Taking]] = []
    try:
        for name in _SERVERS:
            logger, own = logging.getLogger(name), taking if access or name not in _ACCESS else leaving
            logger.filters.insert(0, own)  # before those of a capture around this one
            put_on.append((logger, own))
        granian.put_on()
        yield handler
    finally:
        granian.take_off()
        for logger, own in put_on:
            logger.removeFilter(own)
        handler.close()


__all__ = ("ServerLogHandler", "capture_server_logs")
