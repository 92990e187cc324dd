"""A plugin's configuration object made from its table of settings, and everything that is wrong with the table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from enum import Enum
from functools import cache, partial
from os import PathLike, fspath
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin

import attrs

from ..checks import Problems
from ..shown import MASK, did_you_mean, is_secret_name, masked_text, path_key, secrets_of, show, type_name, type_of
from ..units import BYTES_EXAMPLE, SECONDS_EXAMPLE
from .meant import UNIT, meant
from .schema import describe, field_types, type_schema

_NOTHING = object()
_UNQUOTED = ("a whole number", "a number", "true or false")
_UNIT_HINTS = {"bytes": BYTES_EXAMPLE, "seconds": SECONDS_EXAMPLE, "days": SECONDS_EXAMPLE}


def structure_config(
    config_class: type,
    table: Mapping[str, Any],
    path: str,
    problems: Problems,
    *,
    beside: Iterable[str] = (),
    instead: Mapping[str, str] | None = None,
) -> Any:
    """Return a *config_class* made from *table*, or None after noting everything that is wrong with it.

    Values are taken as they are meant: ``"5"`` is no number, ``True`` is none either, a text is no list. cattrs is
    imported only if the table holds anything. An attribute with a converter of its own gets the raw value.

    Parameters:
        config_class: an attrs class; an attribute with ``repr=False`` is taken for a secret.
        table: the settings, by the names that the class's ``__init__`` takes.
        path: where the table stands, for the paths of problems.
        problems: where to note them.
        beside: names of settings that stand in the same table and were taken out of it, for hints.
        instead: for names that are no settings, but may be taken for some, what to use in their place.
    """
    found = Problems()
    attributes = _init_attributes(config_class)
    unknown = [key for key in table if key not in attributes]
    found.unknown_keys(path + ".", unknown, [*attributes, *beside], "setting", instead)
    converter = _converter() if any(key in attributes for key in table) else None
    types = field_types(config_class)
    secrets = _secrets(attributes, table)
    values: dict[str, Any] = {}
    for key, attribute in attributes.items():
        annotation = types.get(attribute.name, Any)
        if key in table:
            unit = attribute.metadata.get(UNIT, "")
            value = meant(table[key], annotation, unit)
            if attribute.converter is not None or converter is None:
                values[key] = value
                continue
            try:
                values[key] = converter.structure(value, annotation)
            except Exception as error:
                secret = attribute.repr is False or is_secret_name(key)
                _note(error, value, annotation, f"{path}.{path_key(key)}", found, secrets, secret, unit)
        elif attribute.default is attrs.NOTHING:
            found.say(f"{path}.{path_key(key)}", "nothing", describe(type_schema(annotation)), "it has no default")
    config = None
    if not found.items:
        try:
            config = config_class(**values)
        except Exception as error:
            _note_each(config_class, values, types, path, found, secrets)
            if not found.items and not found.take_over(error, path + "."):
                found.say(
                    path, "a combination of settings", "one that the plugin accepts", masked_text(str(error), secrets)
                )
    else:
        _note_each(config_class, values, types, path, found, secrets)
    problems.items += found.items
    return config


def _init_attributes(config_class: type) -> dict[str, Any]:
    """Return the attributes that ``__init__`` takes, by the names it takes them by."""
    return {attribute.alias or attribute.name: attribute for attribute in attrs.fields(config_class) if attribute.init}


@cache
def _converter() -> Any:
    """Return a converter of our own, which takes values strictly; cattrs would read ``5`` out of ``"5"``.

    One for all: to make it takes longer than to use it, for cattrs asks each of its hooks for its signature.
    """
    import cattrs

    make: Any = cattrs.Converter
    converter = make(
        forbid_extra_keys=True,
        use_alias=True,
        prefer_attrib_converters=True,
        structure_fallback_factory=_fallback,
    )
    for plain, check in ((bool, _bool), (int, _int), (float, _float), (str, _str)):
        converter.register_structure_hook(plain, partial(_plain, check))
    converter.register_structure_hook(bytes, _as_is)
    converter.register_structure_hook_factory(_is_array, _array_hook)
    converter.register_structure_hook_factory(_is_union, _union_hook)
    return converter


def _fallback(_: Any) -> Any:
    return _as_is


def _array_hook(annotation: Any, converter: Any) -> Any:
    """Return a hook for a list, tuple or set; a text is none of them."""
    from cattrs.errors import IterableValidationError, IterableValidationNote

    kind: Any = get_origin(annotation) or annotation
    arguments = get_args(annotation) or (Any,)
    one_each = issubclass(kind, tuple) and arguments[-1] is not ... and arguments != (Any,)
    make: Any = cast("Any", list)
    if issubclass(kind, (tuple, set, frozenset)):
        make = cast("Any", kind)
    elif issubclass(kind, AbstractSet):
        make = cast("Any", frozenset)
    make_error, make_note = cast("Any", IterableValidationError), cast("Any", IterableValidationNote)

    def structure(value: Any, _: Any) -> Any:
        if type(value) not in (list, tuple, set, frozenset) or (one_each and len(value) != len(arguments)):
            raise _Unfit
        items: list[Any] = []
        errors: list[Exception] = []
        for index, item in enumerate(value):
            inner = arguments[index if one_each else 0]
            try:
                items.append(converter.structure(item, inner))
            except Exception as error:
                error.add_note(make_note("", index, inner))
                errors.append(error)
        if errors:
            raise make_error("", errors, kind)
        return make(items)

    return structure


def _union_hook(annotation: Any, converter: Any) -> Any:
    """Return a hook for a union: the branch that is the value's own type, else the first that takes it."""
    branches = [branch for branch in get_args(annotation) if branch is not type(None)]
    has_none = len(branches) < len(get_args(annotation))

    def structure(value: Any, _: Any) -> Any:
        if value is None and has_none:
            return None
        if len(branches) == 1 or type(value) in branches:
            return converter.structure(value, branches[0] if len(branches) == 1 else type(value))
        for branch in branches:
            with suppress(Exception):
                return converter.structure(value, branch)
        raise _Unfit

    return structure


