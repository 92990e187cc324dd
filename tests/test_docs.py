"""The documentation: its examples run, its links lead somewhere, and its tables agree with the code.

A block that begins with ```` ```python ```` is executed as a module that is not ``__main__``, in an empty directory.
If it defines ``main``, that is run: on both backends if it is async. So is every ``test_*`` without parameters. A block
that begins with ```` ```python no-run ```` is only compiled.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import runpy
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

import fapilog
from fapilog import ConfigurationError, LogEvent, Settings
from fapilog.enrichers.kubernetes import KubernetesConfig
from fapilog.enrichers.process import ProcessConfig
from fapilog.enrichers.runtime import RuntimeConfig
from fapilog.enrichers.static import StaticConfig
from fapilog.filters.deduplicate import DeduplicateConfig
from fapilog.filters.expression import ExpressionConfig
from fapilog.filters.first_occurrence import FirstOccurrenceConfig
from fapilog.filters.first_then_every import FirstThenEveryConfig
from fapilog.filters.level import LevelConfig
from fapilog.filters.rate_limit import RateLimitConfig
from fapilog.filters.sample import SampleConfig
from fapilog.formats import make_formatters
from fapilog.metrics import DROPPED, REJECTED
from fapilog.plugins import SinkPolicy, StagePolicy
from fapilog.presets import PRESETS
from fapilog.processors.allow_fields import AllowFieldsConfig
from fapilog.processors.drop_fields import DropFieldsConfig
from fapilog.processors.rename_fields import RenameFieldsConfig
from fapilog.processors.size_guard import SizeGuardConfig
from fapilog.redactors._presets import PRESETS as REDACTION_PRESETS
from fapilog.redactors.redact import SensitiveDataRedactor
from fapilog.sinks.console import ConsoleConfig
from fapilog.sinks.file import FileSink
from fapilog.sinks.memory import MemoryConfig
from fapilog.sinks.streams import StreamConfig

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
FILTERS_AND_PROCESSORS: dict[str, type] = {
    "level": LevelConfig,
    "expression": ExpressionConfig,
    "sample": SampleConfig,
    "rate_limit": RateLimitConfig,
    "first_then_every": FirstThenEveryConfig,
    "first_occurrence": FirstOccurrenceConfig,
    "deduplicate": DeduplicateConfig,
    "drop_fields": DropFieldsConfig,
    "rename_fields": RenameFieldsConfig,
    "allow_fields": AllowFieldsConfig,
    "size_guard": SizeGuardConfig,
}
CONFIGURATIONS: dict[str, type] = {
    "Settings": Settings,
    "SinkPolicy": SinkPolicy,
    "StagePolicy": StagePolicy,
    "file": FileSink.Config,
    "stdout and stderr": StreamConfig,
    "console": ConsoleConfig,
    "memory": MemoryConfig,
    "runtime": RuntimeConfig,
    "kubernetes": KubernetesConfig,
    "process": ProcessConfig,
    "static": StaticConfig,
    **FILTERS_AND_PROCESSORS,
    "redact": SensitiveDataRedactor.Config,
}
"""The classes whose attributes a page lists, by the text in brackets in the heading of their table."""
TABLE_PAGES = ("settings.md", "how-to/filter-and-sample.md", "how-to/shape-events.md")

_FENCE = re.compile(r"^( *)```(\S*)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def blocks() -> Iterator[Any]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _FENCE.finditer(text):
            line = text.count("\n", 0, found.start()) + 2
            if found[2] == "python":
                code = textwrap.dedent(found[4])
                name = f"{page.relative_to(ROOT)}:{line}"
                yield pytest.param(code, found[3].strip(), name, id=name)


ALL_BLOCKS = list(blocks())


@pytest.mark.parametrize(("code", "flag", "name"), [block for block in ALL_BLOCKS if not block.values[1]])
def test_an_example_runs(
    code: str, flag: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, name, "exec", dont_inherit=True), namespace)
    for function_name, function in list(namespace.items()):
        if inspect.isfunction(function) and (function_name == "main" or function_name.startswith("test_")):
            run(function)


def run(function: Callable[[], Any]) -> None:
    if inspect.iscoroutinefunction(function):
        for backend in ("asyncio", "trio"):
            anyio.run(function, backend=backend)
    else:
        function()


@pytest.mark.parametrize(("code", "flag", "name"), [block for block in ALL_BLOCKS if block.values[1]])
def test_an_example_that_is_not_run_is_python(code: str, flag: str, name: str) -> None:
    assert flag == "no-run"
    if name.startswith("docs/reference.md"):
        return  # signatures, which the reference's own test compares
    compile(code, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    lost = [
        target
        for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
        if "://" not in target and not target.startswith("mailto:") and not leads_somewhere(page, target)
    ]
    assert lost == []


def leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    other = (page.parent / path).resolve() if path else page
    if not other.exists():
        return False
    return not anchor or anchor in anchors(other)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in _LINK.findall(index) if "://" not in target}
    assert [page for page in sorted(DOCS.rglob("*.md")) if page not in linked and page.name != "index.md"] == []


def test_the_readme_has_the_quickstart_example() -> None:
    quickstart = (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8")
    code = quickstart.partition('"""\n\n')[2]
    readme = [block.values[0] for block in ALL_BLOCKS if block.values[2].startswith("README.md")]
    assert code.strip() in [block.strip() for block in readme]


