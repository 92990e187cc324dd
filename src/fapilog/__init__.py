"""Structured-concurrency logging for Trio programs and AnyIO-based servers."""

from typing import TYPE_CHECKING

from .container import AsyncLoggingContainer as AsyncLoggingContainer
from .container import container as container
from .current import current_logger as current_logger
from .errors import ConfigurationError as ConfigurationError
from .errors import ContainerStateError as ContainerStateError
from .errors import DrainIncomplete as DrainIncomplete
from .errors import FapilogError as FapilogError
from .errors import NoCurrentLogger as NoCurrentLogger
from .errors import NotConfirmed as NotConfirmed
from .errors import PartialWriteError as PartialWriteError
from .errors import PermanentSinkError as PermanentSinkError
from .errors import PluginError as PluginError
from .errors import QueueFull as QueueFull
from .errors import SinkError as SinkError
from .errors import ThrottledSinkError as ThrottledSinkError
from .errors import TransientSinkError as TransientSinkError
from .errors import WrongTaskError as WrongTaskError

if TYPE_CHECKING:
    from .blocking import blocking_container as blocking_container
    from .confirmed import BlockingConfirmedLogger as BlockingConfirmedLogger
    from .confirmed import ConfirmedLogger as ConfirmedLogger
    from .event import Level as Level
    from .event import LogEvent as LogEvent
    from .logger import AsyncLogger as AsyncLogger
    from .logger import BlockingLogger as BlockingLogger
    from .logger import NowaitLogger as NowaitLogger
    from .metrics import DrainReport as DrainReport
    from .metrics import MetricsCollector as MetricsCollector
    from .pipeline.pipeline import AsyncPipeline as AsyncPipeline
    from .plugins import Enricher as Enricher
    from .plugins import Filter as Filter
    from .plugins import PluginMetadata as PluginMetadata
    from .plugins import PluginRegistry as PluginRegistry
    from .plugins import PluginType as PluginType
    from .plugins import Processor as Processor
    from .plugins import Redactor as Redactor
    from .plugins import Sink as Sink
    from .settings import OverflowStrategy as OverflowStrategy
    from .settings import Settings as Settings
else:
    # These come when they are asked for, or with the first container: a program that imports fapilog and does not
    # log, as for its ``--help``, does not wait for the engine.
    _LATER = {
        "AsyncLogger": ".logger",
        "AsyncPipeline": ".pipeline.pipeline",
        "BlockingConfirmedLogger": ".confirmed",
        "BlockingLogger": ".logger",
        "ConfirmedLogger": ".confirmed",
        "DrainReport": ".metrics",
        "Enricher": ".plugins",
        "Filter": ".plugins",
        "Level": ".event",
        "LogEvent": ".event",
        "MetricsCollector": ".metrics",
        "NowaitLogger": ".logger",
        "OverflowStrategy": ".settings",
        "PluginMetadata": ".plugins",
        "PluginRegistry": ".plugins",
        "PluginType": ".plugins",
        "Processor": ".plugins",
        "Redactor": ".plugins",
        "Settings": ".settings",
        "Sink": ".plugins",
        "blocking_container": ".blocking",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_LATER[name], __name__), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = (
    "AsyncLogger",
    "AsyncLoggingContainer",
    "AsyncPipeline",
    "BlockingConfirmedLogger",
    "BlockingLogger",
    "ConfigurationError",
    "ConfirmedLogger",
    "ContainerStateError",
    "DrainIncomplete",
    "DrainReport",
    "Enricher",
    "FapilogError",
    "Filter",
    "Level",
    "LogEvent",
    "MetricsCollector",
    "NoCurrentLogger",
    "NotConfirmed",
    "NowaitLogger",
    "OverflowStrategy",
    "PartialWriteError",
    "PermanentSinkError",
    "PluginError",
    "PluginMetadata",
    "PluginRegistry",
    "PluginType",
    "Processor",
    "QueueFull",
    "Redactor",
    "Settings",
    "Sink",
    "SinkError",
    "ThrottledSinkError",
    "TransientSinkError",
    "WrongTaskError",
    "blocking_container",
    "container",
    "current_logger",
)
