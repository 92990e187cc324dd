"""The stdout and stderr sinks: structured records on a standard stream."""

from __future__ import annotations

from typing import ClassVar

import attrs

from ..plugins.batch import Batch
from ..plugins.metadata import PluginMetadata, PluginType
from ..plugins.protocols import PlainWrite
from ._descriptor import StandardStream
from ._formats import FORMATS, Format


@attrs.frozen
class StreamConfig:
    """What a stream sink can be told."""

    format: Format = attrs.field(default="json", validator=attrs.validators.in_(FORMATS))
    """The format of the records."""
    stall_timeout: float = attrs.field(
        default=4.0,
        validator=[attrs.validators.gt(0.0), attrs.validators.le(3600.0)],
        metadata={"unit": "seconds"},
    )
    """Seconds, above 0 and at most 3600, that one write waits in all for a reader that does not read.

    Keep it below the sink's ``write_timeout``: then the events that got out are told from those that did not.
    """


class StdoutSink:
    """Writes records to the process's standard output, as it is when the sink starts.

    A reader that is slow is waited for, in the container's own thread; one that is gone, as in ``| head -1``,
    is told once and then every write fails at once. The standard output is never closed.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="stdout", version="1.0.0", plugin_type=PluginType.SINK, entry_point="fapilog.sinks.streams:StdoutSink"
    )
    Config = StreamConfig
    blocking: ClassVar[bool] = True
    ordered: ClassVar[bool] = True

    def __init__(self, config: StreamConfig | None = None) -> None:
        config = config or StreamConfig()
        self.payload_format: str = config.format
        """What :meth:`write` writes; the pipeline has it ready."""
        self._stream = StandardStream("stdout", config.stall_timeout)

    def start(self) -> None:
        """Look the stream up; a missing one fails the writes and not the start."""
        self._stream.open()

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


class StderrSink(StdoutSink):
    """Writes records to the process's standard error; otherwise as :class:`StdoutSink`."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="stderr", version="1.0.0", plugin_type=PluginType.SINK, entry_point="fapilog.sinks.streams:StderrSink"
    )

    def __init__(self, config: StreamConfig | None = None) -> None:
        config = config or StreamConfig()
        self.payload_format: str = config.format
        """What :meth:`write` writes; the pipeline has it ready."""
        self._stream = StandardStream("stderr", config.stall_timeout)
