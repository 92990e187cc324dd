"""JSON Schemas (draft 2020-12) of attrs classes, such as the configuration of a plugin."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, NewType, Required, Union, cast, get_args, get_origin, get_type_hints

import attrs

from ..checks import CHECK, SCHEMA
from ..shown import is_secret_name, one_of, type_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SCALARS: dict[Any, dict[str, Any]] = {
    None: {"type": "null"},
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
}
_NAMED: dict[tuple[str, str], dict[str, Any]] = {
    ("datetime", "datetime"): {"type": "string", "format": "date-time"},
    ("datetime", "date"): {"type": "string", "format": "date"},
    ("datetime", "time"): {"type": "string", "format": "time"},
    ("uuid", "UUID"): {"type": "string", "format": "uuid"},
}
"""Types known by name, so that their modules need not be imported."""
_FORMATS: dict[Any, str] = {"path": "a path", "date-time": "a date and time", "date": "a date", "time": "a time"}


def json_schema(attrs_class: type) -> dict[str, Any]:
    """Return the JSON Schema of what *attrs_class* is made from; unknown keys are forbidden by it.

    An attribute's metadata may hold a ``"description"``, and under ``"schema"`` a mapping of more keywords,
    such as ``{"minimum": 1}``. A type that is no plain data has an empty schema. Defaults that cannot be written
    in JSON, and those of secrets, are left out.

    Raises:
        TypeError: if *attrs_class* is no attrs class.
    """
    if not attrs.has(attrs_class):
        raise TypeError(f"{attrs_class!r} is no attrs class; decorate it with attrs.frozen")
    definitions: dict[str, Any] = {}
    schema = {"$schema": DIALECT, **_class_schema(attrs_class, {attrs_class: "#"}, definitions)}
    if definitions:
        schema["$defs"] = definitions
    return schema


def type_schema(annotation: Any) -> dict[str, Any]:
    """Return the JSON Schema of one *annotation*, without the definitions of nested classes."""
    return _type_schema(annotation, {}, {})


def field_types(attrs_class: type) -> dict[str, Any]:
    """Return the types of *attrs_class*'s attributes by name, those given as text resolved where they can be."""
    try:
        return _resolved_types(attrs_class)
    except Exception:
        # A name that is imported for type checkers only; what is text then stays unknown.
        return {
            attribute.name: Any if isinstance(attribute.type, str) else attribute.type
            for attribute in attrs.fields(attrs_class)
        }


@lru_cache(maxsize=256)
def _resolved_types(attrs_class: type) -> dict[str, Any]:
    return get_type_hints(attrs_class, include_extras=True)


def describe(schema: Mapping[str, Any]) -> str:
    """Return what *schema* allows in words, for a message."""
    if "enum" in schema:
        return one_of(schema["enum"])
    if "anyOf" in schema:
        # What may be nothing may be left out: that is not worth a word.
        branches = [branch for branch in schema["anyOf"] if branch != {"type": "null"}]
        return " or ".join(describe(branch) for branch in branches)
    match schema.get("type"):
        case "integer":
            return "a whole number"
        case "number":
            return "a number"
        case "string":
            return _FORMATS.get(schema.get("format"), "text")
        case "boolean":
            return "true or false"
        case "null":
            return "nothing"
        case "array":
            inner = schema.get("items")
            return f"a list of {describe(inner)}" if inner else "a list"
        case "object":
            return "a table"
        case _:
            return "a table" if "$ref" in schema else "another value"


def _class_schema(attrs_class: type, references: dict[type, str], definitions: dict[str, Any]) -> dict[str, Any]:
    hints = field_types(attrs_class)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for attribute in attrs.fields(attrs_class):
        if not attribute.init:
            continue
        name = attribute.alias or attribute.name
        schema = _type_schema(hints.get(attribute.name, Any), references, definitions)
        schema = dict(getattr(attribute.metadata.get(CHECK), SCHEMA, None) or schema)
        if "description" in attribute.metadata:
            schema["description"] = attribute.metadata["description"]
        schema.update(attribute.metadata.get("schema", {}))
        if "unit" in attribute.metadata:
            schema = _or_text(schema)
        if attribute.default is attrs.NOTHING:
            required.append(name)
        elif attribute.repr is not False and not is_secret_name(name):
            found, default = _default(attribute.default)
            if found:
                schema["default"] = default
        properties[name] = schema
    whole: dict[str, Any] = {"title": attrs_class.__name__, "type": "object", "properties": properties}
    if required:
        whole["required"] = required
    whole["additionalProperties"] = False
    return whole


