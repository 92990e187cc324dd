"""The console sink: lines for people, in colour on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias, get_args

import attrs

from ..plugins.batch import Batch
from ..plugins.metadata import PluginMetadata, PluginType
from ..plugins.protocols import PlainWrite
from ._descriptor import StandardStream, StreamName, is_terminal
from ._formats import FORMATS, Format

Colour: TypeAlias = Literal["auto", "always", "never"]


@attrs.frozen
class ConsoleConfig:
    """What the console sink can be told."""

    stream: StreamName = attrs.field(default="stdout", validator=attrs.validators.in_(get_args(StreamName)))
    """The stream to write to."""
    colour: Colour = attrs.field(default="auto", validator=attrs.validators.in_(get_args(Colour)))
    """Whether to use colour; ``auto`` asks the environment and then the stream, see :func:`wants_colour`."""
    format: Format = attrs.field(default="console", validator=attrs.validators.in_(FORMATS))
    """The format of the records; only ``console`` has colours."""
    stall_timeout: float = attrs.field(
        default=4.0,
        validator=[attrs.validators.gt(0.0), attrs.validators.le(3600.0)],
        metadata={"unit": "seconds"},
    )
    """Seconds, above 0 and at most 3600, that one write waits in all for a reader that does not read.

    Keep it below the sink's ``write_timeout``: then the events that got out are told from those that did not.
    """


class ConsoleSink:
    """Writes events for people to read; the streams are treated as :class:`fapilog.sinks.streams.StdoutSink` does."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="console", version="1.0.0", plugin_type=PluginType.SINK, entry_point="fapilog.sinks.console:ConsoleSink"
    )
    Config = ConsoleConfig
    blocking: ClassVar[bool] = True
    ordered: ClassVar[bool] = True

    def __init__(self, config: ConsoleConfig | None = None) -> None:
        config = config or ConsoleConfig()
        self._colour: Colour = config.colour
        self._format: Format = config.format
        self.payload_format: str = config.format
        """What :meth:`write` writes; the pipeline has it ready."""
        self._stream = StandardStream(config.stream, config.stall_timeout)

    def start(self) -> None:
        """Look the stream up and decide on colour; a missing stream fails the writes and not the start."""
        self._stream.open()
        coloured = wants_colour(self._colour, os.environ, is_terminal=self._stream.is_terminal)
        self.payload_format = "console_colour" if coloured and self._format == "console" else self._format

    def write(self, batch: Batch) -> None:
        """Write *batch*.

        Raises:
            TransientSinkError: if the reader has stopped reading and no event got out.
            PermanentSinkError: if the reader is gone or there is no such stream.
            PartialWriteError: if either happened after the first events were out.
        """
        self._stream.write(batch, self.payload_format)

    def plain_write(self, batch: Batch) -> PlainWrite | None:
        """Return what is to be done in place of :meth:`write`, if that is no more than a write to a descriptor."""
        return self._stream.plain_write(batch, self.payload_format)

    def aclose(self) -> None:
        """Give back what :meth:`start` took; the standard stream itself stays open."""
        self._stream.close()


def wants_colour(colour: Colour, environment: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Return whether to colour the output.

    ``always`` and ``never`` decide by themselves. Under ``auto`` the first that applies does: a ``NO_COLOR`` that
    is not empty (no), a ``FORCE_COLOR`` that is not empty (yes), ``TERM=dumb`` (no), a terminal (yes), else no.
    """
    if colour != "auto":
        return colour == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return is_terminal and environment.get("TERM") != "dumb"


def default_sink_name() -> str:
    """Return the sink to use when settings name none: ``console`` if stdout is a terminal, else ``stdout``."""
    return "console" if is_terminal(sys.stdout) else "stdout"
