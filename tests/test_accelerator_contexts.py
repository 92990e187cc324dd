"""The accelerator's block of ``log.context(...)`` against the one in Python."""

from __future__ import annotations

import gc
import inspect
import sys
import tracemalloc
import weakref
from contextvars import Context, ContextVar
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog import context
from fapilog._accelerated import accelerator
from fapilog.context import INSIDE_PLUGIN, Added
from fapilog.event import NO_AMBIENT, Ambient
from fapilog.values import FrozenDict
from odd_values import ODD_VALUES

if accelerator is None:
    pytest.skip("the package was built without its accelerator", allow_module_level=True)

NAMES = ("a", "b", "correlation_id", "request id", "é", "x" * 300)
PLAIN: tuple[Any, ...] = (1, -1, 2**64 - 1, 1.5, True, None, "text", "", "\ud800", FrozenDict(a=1))
OTHER: tuple[Any, ...] = (2**64, "x" * 257, b"bytes", [1], {"a": [1]}, (1,))


class Holder:
    """Has the slot that a logger has; its method makes blocks in Python and says so."""

    __slots__ = ("_variable", "asked")

    def __init__(self, variable: ContextVar[Ambient]) -> None:
        self._variable = variable
        self.asked = 0

    def context(self, *, log_level: int | None = None, **fields: Any) -> Added:
        """Make a block."""
        self.asked += 1
        return Added(self._variable, fields)


accelerated_context = context.contexts.adding(Holder.context, Holder, "log_level")


def block_of_a_call(variable: ContextVar[Ambient], fields: dict[str, Any]) -> Any:
    """Return the block that a call makes whose keywords are a program's text."""
    holder = Holder(variable)
    block = accelerated_context(holder, **{sys.intern(name): value for name, value in fields.items()})
    assert holder.asked == (not fields)
    return block


def variable_of(current: Ambient) -> ContextVar[Ambient]:
    variable: ContextVar[Ambient] = ContextVar("ambient", default=NO_AMBIENT)
    if current is not NO_AMBIENT:
        variable.set(current)
    return variable


def said(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # a time whose zone cannot be shown stays one
        return f"<{type(value).__name__}>"


def inside(made: Any, current: Ambient, fields: dict[str, Any]) -> tuple[Any, ...]:
    """Return what the block *made* makes the context, in words that can be compared."""

    def run() -> tuple[Any, ...]:
        variable = variable_of(current)
        with made(variable, fields) as entered:
            assert entered is None
            found = variable.get()
        assert variable.get() is current
        return (
            type(found),
            type(found.values),
            {name: said(value) for name, value in found.values.items()},
            found.correlation_id,
            found.cache,
            found is current,
        )

    return Context().run(run)


def check(current: Ambient, fields: dict[str, Any]) -> None:
    before = repr(list(fields))
    expected = inside(Added, current, fields)
    assert inside(context.added, current, fields) == expected
    assert inside(block_of_a_call, current, fields) == expected
    assert repr(list(fields)) == before


currents = st.sampled_from(
    [
        NO_AMBIENT,
        INSIDE_PLUGIN,
        Ambient(FrozenDict(a=0, c=1)),
        Ambient(FrozenDict(), "id"),
        Ambient(FrozenDict(b=1), "i"),
    ]
)


@given(currents, st.dictionaries(st.sampled_from(NAMES), st.sampled_from(PLAIN + OTHER), max_size=5))
def test_any_fields(current: Ambient, fields: dict[str, Any]) -> None:
    check(current, fields)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1001])
def test_any_number_of_fields(size: int) -> None:
    fields = {f"name {number}": number for number in range(size)}
    check(NO_AMBIENT, fields)
    check(Ambient(FrozenDict(a=1)), fields)


def test_odd_values() -> None:
    for make in ODD_VALUES.values():
        check(NO_AMBIENT, {"a": 1, "value": make()})


def test_a_correlation_id_of_any_kind() -> None:
    for value in ("id", "", 5, None, ["x"], b"id"):
        check(Ambient(FrozenDict(a=1), "outer"), {"correlation_id": value})
        check(NO_AMBIENT, {"b": 1, "correlation_id": value})