def _or_text(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with texts allowed too, as for a number that may have a unit."""
    branches = schema.pop("anyOf", None)
    if branches is None:
        branches = [{key: schema.pop(key) for key in ("type", "minimum", "maximum") if key in schema}]
    return {**_union([*branches, {"type": "string"}]), **schema}


def _type_schema(annotation: Any, references: dict[type, str], definitions: dict[str, Any]) -> dict[str, Any]:
    def inner(argument: Any) -> dict[str, Any]:
        return _type_schema(argument, references, definitions)

    if isinstance(annotation, NewType):
        return inner(annotation.__supertype__)
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated or origin is Required:
        return inner(arguments[0])
    if origin is Literal:
        return {"enum": [argument.value if isinstance(argument, Enum) else argument for argument in arguments]}
    if origin is Union or origin is types.UnionType:
        return _union([inner(argument) for argument in arguments])
    kind: Any = origin or annotation
    try:
        scalar = _SCALARS.get(kind)
    except TypeError:
        scalar = None
    if scalar is not None:
        return dict(scalar)
    if not issubclass(type_of(kind), type):
        return {}
    if (known := _NAMED.get((kind.__module__, kind.__qualname__))) is not None:
        return dict(known)
    if issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if attrs.has(kind):
        return _reference(kind, references, definitions)
    if issubclass(kind, (str, int, float)):
        return inner(next(base for base in kind.__mro__ if base in _SCALARS))
    if hasattr(kind, "__fspath__"):
        return {"type": "string", "format": "path"}
    if issubclass(kind, Mapping):
        values = inner(arguments[1]) if len(arguments) == 2 else {}
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    if issubclass(kind, Collection) or kind is Iterable:
        return _array(cast("type", kind), arguments, inner)
    return {}


def _array(kind: type, arguments: tuple[Any, ...], inner: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array"}
    if issubclass(kind, tuple) and arguments and arguments[-1] is not Ellipsis:
        schema["prefixItems"] = [inner(argument) for argument in arguments]
        schema["minItems"] = schema["maxItems"] = len(arguments)
    elif arguments and (items := inner(arguments[0])):
        schema["items"] = items
    if issubclass(kind, (set, frozenset)):
        schema["uniqueItems"] = True
    return schema


def _union(branches: list[dict[str, Any]]) -> dict[str, Any]:
    different = [branch for position, branch in enumerate(branches) if branch not in branches[:position]]
    if {} in different:
        return {}
    return different[0] if len(different) == 1 else {"anyOf": different}


def _reference(kind: type, references: dict[type, str], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a reference to the definition of the nested class *kind*, made when it is met first."""
    if kind not in references:
        name = kind.__name__
        while name in definitions:
            name += "_"
        references[kind] = f"#/$defs/{name}"
        definitions[name] = {}
        definitions[name] = _class_schema(kind, references, definitions)
    return {"$ref": references[kind]}


def _default(default: Any) -> tuple[bool, Any]:
    """Return whether *default* can be written in JSON, and how."""
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        if default.takes_self:
            return False, None
        try:
            default = default.factory()
        except Exception:
            return False, None
    return _plain(default)


def _plain(value: Any) -> tuple[bool, Any]:
    kind = type_of(value)
    if issubclass(kind, Enum):
        return _plain(value.value)
    if value is None or kind in (bool, int, str):
        return True, value
    if kind is float:
        return abs(value) < float("inf"), value
    if hasattr(kind, "__fspath__"):
        return True, str(value)
    if kind in (list, tuple, set, frozenset):
        items = [_plain(item) for item in value]
        return all(found for found, _ in items), [item for _, item in items]
    if kind is dict:
        pairs: dict[Any, tuple[bool, Any]] = {key: _plain(item) for key, item in value.items()}
        return (
            all(type(key) is str and found for key, (found, _) in pairs.items()),
            {key: item for key, (_, item) in pairs.items()},
        )
    if attrs.has(kind):
        return _plain(attrs.asdict(value))
    return False, None