class _Unfit(Exception):
    """Raised by our hooks for a value that is not of the annotated type."""


def _plain(check: Callable[[Any], Any], value: Any, annotation: Any) -> Any:
    """Return a plain value, or an instance of the subclass of its type that is annotated, such as a ``StrEnum``."""
    plain = check(value)
    return plain if annotation is type_of(plain) else annotation(plain)


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise _Unfit
    return value


def _int(value: Any) -> int:
    if type(value) is bool or not isinstance(value, int):
        raise _Unfit
    return int(value)


def _float(value: Any) -> float:
    if type(value) is bool or not isinstance(value, (int, float)):
        raise _Unfit
    plain = float(value)
    if plain - plain != 0:  # NaN and the infinities
        raise _Unfit
    return plain


def _str(value: Any) -> str:
    if isinstance(value, PathLike):
        value = fspath(cast("PathLike[str]", value))
    if not isinstance(value, str):
        raise _Unfit
    return str.__str__(value)


def _as_is(value: Any, annotation: Any) -> Any:
    """Take an object that no table can hold, such as a function or a compiled pattern."""
    kind: Any = get_origin(annotation) or annotation
    if kind is Callable:
        fits = callable(value)
    else:
        fits = not isinstance(kind, type) or getattr(kind, "_is_protocol", False) or isinstance(value, kind)
    if not fits:
        raise _Unfit
    return value


def _is_array(annotation: Any) -> bool:
    kind: Any = get_origin(annotation) or annotation
    if not issubclass(type_of(kind), type) or not issubclass(kind, Collection):
        return False
    is_other = issubclass(kind, (str, bytes, bytearray, Mapping, Enum)) or attrs.has(cast("type", kind))
    return not is_other and "_fields" not in vars(cast("type", kind))  # as a named tuple has


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _secrets(attributes: Mapping[str, attrs.Attribute[Any]], table: Mapping[str, Any]) -> list[str]:
    """Return the texts that no message may show, longest first."""
    hidden = {key: value for key, value in table.items() if key in attributes and attributes[key].repr is False}
    return sorted(secrets_of(table) + secrets_of(hidden, secret=True), key=len, reverse=True)


def _note(
    error: Exception,
    value: Any,
    annotation: Any,
    path: str,
    problems: Problems,
    secrets: list[str],
    secret: bool,
    unit: str = "",
) -> None:
    """Note what cattrs found wrong with *value*, one problem for each value inside it."""
    from cattrs.errors import (
        AttributeValidationNote,
        ClassValidationError,
        ForbiddenExtraKeysError,
        IterableValidationError,
    )

    if isinstance(error, (ClassValidationError, IterableValidationError)):
        noted, others = error.group_exceptions()
        for inner, note in noted:
            key = note.name if isinstance(note, AttributeValidationNote) else note.index
            step = f".{path_key(key)}" if isinstance(key, str) else f"[{key}]"
            hidden = secret or (isinstance(key, str) and is_secret_name(key))
            _note(inner, _inside(value, key), note.type, path + step, problems, secrets, hidden)
        for inner in others:
            if isinstance(inner, ForbiddenExtraKeysError):
                known = [attribute.alias or attribute.name for attribute in attrs.fields(inner.cl)]
                problems.unknown_keys(path + ".", sorted(map(str, inner.extra_fields)), known, "setting")
            else:
                _note(inner, value, annotation, path, problems, secrets, secret)
        return
    allowed = describe(type_schema(annotation)) + (f" of {unit}" if unit else "")
    if value is _NOTHING:
        problems.say(path, "nothing", allowed, "it has no default")
    elif isinstance(error, (ValueError, TypeError)) and attrs.has(_class_of(annotation)) and type_of(value) is dict:
        problems.say(path, _given(value, secret, secrets), allowed, masked_text(str(error), secrets))
    else:
        kind = type_of(value)
        hint = ""
        if kind is str and not secret and describe(type_schema(annotation)) in _UNQUOTED:
            hint = _UNIT_HINTS.get(unit, "give it without quotes and without a unit")
        elif kind is str and not secret:
            hint = did_you_mean(value, [choice for choice in _choices(annotation) if type(choice) is str])
        problems.say(path, _given(value, secret, secrets), allowed, hint)


