"""JSON Schemas made from attrs classes, checked against a JSON Schema validator where there is one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import attrs
import pytest

from fapilog.plugins.policy import SinkPolicy
from fapilog.plugins.schema import DIALECT, describe, json_schema, type_schema
from fapilog.settings import OverflowStrategy, Settings


class Colour(Enum):
    RED = "red"
    BLUE = 2


UserId = NewType("UserId", int)


@attrs.frozen
class Inner:
    name: str
    children: list[Inner] = attrs.field(factory=list)


@attrs.frozen
class Everything:
    path: Path
    url: str = attrs.field(metadata={"description": "Where to send to.", "schema": {"pattern": "^https:"}})
    inner: Inner
    number: int = 5
    size: int | None = None
    either: str | float = "x"
    colour: Colour = Colour.RED
    mode: Literal["a", "b"] = "a"
    tags: dict[str, str] = attrs.field(factory=dict)
    names: tuple[str, ...] = ("a", "b")
    pair: tuple[int, str] = (1, "a")
    unique: set[int] = attrs.field(factory=set)
    password: str = "default-secret"
    hidden: str = attrs.field(default="default-secret", repr=False)
    call: Callable[[], int] | None = None
    anything: Any = None
    _private: bool = False
    computed: int = attrs.field(init=False, default=1)
    per_instance: int = attrs.field(default=attrs.Factory(lambda self: self.number, takes_self=True))
    infinite: float = float("inf")
    other: Inner | None = Inner("x")


SCHEMA = json_schema(Everything)
PROPERTIES = SCHEMA["properties"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("path", {"type": "string", "format": "path"}),
        ("url", {"type": "string", "description": "Where to send to.", "pattern": "^https:"}),
        ("inner", {"$ref": "#/$defs/Inner"}),
        ("number", {"type": "integer", "default": 5}),
        ("size", {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}),
        ("either", {"anyOf": [{"type": "string"}, {"type": "number"}], "default": "x"}),
        ("colour", {"enum": ["red", 2], "default": "red"}),
        ("mode", {"enum": ["a", "b"], "default": "a"}),
        ("tags", {"type": "object", "additionalProperties": {"type": "string"}, "default": {}}),
        ("names", {"type": "array", "items": {"type": "string"}, "default": ["a", "b"]}),
        (
            "pair",
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "minItems": 2,
                "maxItems": 2,
                "default": [1, "a"],
            },
        ),
        ("unique", {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "default": []}),
        ("password", {"type": "string"}),
        ("hidden", {"type": "string"}),
        ("call", {"default": None}),
        ("anything", {"default": None}),
        ("private", {"type": "boolean", "default": False}),
        ("per_instance", {"type": "integer"}),
        ("infinite", {"type": "number"}),
        (
            "other",
            {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}], "default": {"name": "x", "children": []}},
        ),
    ],
)
def test_the_schema_of_an_attribute(name: str, expected: dict[str, Any]) -> None:
    assert PROPERTIES[name] == expected


def test_the_schema_of_a_class() -> None:
    assert SCHEMA["$schema"] == DIALECT
    assert SCHEMA["title"] == "Everything"
    assert SCHEMA["type"] == "object"
    assert SCHEMA["required"] == ["path", "url", "inner"]
    assert SCHEMA["additionalProperties"] is False
    assert "computed" not in PROPERTIES
    assert SCHEMA["$defs"]["Inner"] == {
        "title": "Inner",
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/Inner"}, "default": []},
        },
        "required": ["name"],
        "additionalProperties": False,
    }


def test_a_class_that_holds_itself_refers_to_the_root() -> None:
    assert json_schema(Inner)["properties"]["children"]["items"] == {"$ref": "#"}


@pytest.mark.parametrize(
    ("annotation", "schema", "words"),
    [
        (int, {"type": "integer"}, "a whole number"),
        (float, {"type": "number"}, "a number"),
        (bool, {"type": "boolean"}, "true or false"),
        (str, {"type": "string"}, "text"),
        (None, {"type": "null"}, "nothing"),
        (UserId, {"type": "integer"}, "a whole number"),
        (Annotated[int, "x"], {"type": "integer"}, "a whole number"),
        (datetime, {"type": "string", "format": "date-time"}, "a date and time"),
        (Path, {"type": "string", "format": "path"}, "a path"),
        (Sequence[str], {"type": "array", "items": {"type": "string"}}, "a list of text"),
        (list, {"type": "array"}, "a list"),
        (Mapping[str, Any], {"type": "object"}, "a table"),
        (OverflowStrategy, {"enum": ["block", "drop_newest", "drop_oldest", "raise"]},
         "'block', 'drop_newest', 'drop_oldest' or 'raise'"),
        (int | str | None, {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
         "a whole number or text"),
        (int | Any, {}, "another value"),
        (Inner, {"$ref": "#/$defs/Inner"}, "a table"),
        (object, {}, "another value"),
        ("Unresolved", {}, "another value"),
    ],
)  # fmt: skip
def test_types_as_schemas_and_in_words(annotation: Any, schema: dict[str, Any], words: str) -> None:
    assert type_schema(annotation) == schema
    assert describe(schema) == words


def test_annotations_that_cannot_be_resolved_allow_anything() -> None:
    @attrs.frozen
    class Local:
        known: Missing  # type: ignore[name-defined]  # noqa: F821
        number: int = 3

    assert json_schema(Local)["properties"] == {"known": {}, "number": {"default": 3}}


def test_what_is_no_attrs_class_is_refused() -> None:
    with pytest.raises(TypeError, match="is no attrs class; decorate it"):
        json_schema(int)


@pytest.mark.parametrize("attrs_class", [Everything, Inner, Settings, SinkPolicy])
def test_schemas_are_valid_json_schemas(attrs_class: type) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(json.dumps(json_schema(attrs_class), allow_nan=False))
    jsonschema.Draft202012Validator.check_schema(schema)


def test_a_schema_accepts_what_is_right_and_refuses_what_is_not() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json_schema(Everything))
    right = {"path": "a", "url": "https://x", "inner": {"name": "x", "children": [{"name": "y"}]}}
    assert validator.is_valid(right)
    for wrong in (
        {**right, "unknown": 1},
        {**right, "number": "5"},
        {**right, "mode": "c"},
        {**right, "inner": {"name": "x", "children": [{}]}},
        {"path": "a"},
    ):
        assert not validator.is_valid(wrong)


def test_an_enum_of_text_has_its_values() -> None:
    class Level(StrEnum):
        LOW = "low"

    assert type_schema(Level) == {"enum": ["low"]}
