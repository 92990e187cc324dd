"""The runtime enricher: which service this is, on which host, in which process."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

import attrs

from ..plugins.metadata import PluginMetadata, PluginType
from ._sources import Sources, known

_MOST_BYTES = 8192
"""What W3C Baggage, whose form ``OTEL_RESOURCE_ATTRIBUTES`` has, asks of every reader."""


@attrs.frozen
class RuntimeConfig:
    """What the runtime enricher can be told; what is None comes from the environment."""

    service: str | None = None
    """The service's name; else ``OTEL_SERVICE_NAME``, else what ``OTEL_RESOURCE_ATTRIBUTES`` says."""
    version: str | None = None
    """The service's version; else what ``OTEL_RESOURCE_ATTRIBUTES`` says."""
    environment: str | None = None
    """Where it is deployed, such as ``production``; else what ``OTEL_RESOURCE_ATTRIBUTES`` says."""


class RuntimeEnricher:
    """Adds what OpenTelemetry's semantic conventions call the resource: service, host and process.

    The names are those of version 1.45 (https://opentelemetry.io/docs/specs/semconv/resource/). Every attribute in
    ``OTEL_RESOURCE_ATTRIBUTES`` is added; see the specification of the OpenTelemetry SDK's environment variables.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="runtime",
        version="1.0.0",
        plugin_type=PluginType.ENRICHER,
        entry_point="fapilog.enrichers.runtime:RuntimeEnricher",
    )
    Config = RuntimeConfig

    def __init__(self, config: RuntimeConfig | None = None, *, _sources: Sources | None = None) -> None:
        self._config = config or RuntimeConfig()
        self._sources = _sources or Sources()

    def static(self) -> Mapping[str, Any]:
        """Return the attributes of this process."""
        config = self._config
        told = resource_attributes(self._sources.variable("OTEL_RESOURCE_ATTRIBUTES"))
        found: dict[str, Any] = {
            "host.name": platform.node(),
            "process.pid": os.getpid(),
            "process.runtime.name": sys.implementation.name,
            "process.runtime.version": platform.python_version(),
        }
        named = {
            "service.name": config.service or self._sources.variable("OTEL_SERVICE_NAME"),
            "service.version": config.version,
            "deployment.environment.name": config.environment,
        }
        return {**known(named), **known(found), **told, **known(named)}


def resource_attributes(text: str) -> dict[str, str]:
    """Return the attributes in *text*, which has the form of ``OTEL_RESOURCE_ATTRIBUTES``.

    They are ``key=value`` pairs with commas between them, percent-encoded in UTF-8. As the specification asks, text
    that has a mistake in it is ignored as a whole (https://opentelemetry.io/docs/specs/otel/resource/sdk/); so is text
    of more than 8192 characters.
    """
    found: dict[str, str] = {}
    if len(text) > _MOST_BYTES:
        return found
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, separator, value = pair.partition("=")
        try:
            name = unquote_to_bytes(key.strip()).decode()
            found[name] = unquote_to_bytes(value.strip()).decode()
        except UnicodeDecodeError:
            return {}
        if not separator or not name:
            return {}
    return found
