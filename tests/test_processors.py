"""The built-in processors: what they change of events, that they return the same ones, and what odd events do."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog import AsyncLoggingContainer, ConfigurationError, LogEvent
from fapilog.formats import make_formatters
from fapilog.formats._fit import json_size
from fapilog.plugins import PluginRegistry, PluginType, Processor
from fapilog.processors._paths import split
from fapilog.processors.allow_fields import AllowFieldsConfig, AllowFieldsProcessor
from fapilog.processors.drop_fields import DropFieldsConfig, DropFieldsProcessor
from fapilog.processors.rename_fields import RenameFieldsConfig, RenameFieldsProcessor
from fapilog.processors.size_guard import SizeGuardConfig, SizeGuardProcessor
from fapilog.testing import RecordingSink, check_plugin
from sinks import account

NAMES = ("allow_fields", "drop_fields", "rename_fields", "size_guard")


def event(**parts: Any) -> LogEvent:
    given: dict[str, Any] = {
        "fields": {"user": {"id": 7, "email": "a@b.c"}, "path": "/", "a.b": 1},
        "context": {"request": {"id": "r-1"}},
        "tags": {"team": "pay"},
        "metrics": {"ms": 2.5},
        **parts,
    }
    return LogEvent("m", **given)


def processed(processor: Processor, one: LogEvent) -> LogEvent:
    result: Any = processor.process([one])
    assert len(result) == 1 and result[0] is one
    return one


@pytest.mark.parametrize("name", NAMES)
def test_each_is_known_by_name_and_has_metadata_and_a_schema(name: str) -> None:
    registry = PluginRegistry()
    metadata = registry.metadata(PluginType.PROCESSOR, name)
    assert metadata.name == name
    assert metadata.configuration_schema["additionalProperties"] is False
    assert registry.names(PluginType.PROCESSOR) == NAMES


# -- drop_fields


def test_values_are_taken_out_at_any_depth() -> None:
    paths = [
        "fields.user.email",
        "context.request",
        "tags.team",
        "fields.a\\.b",
        "metrics.ms",
        "fields.none.x",
        "tags.t",
    ]
    one = processed(DropFieldsProcessor(DropFieldsConfig(paths=paths)), event())
    assert one.fields == {"user": {"id": 7}, "path": "/"}
    assert one.context == one.tags == one.metrics == {}


def test_an_event_without_the_value_is_not_touched() -> None:
    one = event()
    fields, context = one.fields, one.context
    processed(DropFieldsProcessor(DropFieldsConfig(paths=["fields.x", "fields.user.x", "context.request.id.x"])), one)
    assert one.fields is fields
    assert one.context is context


# -- rename_fields


def test_values_get_other_names_and_places() -> None:
    names = {
        "fields.path": "fields.http.route",
        "fields.user.id": "tags.user",
        "context.request.id": "context.request_id",
        "metrics.ms": "metrics.latency_ms",
        "tags.team": "metrics.team",
        "fields.none": "fields.other",
    }
    one = processed(RenameFieldsProcessor(RenameFieldsConfig(names=names)), event())
    assert one.fields == {"user": {"email": "a@b.c"}, "a.b": 1, "http": {"route": "/"}}
    assert one.tags == {"user": "7"}
    assert one.context == {"request": {}, "request_id": "r-1"}
    assert one.metrics == {"latency_ms": 2.5}, "a text that is no number is no metric"


def test_a_new_name_replaces_what_had_it_and_what_is_in_its_way() -> None:
    one = event(fields={"a": 1, "b": 2, "c": 3})
    config = RenameFieldsConfig(names={"fields.a": "fields.b", "fields.c": "fields.b.inner", "fields.b": "fields.b"})
    assert processed(RenameFieldsProcessor(config), one).fields == {"b": {"inner": 3}}


# -- allow_fields


def test_only_what_is_named_stays() -> None:
    config = AllowFieldsConfig(paths=["fields.path", "fields.user.id", "fields.none", "tags.other", "fields.user.none"])
    one = processed(AllowFieldsProcessor(config), event())
    assert one.fields == {"path": "/", "user": {"id": 7}}
    assert one.tags == {}
    assert one.context == {"request": {"id": "r-1"}}, "nothing of it is named"
    assert one.metrics == {"ms": 2.5}


def test_an_event_that_has_nothing_else_is_not_touched() -> None:
    one = event()
    fields = one.fields
    processed(AllowFieldsProcessor(AllowFieldsConfig(paths=["fields.user", "fields.path", "fields.a\\.b"])), one)
    assert one.fields is fields


# -- size_guard


def content(one: LogEvent) -> dict[str, Any]:
    names = ("message", "fields", "context", "tags", "metrics", "exception")
    return {name: value for name in names if (value := getattr(one, name))}


def test_a_small_event_is_not_touched() -> None:
    one = event()
    record = one._record
    processed(SizeGuardProcessor(), one)
    assert one._record is record


def test_the_longest_texts_are_cut_first_and_tell_their_length() -> None:
    one = event(fields={"body": "x" * 50_000, "short": "y" * 200, "trace": "z" * 3000, "n": 5})
    processed(SizeGuardProcessor(SizeGuardConfig(max_bytes=8000)), one)
    assert one.fields["body"].endswith("…<50000 characters>")
    assert len(one.fields["body"]) > 4000, "what room there is is used"
    assert one.fields["short"] == "y" * 200
    assert one.fields["trace"] == "z" * 3000
    assert one.fields["n"] == 5
    assert 7900 < json_size(content(one), 1 << 30) <= 8000


def test_when_the_texts_are_not_enough_lists_and_mappings_are_cut() -> None:
    one = event(fields={"rows": [{"id": number, "ok": True} for number in range(400)], "path": "/"})
    processed(SizeGuardProcessor(SizeGuardConfig(max_bytes=2000)), one)
    assert one.fields["path"] == "/"
    assert one.fields["rows"][0] == {"id": 0, "ok": True}
    assert one.fields["rows"][-1] == f"<{400 - (len(one.fields['rows']) - 1)} more>"
    assert one.context == {"request": {"id": "r-1"}}
    assert json_size(content(one), 1 << 30) <= 2000


def test_what_is_to_be_kept_stays_whole() -> None:
    one = event(fields={"order": "o" * 3000, "body": "x" * 3000, "user": {"name": "n" * 500, "bio": "b" * 5000}})
    processed(SizeGuardProcessor(SizeGuardConfig(max_bytes=5000, keep=["fields.order", "fields.user.name"])), one)
    assert one.fields["order"] == "o" * 3000
    assert one.fields["user"]["name"] == "n" * 500
    assert one.fields["body"].endswith("…<3000 characters>")
    assert one.fields["user"]["bio"].endswith("…<5000 characters>")
    assert 4900 < json_size(content(one), 1 << 30) <= 5000


def test_what_is_to_be_kept_and_too_large_by_itself_is_cut_as_well() -> None:
    one = event(fields={"order": "o" * 30_000, "body": "x" * 3000})
    processed(SizeGuardProcessor(SizeGuardConfig(max_bytes=2000, keep=["fields.order"])), one)
    assert one.fields["order"].endswith("…<30000 characters>")
    assert json_size(content(one), 1 << 30) <= 2000


LONG_TEXTS = st.tuples(st.sampled_from(["é", "\ud800", "\x00", '"', "😀"]), st.integers(0, 3000))
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=300),
    LONG_TEXTS.map(lambda drawn: drawn[0] * drawn[1]),
    st.just(datetime(2026, 1, 1, tzinfo=UTC)),
)
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=8), inner, max_size=8),
    max_leaves=40,
)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), TREES),
    st.dictionaries(st.text(max_size=3), TREES, max_size=3),
    st.sampled_from([1024, 2000, 10_000]),
    st.sampled_from([[], ["fields.a"], ["fields.a.x", "fields.a", "fields.a.x", "context.b"]]),
    st.text(max_size=20) | st.just("m" * 5000),
)
def test_any_event_fits_afterwards_and_can_be_written(
    fields: dict[str, Any], context: dict[str, Any], max_bytes: int, keep: list[str], message: str
) -> None:
    one = LogEvent(message, fields=fields, context=context, exception={"type": "E", "message": "x" * 3000})
    before = content(one)
    fits = json_size(before, 1 << 40) <= max_bytes
    processed(SizeGuardProcessor(SizeGuardConfig(max_bytes=max_bytes, keep=keep)), one)
    assert json_size(content(one), 1 << 40) <= max_bytes
    if fits:
        assert repr(content(one)) == repr(before)
    assert json.loads(make_formatters()["json"].format(one))


ODD = LogEvent("odd", fields={"a": math.nan, "b": 2**70, "user": "text", "x": ()}, context={"request": None})


@pytest.mark.parametrize(
    "made",
    [
        DropFieldsProcessor(DropFieldsConfig(paths=["fields.user.email", "context.request.id", "fields.a.b.c"])),
        RenameFieldsProcessor(RenameFieldsConfig(names={"fields.user.id": "tags.x", "fields.a": "metrics.a"})),
        AllowFieldsProcessor(AllowFieldsConfig(paths=["fields.user.email", "context.request.id"])),
        SizeGuardProcessor(SizeGuardConfig(max_bytes=1024)),
    ],
    ids=lambda made: type(made).__name__,
)
def test_odd_events_go_through(made: Processor) -> None:
    assert isinstance(made, Processor)
    processed(made, ODD.copy())
    processed(made, LogEvent(""))
    assert made.process([]) == []


@pytest.mark.parametrize(
    "path", ["", "fields", "message.x", "user.id", "fields.", "fields..x", "tags." + "x." * 20 + "x"]
)
def test_a_path_that_is_none_is_refused(path: str) -> None:
    assert split(path) is None
    for make in (
        lambda: DropFieldsConfig(paths=[path]),
        lambda: AllowFieldsConfig(paths=[path]),
        lambda: SizeGuardConfig(keep=[path]),
        lambda: RenameFieldsConfig(names={path: "fields.x"}),
        lambda: RenameFieldsConfig(names={"fields.x": path}),
    ):
        with pytest.raises(ConfigurationError, match="path such as"):
            make()


@pytest.mark.parametrize("given", ["fields.x", [5], {"a": 1}, 5])
def test_what_is_no_list_of_paths_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError):
        DropFieldsConfig(paths=given)


def test_a_key_may_have_a_dot() -> None:
    assert split(r"fields.http\.status.code") == ("fields", "http.status", "code")


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_in_a_container_nothing_is_created_or_merged() -> None:
    sink = RecordingSink("sink")
    settings: dict[str, Any] = {
        "processors": ["drop_fields", "rename_fields", "allow_fields", "size_guard"],
        "plugin_config": {
            "drop_fields": {"paths": ["fields.password"]},
            "rename_fields": {"names": {"fields.usr": "fields.user"}},
            "allow_fields": {"paths": ["fields.user", "fields.body"]},
            "size_guard": {"max_bytes": 1024},
        },
    }
    async with AsyncLoggingContainer(settings, sinks=[sink]) as container:
        await container.logger().info("m", password="x", usr="ann", other=1, body="b" * 9000)
        await container.logger().info("n")
    report = account(container)
    assert (report.created, report.merged, report.dispatched) == (0, 0, 2)
    assert sink.events[0].fields["user"] == "ann"
    assert set(sink.events[0].fields) == {"user", "body"}
    assert sink.events[0].fields["body"].endswith("…<9000 characters>")


MAKERS: dict[str, Any] = {
    "drop_fields": lambda: DropFieldsProcessor(DropFieldsConfig(paths=["fields.user", "context.a.b"])),
    "rename_fields": lambda: RenameFieldsProcessor(RenameFieldsConfig(names={"fields.user": "metrics.user"})),
    "allow_fields": lambda: AllowFieldsProcessor(AllowFieldsConfig(paths=["fields.user.id", "tags.team"])),
    "size_guard": lambda: SizeGuardProcessor(SizeGuardConfig(max_bytes=1024)),
}


@pytest.mark.parametrize("name", NAMES)
def test_each_conforms_to_what_the_pipeline_relies_on(name: str) -> None:
    check_plugin(MAKERS[name], "processor")
