"""Plugins: their protocols, metadata, registry and configuration."""

from .batch import Batch as Batch
from .batch import Formatter as Formatter
from .metadata import PluginMetadata as PluginMetadata
from .metadata import PluginType as PluginType
from .metadata import SkippedPlugin as SkippedPlugin
from .policy import SinkPolicy as SinkPolicy
from .policy import StagePolicy as StagePolicy
from .protocols import Enricher as Enricher
from .protocols import Filter as Filter
from .protocols import PlainWrite as PlainWrite
from .protocols import Processor as Processor
from .protocols import Redactor as Redactor
from .protocols import Removed as Removed
from .protocols import Sink as Sink
from .registry import PluginRegistry as PluginRegistry
from .routes import Conditions as Conditions
from .routes import Route as Route

__all__ = (
    "Batch",
    "Conditions",
    "Enricher",
    "Filter",
    "Formatter",
    "PlainWrite",
    "PluginMetadata",
    "PluginRegistry",
    "PluginType",
    "Processor",
    "Redactor",
    "Removed",
    "Route",
    "Sink",
    "SinkPolicy",
    "SkippedPlugin",
    "StagePolicy",
)
