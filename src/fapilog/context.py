"""The ambient context: what ``log.context(...)`` adds to every event inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import Any

from ._accelerated import accelerator
from .current import current_logger as current_logger
from .event import NO_AMBIENT, Ambient
from .values import FrozenDict, freeze_mapping, text

INSIDE_PLUGIN = Ambient(FrozenDict({"fapilog": "inside a plugin"}))
"""The ambient context of plugin code: an event logged under it would feed on itself and is rejected."""


def ambient_variable(container_id: str, outermost: Ambient = NO_AMBIENT) -> ContextVar[Ambient]:
    """Return what holds one container's ambient context, which so follows the task tree as context variables do.

    Parameters:
        outermost: the context outside of every block.
    """
    return ContextVar(f"fapilog.ambient.{container_id}", default=outermost)


class Added:
    """Fields over the ambient context of this task, and of the tasks it starts, inside a block.

    A class and not a generator, which takes longer: a server enters one for each request.
    """

    __slots__ = ("_fields", "_token", "_variable")

    def __init__(self, variable: ContextVar[Ambient], fields: dict[str, Any]) -> None:
        self._variable = variable
        self._fields = fields
        self._token: Token[Ambient] | None = None

    def __enter__(self) -> None:
        if self._token is not None:
            raise RuntimeError("a context can be entered once only; call 'context' again")
        current = self._variable.get()
        self._token = self._variable.set(current if current is INSIDE_PLUGIN else extended(current, self._fields))

    def __exit__(self, *error: object) -> None:
        token = self._token
        if token is None:
            raise RuntimeError("a context has to be entered before it is left")
        try:
            self._variable.reset(token)
        except ValueError:
            pass  # left in another context than entered, as generators do


def extended(ambient: Ambient, fields: Mapping[str, Any]) -> Ambient:
    """Return *ambient* with *fields* over it; ``correlation_id`` among them becomes the events' own."""
    added = freeze_mapping(fields)
    correlation_id = ambient.correlation_id
    if "correlation_id" in added:
        correlation_id = text(added["correlation_id"])
        added = FrozenDict({name: value for name, value in added.items() if name != "correlation_id"})
    return Ambient(FrozenDict({**ambient.values, **added}) if ambient.values else added, correlation_id, ambient.scope)


def _over(ambient: Ambient, fields: dict[str, Any], scope: Any) -> Ambient:
    kinds: dict[str, type[Any]] = {name: type(value) for name, value in fields.items()}
    frozen = {name: FrozenDict(value) if kinds[name] is dict else value for name, value in fields.items()}
    return Ambient(FrozenDict({**ambient.values, **frozen}), ambient.correlation_id, scope)


added: Callable[[ContextVar[Ambient], dict[str, Any]], AbstractContextManager[None]]
"""Returns the block of ``log.context(...)``."""
over: Callable[[Ambient, dict[str, Any], Any], Ambient]
"""Returns an ambient context with *fields*, which are frozen but for the class of dicts, over it, and another scope."""
contexts: Any
"""What the accelerator knows of ambient contexts, for its parts that make others; None without it."""
added, over, contexts = (
    (Added, _over, None)
    if accelerator is None
    else accelerator.contexts_for(
        ambient_type=Ambient, mapping_type=FrozenDict, inside_plugin=INSIDE_PLUGIN, extended=extended
    )
)
