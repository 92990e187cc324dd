"""The size_guard processor: cuts events that are too large, long texts first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import attrs

from ..checks import CHECK, check_or_raise, whole_number
from ..event import LogEvent
from ..formats._characters import event_characters
from ..formats._fit import cut_text, fit_event, json_size, share_of
from ..plugins.metadata import PluginMetadata, PluginType
from ..values import FrozenDict
from ._paths import Path, find, paths, split, with_value, without

_PARTS = ("message", "fields", "context", "tags", "metrics", "exception")
"""What of an event is measured and cut."""
_MOST_BYTES_EACH = 26
"""Bytes of JSON, at most, for each that :func:`event_characters` counts: a character takes 6 when it is escaped, and a
number or a truth value, which counts as 1, 24 and its comma and colon."""
_LEAST_TEXT = 64
"""Bytes that a text is never cut below, its marker included."""
_LEAST_BUDGET = 1000


@attrs.frozen(kw_only=True)
class SizeGuardConfig:
    """What the size_guard processor can be told."""

    max_bytes: int = attrs.field(default=256_000, metadata={CHECK: whole_number(1024, 1 << 30)})
    """Bytes that message, fields, context, tags, metrics and exception may have together, as JSON; at least 1024."""
    keep: list[str] = attrs.field(factory=list[str], metadata={CHECK: paths})
    """Paths to what is cut last, such as ``["fields.order", "context.user.id"]``."""

    def __attrs_post_init__(self) -> None:
        check_or_raise(self)


class SizeGuardProcessor:
    """Cuts an event that is larger than ``max_bytes`` down to it.

    The longest texts are cut first, each with a marker that tells how long it was: ``…<12345 characters>``. If that is
    not enough, the largest mappings and lists are cut too, with a marker that tells how many items are missing: ``<12
    more>``. Level, time, logger, correlation id and what ``keep`` names stay whole, unless that alone is too large.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="size_guard",
        version="1.0.0",
        plugin_type=PluginType.PROCESSOR,
        entry_point="fapilog.processors.size_guard:SizeGuardProcessor",
    )
    Config = SizeGuardConfig

    def __init__(self, config: SizeGuardConfig | None = None) -> None:
        config = config or SizeGuardConfig()
        self._max_bytes = config.max_bytes
        self._surely_fits = config.max_bytes // _MOST_BYTES_EACH
        self._keep = [found for path in config.keep if (found := split(path)) is not None]

    def process(self, batch: Sequence[LogEvent]) -> list[LogEvent]:
        for event in batch:
            if event_characters(event, self._surely_fits) > self._surely_fits:
                self._guard(event)
        return list(batch)

    def _guard(self, event: LogEvent) -> None:
        tree: dict[str, Any] = {name: value for name in _PARTS if (value := getattr(event, name))}
        if json_size(tree, self._max_bytes) <= self._max_bytes:
            return
        kept: dict[str, Any] = {}
        taken: list[tuple[Path, Any]] = []
        for path in self._keep:
            is_there, value = find(tree, path)
            if is_there:
                taken.append((path, value))
                kept = with_value(kept, path, value)
                tree = without(tree, path)
        room = self._max_bytes - json_size(kept, self._max_bytes)
        cut = _with_shorter_texts(tree, room) or fit_event(tree, max(room, _LEAST_BUDGET), ())
        for path, value in taken:
            cut = with_value(cut, path, value)
        if room < _LEAST_BUDGET:
            cut = fit_event(cut, self._max_bytes, ())
        for name, value in cut.items():
            if value is not tree.get(name):
                setattr(event, name, value)


def _with_shorter_texts(tree: dict[str, Any], room: int) -> dict[str, Any] | None:
    """Return *tree* with its longest texts cut so that it fits, or None if cutting texts is not enough."""
    sizes = [json_size(text, room) for text in _texts(tree)]
    available = room - (json_size(tree, 1 << 40) - sum(sizes))
    share = share_of(sizes, available)
    if share < _LEAST_TEXT:
        return None
    return cast("dict[str, Any]", _cut_texts(tree, share))


def _texts(tree: Any) -> Iterator[str]:
    if type(tree) is str:
        yield tree
    elif isinstance(tree, dict):
        for value in cast("dict[str, Any]", tree).values():
            yield from _texts(value)
    elif isinstance(tree, (tuple, list)):
        for item in cast("Sequence[Any]", tree):
            yield from _texts(item)


def _cut_texts(tree: Any, share: int) -> Any:
    """Return *tree* with every text cut to *share* bytes; what holds none that is longer is returned as it is."""
    if type(tree) is str:
        return tree if json_size(tree, share) <= share else cut_text(tree, share)
    if isinstance(tree, dict):
        mapping = cast("dict[str, Any]", tree)
        changed = {key: _cut_texts(value, share) for key, value in mapping.items()}
        return mapping if all(changed[key] is mapping[key] for key in mapping) else FrozenDict(changed)
    if isinstance(tree, (tuple, list)):
        items = cast("Sequence[Any]", tree)
        cut = tuple([_cut_texts(item, share) for item in items])
        return items if all(one is other for one, other in zip(items, cut, strict=True)) else cut
    return tree
