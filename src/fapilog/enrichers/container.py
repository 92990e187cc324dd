"""The container enricher: the id and the runtime of the container that the process runs in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from ..plugins.metadata import PluginMetadata, PluginType
from ._sources import Sources, known

_IN_CGROUP = re.compile(r"(?:^|[/:-])([0-9a-f]{64}|[0-9a-f]{32}-[0-9]{8,10})(?:\.scope)?$", re.MULTILINE)
"""A container's directory among the control groups; the second form is that of Amazon ECS on Fargate."""
_IN_MOUNTS = re.compile(r"/(?:overlay-)?containers/([0-9a-f]{64})/")
"""Where Docker and Podman keep the files that they mount over ``/etc/hostname`` and its like."""
_IN_PATH = (("docker", "docker"), ("crio-", "cri-o"), ("libpod", "podman"), ("containerd", "containerd"))
"""What the paths of a runtime's containers have in them, and its name."""


class ContainerEnricher:
    """Adds ``container.id`` and ``container.runtime.name``, as far as files tell, and nothing outside a container.

    The names: https://opentelemetry.io/docs/specs/semconv/resource/container/. A container does not always see its own
    id: where control groups of version 2 have a namespace of their own, only what is mounted may tell it.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="container",
        version="1.0.0",
        plugin_type=PluginType.ENRICHER,
        entry_point="fapilog.enrichers.container:ContainerEnricher",
    )

    def __init__(self, *, _sources: Sources | None = None) -> None:
        self._sources = _sources or Sources()

    def static(self) -> Mapping[str, Any]:
        """Return the attributes of this container."""
        sources = self._sources
        groups = sources.text("/proc/self/cgroup")
        mounts = sources.text("/proc/self/mountinfo")
        identity = _IN_CGROUP.search(groups) or _IN_MOUNTS.search(mounts)
        runtime = ""
        if sources.exists("/.dockerenv"):
            runtime = "docker"
        elif sources.exists("/run/.containerenv"):
            runtime = "podman"
        elif identity is not None:
            line = identity.string[identity.string.rfind("\n", 0, identity.start()) + 1 : identity.end()]
            runtime = next((name for part, name in _IN_PATH if part in line), "")
        return known({"container.id": identity[1] if identity else "", "container.runtime.name": runtime})
