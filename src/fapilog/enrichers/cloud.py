"""The cloud enricher: which cloud and platform the process runs on, as its environment and the machine's files tell."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from ..plugins.metadata import PluginMetadata, PluginType
from ._sources import Sources, known


class _Platform(NamedTuple):
    """A platform that is recognised by an environment variable that it sets."""

    variables: tuple[str, ...]
    """One of these is set."""
    provider: str
    platform: str
    attributes: Mapping[str, tuple[str, ...]]
    """The environment variables that may hold an attribute."""


_AWS_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
_GCP_PROJECT = ("GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT")

_PLATFORMS: tuple[_Platform, ...] = (
    _Platform(
        ("AWS_LAMBDA_FUNCTION_NAME",),
        "aws",
        "aws_lambda",
        {
            "cloud.region": _AWS_REGION,
            "faas.name": ("AWS_LAMBDA_FUNCTION_NAME",),
            "faas.version": ("AWS_LAMBDA_FUNCTION_VERSION",),
            "faas.instance": ("AWS_LAMBDA_LOG_STREAM_NAME",),
        },
    ),
    _Platform(
        ("ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI"),
        "aws",
        "aws_ecs",
        {"cloud.region": _AWS_REGION},
    ),
    _Platform(
        ("FUNCTION_TARGET",),
        "gcp",
        "gcp_cloud_functions",
        {"cloud.account.id": _GCP_PROJECT, "faas.name": ("K_SERVICE",), "faas.version": ("K_REVISION",)},
    ),
    _Platform(
        ("K_CONFIGURATION",),
        "gcp",
        "gcp_cloud_run",
        {"cloud.account.id": _GCP_PROJECT, "faas.name": ("K_SERVICE",), "faas.version": ("K_REVISION",)},
    ),
    _Platform(
        ("CLOUD_RUN_JOB",),
        "gcp",
        "gcp_cloud_run",
        {
            "cloud.account.id": _GCP_PROJECT,
            "faas.name": ("CLOUD_RUN_JOB",),
            "gcp.cloud_run.job.execution": ("CLOUD_RUN_EXECUTION",),
            "gcp.cloud_run.job.task_index": ("CLOUD_RUN_TASK_INDEX",),
        },
    ),
    _Platform(
        ("GAE_SERVICE",),
        "gcp",
        "gcp_app_engine",
        {
            "cloud.account.id": _GCP_PROJECT,
            "faas.name": ("GAE_SERVICE",),
            "faas.version": ("GAE_VERSION",),
            "faas.instance": ("GAE_INSTANCE",),
        },
    ),
    _Platform(
        ("FUNCTIONS_WORKER_RUNTIME",),
        "azure",
        "azure.functions",
        {
            "cloud.region": ("REGION_NAME",),
            "faas.name": ("WEBSITE_SITE_NAME",),
            "faas.instance": ("WEBSITE_INSTANCE_ID",),
        },
    ),
    _Platform(
        ("CONTAINER_APP_NAME",),
        "azure",
        "azure.container_apps",
        {"service.instance.id": ("CONTAINER_APP_REPLICA_NAME",)},
    ),
    _Platform(
        ("WEBSITE_SITE_NAME",),
        "azure",
        "azure.app_service",
        {"cloud.region": ("REGION_NAME",), "service.instance.id": ("WEBSITE_INSTANCE_ID",)},
    ),
    _Platform(
        ("HEROKU_APP_ID", "DYNO"),
        "heroku",
        "",
        {
            "heroku.app.id": ("HEROKU_APP_ID",),
            "heroku.release.commit": ("HEROKU_SLUG_COMMIT", "HEROKU_BUILD_COMMIT"),
            "heroku.release.creation_timestamp": ("HEROKU_RELEASE_CREATED_AT",),
            "service.instance.id": ("HEROKU_DYNO_ID",),
        },
    ),
)
"""The platforms that set variables of their own, those before others whose variables they set too."""

_VENDORS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Amazon EC2": ("aws", "aws_ec2"),
        "Google": ("gcp", "gcp_compute_engine"),
        "Alibaba Cloud": ("alibaba_cloud", "alibaba_cloud_ecs"),
        "Tencent Cloud": ("tencent_cloud", "tencent_cloud_cvm"),
        "Hetzner": ("hetzner", "hetzner.cloud_server"),
        "Vultr": ("vultr", "vultr.cloud_compute"),
    }
)
"""The platforms of virtual machines, by what the firmware calls the machine's vendor."""
_ASSET_TAGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        # https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service: Azure's machines all have it.
        "7783-7084-3265-9085-8269-3286-77": ("azure", "azure.vm"),
        "OracleCloud.com": ("oracle_cloud", "oracle_cloud_compute"),
    }
)
"""Likewise by the asset tag of the machine's chassis."""


class CloudEnricher:
    """Adds ``cloud.provider`` and ``cloud.platform``, and what else the environment tells; nothing elsewhere.

    No request is made to a metadata service. The names and the values of ``cloud.provider`` and ``cloud.platform``:
    https://opentelemetry.io/docs/specs/semconv/registry/attributes/cloud/.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="cloud",
        version="1.0.0",
        plugin_type=PluginType.ENRICHER,
        entry_point="fapilog.enrichers.cloud:CloudEnricher",
    )

    def __init__(self, *, _sources: Sources | None = None) -> None:
        self._sources = _sources or Sources()

    def static(self) -> Mapping[str, Any]:
        """Return the attributes of this platform."""
        sources = self._sources
        for found in _PLATFORMS:
            if sources.variable(*found.variables):
                told = {name: sources.variable(*variables) for name, variables in found.attributes.items()}
                told |= self._more(found.platform)
                return known({"cloud.provider": found.provider, "cloud.platform": found.platform, **told})
        machine = "/sys/class/dmi/id/"
        provider, platform = (
            _VENDORS.get(sources.text(f"{machine}sys_vendor"))
            or _ASSET_TAGS.get(sources.text(f"{machine}chassis_asset_tag"))
            or ("", "")
        )
        region = sources.variable(*_AWS_REGION) if provider == "aws" else ""
        return known({"cloud.provider": provider, "cloud.platform": platform, "cloud.region": region})

    def _more(self, platform: str) -> dict[str, Any]:
        """Return what a platform's variables tell in a form of their own."""
        if platform == "aws_lambda":
            megabytes = self._sources.variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
            return {"faas.max_memory": int(megabytes) << 20} if megabytes.isdecimal() else {}
        if platform in ("azure.functions", "azure.app_service"):
            return {"cloud.account.id": self._sources.variable("WEBSITE_OWNER_NAME").partition("+")[0]}
        return {}