def test_the_readme_has_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\npip install nox && nox -s demo\n" in readme
    assert "\npip install nox && nox -s tests\n" in readme


def test_the_reference_is_up_to_date() -> None:
    made = runpy.run_path(str(DOCS / "make_reference.py"))["reference"]()
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == made, "run python docs/make_reference.py"


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert [name for name in fapilog.__all__ if f"\n### `{name}`\n" not in text] == []


def tables() -> dict[str, dict[str, tuple[str, str]]]:
    """Return the default and the range of each setting that the pages list, by the name of its class."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    text = "".join((DOCS / page).read_text(encoding="utf-8") for page in TABLE_PAGES)
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        name = re.match(r".*\[(.+)\]$|.*", section.partition("\n")[0])
        if name is not None and name[1]:
            found[name[1]] = {row[0]: (row[1], row[2]) for row in _ROW.findall(section)}
    return found


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_setting_is_listed_with_its_default(name: str) -> None:
    expected = {attribute.name: shown_default(attribute) for attribute in attrs.fields(CONFIGURATIONS[name])}
    assert {setting: row[0] for setting, row in tables()[name].items()} == expected


def shown_default(attribute: attrs.Attribute[Any]) -> str:
    default: Any = attribute.default
    if default is attrs.NOTHING:
        return "required"
    if hasattr(default, "factory"):
        default = default.factory()
    if isinstance(default, str):
        default = str(default)
    if attribute.name == "mode":
        return f"`{default:#o}`"
    return f"`{default!r}`".replace("'", '"')


def test_the_redaction_presets_are_listed_with_the_settings_that_they_stand_for() -> None:
    text = (DOCS / "redaction.md").read_text(encoding="utf-8").partition("\n## Presets\n")[2].partition("\n## ")[0]
    listed: dict[str, dict[str, tuple[str, ...]]] = {}
    preset = ""
    for name, setting, names in re.findall(r"^\| (?:`(\w+)`)? ?\| (\w+) \| (`.+`) \|$", text, re.MULTILINE):
        preset = name or preset
        listed.setdefault(preset, {})[setting.replace("includes", "extends")] = tuple(names[1:-1].split("` `"))
    assert listed == {
        name: {setting: names for setting, names in attrs.asdict(preset).items() if names}
        for name, preset in REDACTION_PRESETS.items()
    }


def test_no_table_is_about_nothing() -> None:
    assert set(tables()) == set(CONFIGURATIONS)


@pytest.mark.parametrize("name", ["Settings", "SinkPolicy", "StagePolicy", *FILTERS_AND_PROCESSORS])
def test_every_range_is_what_the_error_about_a_wrong_value_allows(name: str) -> None:
    config_class = CONFIGURATIONS[name]
    listed = {setting: row[1] for setting, row in tables()[name].items()}
    with pytest.raises(ConfigurationError) as caught:
        config_class(**dict.fromkeys(listed, object()))
    assert {problem.path: problem.allowed for problem in caught.value.problems} == listed


EVENT = LogEvent(
    "card declined",
    "WARNING",
    timestamp=datetime(2026, 11, 23, 1, 45, 0, 123456, tzinfo=UTC),
    source="shop",
    tags={"team": "pay"},
    context={"region": "eu"},
    metrics={"latency_ms": 12.5},
    correlation_id="r-1",
    fields={"order": 42},
    logger="pay",
    task="main",
    sequence=17,
    container_id="b710f01d",
)
SCHEMA = json.loads((ROOT / "src" / "fapilog" / "formats" / "event.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["json", "json_flat", "logfmt"])
def test_the_example_of_a_format_is_what_the_format_makes(name: str) -> None:
    section = (DOCS / "wire-format.md").read_text(encoding="utf-8").partition(f"\n## {name}\n")[2]
    example = next(_FENCE.finditer(section))[4]
    assert make_formatters()[name].format(EVENT).decode() == example


def test_the_wire_format_lists_every_member_of_the_schema() -> None:
    text = (DOCS / "wire-format.md").read_text(encoding="utf-8")
    rows = {row[0]: row[2] for row in re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", text, re.MULTILINE)}
    assert set(rows) == set(SCHEMA["properties"])
    assert {member for member, meaning in rows.items() if "Always there" in meaning} == set(SCHEMA["required"])


def test_the_guarantees_name_every_reason_for_a_loss_at_admission() -> None:
    text = (DOCS / "guarantees.md").read_text(encoding="utf-8")
    assert [reason for reason in (*DROPPED, *REJECTED) if f"`{reason}`" not in text] == []


def test_every_preset_is_documented_as_the_settings_it_stands_for() -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    rows: dict[str, str] = dict(re.findall(r"^\| `(\w+)` \| (`\w+ = .+) \|$", text, re.MULTILINE))
    assert {name: tomllib.loads(row.replace("`, `", "\n").strip("`")) for name, row in rows.items()} == {
        name: preset.settings for name, preset in PRESETS.items()
    }