def test_changing_the_fields_later_changes_nothing() -> None:
    fields: dict[str, Any] = {"a": 1}
    variable = variable_of(NO_AMBIENT)
    with context.added(variable, fields):
        fields["a"] = 2
        assert variable.get().values == {"a": 1}
        with pytest.raises(TypeError):
            variable.get().values["a"] = 3


def test_blocks_inside_each_other() -> None:
    variable = variable_of(NO_AMBIENT)
    with context.added(variable, {"a": 1, "correlation_id": "id"}), context.added(variable, {"b": 2, "a": 3}):
        assert variable.get().values == {"a": 3, "b": 2}
        assert variable.get().correlation_id == "id"
    assert variable.get() is NO_AMBIENT


MADE = pytest.mark.parametrize(
    "made", [Added, context.added, block_of_a_call], ids=["in Python", "accelerated", "by a call"]
)


@MADE
def test_a_block_is_entered_once_and_left_after_that(made: Any) -> None:
    variable = variable_of(NO_AMBIENT)
    block = made(variable, {"a": 1})
    with pytest.raises(RuntimeError, match="entered before it is left"):
        block.__exit__(None, None, None)
    with block, pytest.raises(RuntimeError, match="entered once only"):
        block.__enter__()
    with pytest.raises(RuntimeError, match="entered once only"):
        block.__enter__()


@MADE
def test_a_block_may_be_left_in_another_context(made: Any) -> None:
    variable = variable_of(NO_AMBIENT)
    block = made(variable, {"a": 1})
    Context().run(block.__enter__)
    block.__exit__(None, None, None)
    assert variable.get() is NO_AMBIENT


def test_what_is_no_field_or_not_plain_is_left_to_the_method_in_python() -> None:
    holder = Holder(variable_of(NO_AMBIENT))
    made_name = f"made by {id(holder)}"
    for asked, keywords in enumerate(({}, {"log_level": 10}, {"a": 1, "log_level": 10}, {made_name: 1}), start=1):
        with accelerated_context(holder, **keywords):
            assert holder._variable.get().values == {name: 1 for name in keywords if name != "log_level"}
        assert holder.asked == asked
    wrong: Any
    for wrong in ((), (holder, 1), (1,)):
        with pytest.raises((TypeError, AttributeError)):
            accelerated_context(*wrong)
    del holder._variable
    with pytest.raises(AttributeError):
        accelerated_context(holder, a=1)


def test_the_method_is_known_by_the_one_in_python() -> None:
    assert (accelerated_context.__name__, accelerated_context.__doc__) == ("context", "Make a block.")
    assert inspect.signature(accelerated_context) == inspect.signature(Holder.context)
    wrong: Any
    for wrong in ((Holder.context, int, "log_level"), (Holder.context, Holder), (Holder.context, Holder, 1)):
        with pytest.raises((TypeError, AttributeError)):
            context.contexts.adding(*wrong)


def test_a_value_that_is_changed_in_the_block_is_what_it_was() -> None:
    items = [1]
    holder = Holder(variable_of(NO_AMBIENT))
    with accelerated_context(holder, items=items):
        items.append(2)
        assert holder._variable.get().values == {"items": (1,)}
    assert holder.asked == 0


def test_an_exception_passes() -> None:
    variable = variable_of(NO_AMBIENT)
    with pytest.raises(ZeroDivisionError), context.added(variable, {"a": 1}):
        raise ZeroDivisionError
    assert variable.get() is NO_AMBIENT


def test_wrong_arguments_are_refused() -> None:
    assert accelerator is not None
    made: Any = context.added
    variable = variable_of(NO_AMBIENT)
    for wrong in ((), (variable,), (variable, None), ("variable", {}), (variable, {}, 1), (variable, FrozenDict())):
        with pytest.raises(TypeError):
            made(*wrong)
    with pytest.raises(TypeError):
        accelerator.contexts_for(Ambient, int, None, repr)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        accelerator.contexts_for(object, FrozenDict, None, repr)
    with pytest.raises(TypeError):
        type(made(variable, {}))()


