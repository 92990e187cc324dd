"""The built-in enrichers: what they find out, and where they find nothing."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import pytest

import fapilog
from fapilog import ConfigurationError, LogEvent, PluginRegistry, PluginType
from fapilog.enrichers._sources import Sources
from fapilog.enrichers.cloud import CloudEnricher
from fapilog.enrichers.container import ContainerEnricher
from fapilog.enrichers.kubernetes import KubernetesConfig, KubernetesEnricher
from fapilog.enrichers.process import ProcessConfig, ProcessEnricher, usage
from fapilog.enrichers.runtime import RuntimeConfig, RuntimeEnricher, resource_attributes
from fapilog.testing import RecordingSink

BUILT_IN = ("cloud", "container", "kubernetes", "opentelemetry", "process", "runtime", "static")
ID = "4bf92f3577b34da6a3ce929d0e0e4736" * 2


def files(root: Path, contents: dict[str, str]) -> Sources:
    """Return sources with these files under *root* and no environment."""
    for path, content in contents.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return Sources({}, str(root))


def test_the_registry_knows_them() -> None:
    registry = PluginRegistry()
    assert registry.names("enricher") == BUILT_IN
    for name in BUILT_IN:
        metadata = registry.metadata(PluginType.ENRICHER, name)
        assert (metadata.name, metadata.plugin_type) == (name, PluginType.ENRICHER)


# -- runtime


def test_runtime_tells_the_host_the_process_and_the_python() -> None:
    assert RuntimeEnricher(_sources=Sources({})).static() == {
        "host.name": platform.node(),
        "process.pid": os.getpid(),
        "process.runtime.name": "cpython",
        "process.runtime.version": platform.python_version(),
    }


def test_runtime_takes_the_service_from_its_settings_then_from_the_environment() -> None:
    environment = {
        "OTEL_SERVICE_NAME": "from-variable",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=a,service.version=1.2,deployment.environment.name=test,team=pay%20r",
    }
    found = RuntimeEnricher(_sources=Sources(environment)).static()
    expected = {
        "service.name": "from-variable",
        "service.version": "1.2",
        "deployment.environment.name": "test",
        "team": "pay r",
    }
    assert {name: found[name] for name in expected} == expected
    config = RuntimeConfig(service="shop", version="2", environment="prod")
    found = RuntimeEnricher(config, _sources=Sources(environment)).static()
    assert (found["service.name"], found["service.version"]) == ("shop", "2")
    assert found["deployment.environment.name"] == "prod"
    assert found["team"] == "pay r"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (",", {}),
        ("a=1", {"a": "1"}),
        (" a = 1 , b=x=y,", {"a": "1", "b": "x=y"}),
        ("a=%C3%A4%2C%3D", {"a": "ä,="}),
        ("a=1,b", {}),
        ("a=1,=b", {}),
        ("a=1,b=%ff", {}),
        ("a=" + "x" * 8190, {"a": "x" * 8190}),
        ("a=" + "x" * 8191, {}),
    ],
)
def test_what_stands_in_otel_resource_attributes(text: str, expected: dict[str, str]) -> None:
    assert resource_attributes(text) == expected


# -- kubernetes


def test_kubernetes_finds_nothing_outside() -> None:
    assert KubernetesEnricher(_sources=Sources({"HOSTNAME": "laptop", "POD_NAME": "x"}, "/nowhere")).static() == {}


def test_kubernetes_reads_the_environment() -> None:
    environment = {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "HOSTNAME": "host-of-another-name",
        "POD_NAME": "shop-7d4b",
        "POD_NAMESPACE": "prod",
        "POD_UID": "u-1",
        "POD_IP": "10.1.2.3",
        "NODE_NAME": "node-1",
        "CONTAINER_NAME": "web",
    }
    assert KubernetesEnricher(_sources=Sources(environment, "/nowhere")).static() == {
        "k8s.pod.name": "shop-7d4b",
        "k8s.namespace.name": "prod",
        "k8s.pod.uid": "u-1",
        "k8s.pod.ip": "10.1.2.3",
        "k8s.node.name": "node-1",
        "k8s.container.name": "web",
    }


def test_kubernetes_reads_the_volume_the_service_account_and_the_control_group(tmp_path: Path) -> None:
    sources = files(
        tmp_path,
        {
            "/var/run/secrets/kubernetes.io/serviceaccount/namespace": "prod\n",
            "/etc/podinfo/name": "shop-7d4b",
            "/etc/podinfo/labels": 'app="shop"\napp.kubernetes.io/part-of="a \\"b\\""\nodd="\\x41"\nempty=""\n',
            "/etc/podinfo/annotations": 'owner="pay=roll"',
            "/proc/self/cgroup": "0::/kubepods/burstable/pod0f0f0f0f_1111_2222_3333_444444444444/abc",
        },
    )
    config = KubernetesConfig(
        labels=("app", "app.kubernetes.io/part-of", "odd", "empty", "missing"), annotations=("owner",)
    )
    assert KubernetesEnricher(config, _sources=sources).static() == {
        "k8s.pod.name": "shop-7d4b",
        "k8s.namespace.name": "prod",
        "k8s.pod.uid": "0f0f0f0f-1111-2222-3333-444444444444",
        "k8s.pod.label.app": "shop",
        "k8s.pod.label.app.kubernetes.io/part-of": 'a "b"',
        "k8s.pod.label.odd": "\\x41",
        "k8s.pod.annotation.owner": "pay=roll",
    }


# -- container


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({}, {}),
        ({"/proc/self/cgroup": "0::/\n"}, {}),
        ({"/proc/self/cgroup": "0::/user.slice/user-1000.slice/session-2.scope\n"}, {}),
        (
            {"/proc/self/cgroup": f"1:name=systemd:/docker/{ID}\n"},
            {"container.id": ID, "container.runtime.name": "docker"},
        ),
        (
            {"/proc/self/cgroup": f"0::/kubepods.slice/cri-containerd-{ID}.scope\n"},
            {"container.id": ID, "container.runtime.name": "containerd"},
        ),
        (
            {"/proc/self/cgroup": f"0::/machine.slice/libpod-{ID}.scope\n", "/run/.containerenv": ""},
            {"container.id": ID, "container.runtime.name": "podman"},
        ),
        ({"/proc/self/cgroup": f"9:cpu:/ecs/t/{ID[:32]}-1234567890\n"}, {"container.id": f"{ID[:32]}-1234567890"}),
        (
            {
                "/proc/self/cgroup": "0::/\n",
                "/proc/self/mountinfo": f"1 2 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw\n",
                "/.dockerenv": "",
            },
            {"container.id": ID, "container.runtime.name": "docker"},
        ),
        (
            # The sandbox is the pod's, and not this container.
            {"/proc/self/mountinfo": f"1 2 8:1 /run/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname /etc/hostname\n"},
            {},
        ),
        ({"/proc/self/cgroup": f"0::/{ID}abc\n"}, {}),
    ],
)
def test_container_finds_its_id(tmp_path: Path, contents: dict[str, str], expected: dict[str, str]) -> None:
    assert ContainerEnricher(_sources=files(tmp_path, contents)).static() == expected


# -- cloud


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {}),
        (
            {
                "AWS_LAMBDA_FUNCTION_NAME": "f",
                "AWS_LAMBDA_FUNCTION_VERSION": "7",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                "AWS_REGION": "eu-central-1",
            },
            {
                "cloud.provider": "aws",
                "cloud.platform": "aws_lambda",
                "cloud.region": "eu-central-1",
                "faas.name": "f",
                "faas.version": "7",
                "faas.max_memory": 128 * 1024 * 1024,
            },
        ),
        (
            {"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"},
            {"cloud.provider": "aws", "cloud.platform": "aws_ecs"},
        ),
        (
            {"K_SERVICE": "s", "K_REVISION": "s-1", "K_CONFIGURATION": "s"},
            {"cloud.provider": "gcp", "cloud.platform": "gcp_cloud_run", "faas.name": "s", "faas.version": "s-1"},
        ),
        (
            {"K_SERVICE": "s", "K_REVISION": "s-1", "K_CONFIGURATION": "s", "FUNCTION_TARGET": "main"},
            {"cloud.provider": "gcp", "cloud.platform": "gcp_cloud_functions", "faas.name": "s", "faas.version": "s-1"},
        ),
        (
            {"WEBSITE_SITE_NAME": "w", "REGION_NAME": "West Europe", "WEBSITE_OWNER_NAME": "sub-1+group"},
            {
                "cloud.provider": "azure",
                "cloud.platform": "azure.app_service",
                "cloud.region": "West Europe",
                "cloud.account.id": "sub-1",
            },
        ),
        (
            {"WEBSITE_SITE_NAME": "w", "FUNCTIONS_WORKER_RUNTIME": "python"},
            {"cloud.provider": "azure", "cloud.platform": "azure.functions", "faas.name": "w"},
        ),
        (
            {"DYNO": "web.1", "HEROKU_APP_ID": "a-1", "HEROKU_SLUG_COMMIT": "abc"},
            {"cloud.provider": "heroku", "heroku.app.id": "a-1", "heroku.release.commit": "abc"},
        ),
    ],
)
def test_cloud_recognises_a_platform_by_its_variables(environment: dict[str, str], expected: dict[str, Any]) -> None:
    assert CloudEnricher(_sources=Sources(environment, "/nowhere")).static() == expected


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("sys_vendor", "Amazon EC2", "aws_ec2"),
        ("sys_vendor", "Google", "gcp_compute_engine"),
        ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", "azure.vm"),
        ("sys_vendor", "Microsoft Corporation", None),
        ("sys_vendor", "LENOVO", None),
    ],
)
def test_cloud_recognises_a_machine_by_its_firmware(
    tmp_path: Path, file: str, content: str, expected: str | None
) -> None:
    found = CloudEnricher(_sources=files(tmp_path, {f"/sys/class/dmi/id/{file}": f"{content}\n"})).static()
    assert found.get("cloud.platform") == expected


# -- process


def test_process_looks_once_in_an_interval() -> None:
    times = iter((100.0, 109.9, 110.0, 110.1))
    enricher = ProcessEnricher(ProcessConfig(interval=10), _monotonic=lambda: next(times))
    seen: list[dict[str, float]] = []
    for _ in range(4):
        event = LogEvent("m", metrics={"own": 1.0})
        enricher.enrich(event)
        assert event.metrics["own"] == 1.0
        seen.append({name: value for name, value in event.metrics.items() if name != "own"})
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]
    assert seen[0]["process.cpu.time"] < seen[2]["process.cpu.time"]


def test_process_tells_what_the_system_tells() -> None:
    found = usage()
    assert 1 << 20 < found["process.memory.usage"] < 1 << 40
    assert found["process.thread.count"] >= 1
    assert found["process.cpu.time"] > 0
    descriptors = found["process.unix.file_descriptor.count"]
    with open(os.devnull), open(os.devnull):
        assert usage()["process.unix.file_descriptor.count"] == descriptors + 2


def test_process_does_without_what_a_system_does_not_tell(tmp_path: Path) -> None:
    assert usage("/nowhere").keys() == usage().keys() - {"process.memory.usage"}
    (tmp_path / "statm").write_text("nonsense")
    assert "process.memory.usage" not in usage(str(tmp_path))


@pytest.mark.parametrize("interval", [0, -1, float("nan"), 1e9, "10"])
def test_a_wrong_interval_is_refused(interval: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"plugin_config\.process\.interval"):
        fapilog.container({"enrichers": ["process"], "plugin_config": {"process": {"interval": interval}}})


# -- all of them in a container


async def test_all_of_them_together() -> None:
    sink = RecordingSink()
    settings = {
        "enrichers": list(BUILT_IN),
        "plugin_config": {"runtime": {"service": "shop"}, "static": {"fields": {"region": "eu", "zones": [1, 2]}}},
    }
    async with fapilog.container(settings, sinks=[sink]) as log:
        await log.info("m")
    (event,) = sink.events
    assert event.context["service.name"] == "shop"
    assert event.context["process.pid"] == os.getpid()
    assert (event.context["region"], event.context["zones"]) == ("eu", (1, 2))
    assert "process.cpu.time" in event.metrics
    assert log.container.metrics_collector.snapshot().plugin_errors == {}


def test_their_names_are_words_with_dots_as_opentelemetry_has_them() -> None:
    names = [*usage(), *RuntimeEnricher(RuntimeConfig(service="s", version="v", environment="e")).static()]
    assert all(re.fullmatch(r"[a-z]+(\.[a-z_]+)+", name) for name in names)
