"""The kubernetes enricher: which pod this is, as the downward API tells it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from ..plugins.metadata import PluginMetadata, PluginType
from ._sources import Sources, known

_NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
"""Mounted into every pod that has a service account: https://kubernetes.io/docs/concepts/security/service-accounts/"""
_POD_IN_CGROUP = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
"""A pod's directory among the control groups, with the uid's dashes as underscores under systemd."""
_LOOKED_UP: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("k8s.pod.name", ("POD_NAME", "K8S_POD_NAME"), ("name", "pod_name")),
    ("k8s.pod.uid", ("POD_UID", "K8S_POD_UID"), ("uid", "pod_uid")),
    ("k8s.pod.ip", ("POD_IP", "K8S_POD_IP"), ()),
    (
        "k8s.namespace.name",
        ("POD_NAMESPACE", "K8S_POD_NAMESPACE"),
        ("namespace", "pod_namespace"),
    ),
    ("k8s.node.name", ("NODE_NAME", "K8S_NODE_NAME"), ("node_name",)),
    ("k8s.container.name", ("CONTAINER_NAME", "K8S_CONTAINER_NAME"), ()),
    ("k8s.cluster.name", ("K8S_CLUSTER_NAME", "CLUSTER_NAME"), ()),
)
"""The attributes, the environment variables that may hold each, and the files of the downward API volume."""


@attrs.frozen
class KubernetesConfig:
    """What the kubernetes enricher can be told."""

    directory: str = "/etc/podinfo"
    """Where the downward API volume is mounted, if there is one."""
    labels: tuple[str, ...] = ()
    """The pod's labels to add, from the volume's file ``labels``."""
    annotations: tuple[str, ...] = ()
    """The pod's annotations to add, from the volume's file ``annotations``."""


class KubernetesEnricher:
    """Adds the pod's attributes under the names of OpenTelemetry's semantic conventions, and nothing outside a pod.

    What a pod does not know by itself has to be given to it through the downward API, as environment variables such as
    ``POD_NAME`` or as files (https://kubernetes.io/docs/concepts/workloads/pods/downward-api/). No request is made.
    The names: https://opentelemetry.io/docs/specs/semconv/resource/k8s/.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="kubernetes",
        version="1.0.0",
        plugin_type=PluginType.ENRICHER,
        entry_point="fapilog.enrichers.kubernetes:KubernetesEnricher",
    )
    Config = KubernetesConfig

    def __init__(self, config: KubernetesConfig | None = None, *, _sources: Sources | None = None) -> None:
        self._config = config or KubernetesConfig()
        self._sources = _sources or Sources()

    def static(self) -> Mapping[str, Any]:
        """Return the attributes of this pod; nothing outside Kubernetes."""
        sources = self._sources
        namespace = sources.text(_NAMESPACE_FILE)
        if not (namespace or sources.variable("KUBERNETES_SERVICE_HOST")):
            return {}
        found: dict[str, str] = {
            attribute: sources.variable(*variables) or next((told for name in files if (told := self._file(name))), "")
            for attribute, variables, files in _LOOKED_UP
        }
        # A pod's host name is its own name unless the pod says otherwise.
        found["k8s.pod.name"] = found["k8s.pod.name"] or sources.variable("HOSTNAME")
        found["k8s.namespace.name"] = found["k8s.namespace.name"] or namespace
        if not found["k8s.pod.uid"] and (uid := _POD_IN_CGROUP.search(sources.text("/proc/self/cgroup"))):
            found["k8s.pod.uid"] = uid[1].replace("_", "-")
        for kind, names in (("label", self._config.labels), ("annotation", self._config.annotations)):
            if names:
                values = pairs(self._file(f"{kind}s"))
                found.update((f"k8s.pod.{kind}.{name}", values.get(name, "")) for name in names)
        return known(found)

    def _file(self, name: str) -> str:
        return self._sources.text(f"{self._config.directory}/{name}")


def pairs(text: str) -> dict[str, str]:
    """Return the pairs in a file of labels or annotations, which has a line ``key="value"`` for each.

    The value is quoted as Go does it, which is nearly as JSON does it; one that JSON cannot read stays as it is.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, quoted = line.partition("=")
        if separator:
            try:
                value = json.loads(quoted)
            except ValueError:
                value = quoted.strip('"')
            found[key.strip()] = str(value)
    return found