@pytest.mark.parametrize(
    "current", [NO_AMBIENT, Ambient(FrozenDict(a=1, b="x"), "id", object())], ids=["no context", "a context"]
)
def test_what_is_put_over_a_context_for_one_event(current: Ambient) -> None:
    scope = object()
    fields = {"b": FrozenDict(c=(1, 2)), "d": 1.5}
    for given_scope in (scope, None):
        made, expected = (
            each(current, fields, given_scope)
            for each in (context.over, context._over)  # type: ignore[attr-defined]
        )
        assert (type(made), type(made.values), made.values) == (Ambient, FrozenDict, expected.values)
        assert [type(value) for value in made.values.values()] == [type(value) for value in expected.values.values()]
        assert (made.correlation_id, made.cache) == (expected.correlation_id, {})
        assert made.scope is expected.scope is given_scope
    assert current.values == ({} if current is NO_AMBIENT else {"a": 1, "b": "x"})
    unfinished = Ambient.__new__(Ambient)
    wrong: Any
    for wrong in ((), (current, fields), (None, fields, None), (current, None, None), (unfinished, fields, None)):
        with pytest.raises(TypeError):
            context.over(*wrong)


def test_what_python_raises_goes_up() -> None:
    assert accelerator is not None

    def fail(current: Any, fields: dict[str, Any]) -> Any:
        raise KeyboardInterrupt

    made = accelerator.contexts_for(Ambient, FrozenDict, INSIDE_PLUGIN, fail)[0]
    variable = variable_of(NO_AMBIENT)
    with pytest.raises(KeyboardInterrupt), made(variable, {"a": [1]}):
        raise AssertionError
    assert variable.get() is NO_AMBIENT


def test_nothing_is_leaked() -> None:
    variable = variable_of(Ambient(FrozenDict(a=1), "id"))
    fields: list[dict[str, Any]] = [{"a": "x", "b": 1.5}, {"c": [1]}, {"correlation_id": "y"}]
    shared: list[Any] = [variable, *fields, Ambient, FrozenDict, None, fields[0]["a"], variable.get()]

    def run() -> None:
        for given_fields in fields:
            with context.added(variable, given_fields):
                pass
            context.added(variable, given_fields)
            context.over(variable.get(), given_fields, None)
            with block_of_a_call(variable, given_fields):
                pass
        cycle: list[Any] = []
        cycle.append(context.added(variable, {"cycle": cycle}))

    for _ in range(10):
        run()
    gc.collect()
    before = list(map(sys.getrefcount, shared))
    tracemalloc.start()
    try:
        run()
        gc.collect()
        memory = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            run()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - memory
    finally:
        tracemalloc.stop()
    after = list(map(sys.getrefcount, shared))
    # A reference that each run leaks, or gives back once too often, makes 300; others let go of None meanwhile.
    assert [new - old for new, old in zip(after, before, strict=True) if abs(new - old) > 150] == []
    assert grown < 20_000


@pytest.mark.parametrize("format", ["json", "logfmt", "console"])
@pytest.mark.parametrize("value", ["plain", "card 4111 1111 1111 1111", ["a list"], "x" * 5_000])
async def test_contexts_are_given_back_without_the_garbage_collector_which_does_not_look_at_them(
    tmp_path: Path, format: str, value: Any
) -> None:
    file = {"path": str(tmp_path / "log"), "format": format}
    contexts: list[weakref.ref[Ambient]] = []
    gc.disable()
    try:
        async with fapilog.container(
            {"sinks": ["file"], "redactors": ["redact"], "plugin_config": {"file": file}}
        ) as log:
            for number in range(20):
                with log.context(request_id=value):
                    contexts.append(weakref.ref(log._variable.get()))
                    assert await log.info("event", number=number)
                assert (await log.flush()).complete
            await log.info("another")  # in place of the event that was written last
            assert (await log.flush()).complete
            # What is started while an event is written copies the context that is the caller's just then.
            assert sum(given_back() is not None for given_back in contexts) < 10
    finally:
        gc.enable()