def _given(value: Any, secret: bool, secrets: list[str]) -> str:
    """Return *value* as text, also without a secret that stands elsewhere under its own name."""
    shown = show(value, secret=secret)
    for text in secrets:
        shown = shown.replace(text, MASK)
    return shown


def _choices(annotation: Any) -> list[Any]:
    """Return the values that an annotation lists, also as a branch of a union."""
    schema = type_schema(annotation)
    return [choice for branch in (schema, *schema.get("anyOf", ())) for choice in branch.get("enum", ())]


def _inside(value: Any, key: Any) -> Any:
    """Return what stands under *key* in a table or list, or ``_NOTHING``."""
    try:
        return value[key]
    except Exception:
        return _NOTHING if type(value) is dict else value


def _class_of(annotation: Any) -> type:
    return annotation if isinstance(annotation, type) else type(annotation)


def _note_each(
    config_class: type,
    values: Mapping[str, Any],
    types: Mapping[str, Any],
    path: str,
    problems: Problems,
    secrets: list[str],
) -> None:
    """Run every attribute's converter and validator by itself, since an attrs class stops at the first that fails."""
    incomplete = bool(problems.items)
    new: Any = object.__new__
    instance = new(config_class)
    given: dict[str, Any] = {}
    failed: dict[str, tuple[Any, Exception]] = {}
    for attribute in attrs.fields(config_class):
        key = attribute.alias or attribute.name
        if key in values:
            value = values[key]
            given[key] = value
            if attribute.converter is not None:
                try:
                    value = _convert(attribute.converter, value, instance, attribute)
                except Exception as error:
                    failed[key] = (given.pop(key), error)
                    continue
        else:
            value = _default(attribute.default, instance)
        if value is not attrs.NOTHING:
            object.__setattr__(instance, attribute.name, value)
    for attribute in attrs.fields(config_class):
        key = attribute.alias or attribute.name
        if key in given and attribute.validator is not None:
            try:
                attribute.validator(instance, attribute, getattr(instance, attribute.name))
            except AttributeError as error:
                # Another attribute that it asks for is missing or wrong itself.
                if not incomplete:
                    failed[key] = (given[key], error)
            except Exception as error:
                failed[key] = (given[key], error)
    for attribute in attrs.fields(config_class):
        key = attribute.alias or attribute.name
        if key in failed:
            value, reason = failed[key]
            here = f"{path}.{path_key(key)}"
            if problems.take_over(reason, here + "."):
                continue
            secret = attribute.repr is False or is_secret_name(key)
            hidden = [*secrets, show(value)] if secret else secrets
            allowed, hint = _reason(
                reason, attribute.name, value, describe(type_schema(types.get(attribute.name))), hidden
            )
            problems.say(here, _given(value, secret, secrets), allowed, hint)


def _default(default: Any, instance: Any) -> Any:
    """Return the default value, or ``NOTHING`` if there is none or it cannot be made."""
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return default
    with suppress(Exception):
        return default.factory(instance) if default.takes_self else default.factory()
    return attrs.NOTHING


def _convert(converter: Any, value: Any, instance: Any, attribute: Any) -> Any:
    if hasattr(converter, "takes_self"):
        call: Any = converter.__call__  # set by its constructor, always with these three
        return call(value, instance, attribute)
    return converter(value)


def _reason(error: Exception, name: str, value: Any, kind: str, secrets: list[str]) -> tuple[str, str]:
    """Return what is allowed and a hint, from what a validator raised.

    ``'size' must be >= 1: 0`` and ``size 0 is not a number from 1; leave it out`` say the name and the value, which
    the problem says already.
    """
    from re import sub

    text = str(error.args[0]) if error.args and type(error.args[0]) is str else type_name(error)
    text = text.removeprefix(f"'{name}' ").removeprefix(f"{name} ")
    plain = repr(value) if type(value) in (str, int, float, bool, type(None)) else None
    if plain is not None:
        text = text.removeprefix(f"{plain} ").removesuffix(f": {plain}").removesuffix(f" (got {plain})")
        text = text.removesuffix(f" ({plain} doesn't)")
    for start, instead in (("must be in ", "one of "), ("must be ", ""), ("is not allowed; use ", ""), ("is not ", "")):
        if text.startswith(start):
            allowed, _, hint = (instead + text.removeprefix(start)).partition("; ")
            allowed = sub(r"^(>=|>|<=|<) ", lambda match: f"{kind} {match[1]} ", allowed)
            return masked_text(allowed, secrets), masked_text(hint, secrets)
    if text.startswith("is no "):
        text = text.partition("; ")[2] or text
    return kind, masked_text(text, secrets)
