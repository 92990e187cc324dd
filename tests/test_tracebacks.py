"""Exceptions and groups as data: complete where they are small, bounded where they are large, never raising."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import orjson
import pytest

from fapilog.tracebacks import ExceptionLimits, describe_exception, exception_from
from fapilog.values import FrozenDict, freeze_mapping
from odd_values import ODD_VALUES, Evil, Raising, RaisingStr

ODD_ERRORS = sorted(name for name in ODD_VALUES if issubclass(type(ODD_VALUES[name]()), BaseException))


def raised(depth: int, error: Exception | None = None) -> Exception:
    """Return an exception with *depth* frames in its traceback."""
    try:
        fall(depth - 1, error or ValueError("fallen"))
    except Exception as caught:
        return caught
    raise AssertionError


def fall(depth: int, error: BaseException) -> None:
    if depth == 1:
        raise error
    fall(depth - 1, error)


def chain(length: int, link: str) -> BaseException:
    error: BaseException = ValueError("0")
    for number in range(1, length):
        following = ValueError(str(number))
        setattr(following, link, error)
        error = following
    return error


def check(description: Any) -> int:
    """Assert that a description is plain, frozen data of a bounded size; return the number of its exceptions."""
    exceptions = 0
    remaining = [description]
    size = 0
    while remaining:
        node = remaining.pop()
        size += 1
        if type(node) is FrozenDict:
            exceptions += "message" in node
            remaining += node.values()
        elif type(node) is tuple:
            remaining += node
        else:
            assert type(node) in (str, int, type(None), bool, float)
    assert size < 20_000
    assert len(repr(description)) < 1_000_000
    return exceptions


def test_an_exception_and_its_frames() -> None:
    description = describe_exception(raised(3))
    assert list(description) == ["type", "module", "message", "frames", "fingerprint"]
    assert description["type"] == "ValueError"
    assert description["module"] == "builtins"
    assert description["message"] == "fallen"
    assert [frame["function"] for frame in description["frames"]] == ["raised", "fall", "fall"]
    assert all(frame["file"] == __file__ for frame in description["frames"])
    assert description["frames"][-1]["line"] == fall.__code__.co_firstlineno + 2


def test_the_type_is_qualified() -> None:
    class Inner(Exception):
        pass

    description = describe_exception(Inner())
    assert description["type"] == "test_the_type_is_qualified.<locals>.Inner"
    assert description["module"] == __name__
    assert description["message"] == ""
    assert "frames" not in description


def test_a_cause_hides_the_context() -> None:
    error = ValueError("outer")
    error.__context__ = KeyError("context")
    assert describe_exception(error)["context"]["message"] == "'context'"
    error.__cause__ = OSError("cause")
    description = describe_exception(error)
    assert description["cause"]["message"] == "cause"
    assert "context" not in description


def test_raise_from_none_hides_the_context() -> None:
    error = ValueError("outer")
    error.__context__ = KeyError("context")
    error.__cause__ = None
    assert "context" not in describe_exception(error)


def test_notes() -> None:
    error = ValueError()
    error.add_note("first")
    error.add_note("second")
    assert describe_exception(error)["notes"] == ("first", "second")


def test_a_group_has_its_members_with_their_own_frames() -> None:
    group = BaseExceptionGroup("both", [raised(2), ExceptionGroup("inner", [raised(4)]), SystemExit(3)])
    description = describe_exception(group)
    assert description["message"] == "both (3 sub-exceptions)" == str(group)
    first, inner, last = description["group"]
    assert len(first["frames"]) == 2
    assert len(inner["group"][0]["frames"]) == 4
    assert last == {"type": "SystemExit", "module": "builtins", "message": "3", "fingerprint": last["fingerprint"]}


@pytest.mark.parametrize(
    "error",
    [ValueError("a"), ValueError("a", 1), KeyError("a"), OSError(2, "gone", "/x"), SystemExit(2), ImportError("no")],
    ids=lambda error: type(error).__name__,
)
def test_the_message_is_what_str_says(error: BaseException) -> None:
    assert describe_exception(error)["message"] == str(error)


def test_a_syntax_error_tells_its_place_and_no_source() -> None:
    with pytest.raises(SyntaxError) as caught:
        compile("a = 'hunter2' +", "module.py", "exec")
    description = describe_exception(caught.value)
    assert description["syntax"] == {"file": "module.py", "line": 1, "column": 16}
    assert description["message"] == "invalid syntax (module.py, line 1)"
    assert "hunter2" not in repr(description)


# --- repetition ---


def test_an_exception_is_described_once() -> None:
    shared = raised(2, KeyError("shared"))
    other = ValueError("other")
    other.__cause__ = shared
    description = describe_exception(ExceptionGroup("g", [shared, other, shared]))
    first, second, third = description["group"]
    assert first["id"] == 1
    assert second["cause"] == third == {"type": "KeyError", "ref": 1}
    assert "id" not in second


def test_bd5_a_cycle_of_causes_ends() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__ = second
    second.__cause__ = first
    description = describe_exception(first)
    assert description["id"] == 1
    assert description["cause"]["cause"] == {"type": "ValueError", "ref": 1}


def test_bd5_a_member_that_leads_back_to_its_group_ends() -> None:
    member = ValueError("member")
    group = ExceptionGroup("group", [member])
    member.__context__ = group
    description = describe_exception(group)
    assert description["group"][0]["context"] == {"type": "ExceptionGroup", "ref": description["id"]}


def test_bd5_a_cycle_into_the_part_that_is_left_out_ends() -> None:
    errors = [ValueError(str(number)) for number in range(100)]
    for error, following in pairwise(errors):
        error.__cause__ = following
    errors[-1].__cause__ = errors[50]
    node = describe_exception(errors[0])
    messages = []
    while "cause" in node:
        messages.append(node.get("message", node.get("omitted")))
        node = node["cause"]
    assert messages == [*map(str, range(8)), 84, *map(str, range(92, 100))]
    assert node == {"type": "ValueError", "omitted": 1}


# --- size ---


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_bd19_a_long_chain_keeps_both_ends(link: str) -> None:
    description = describe_exception(chain(5000, link))
    assert check(description) == 16
    name = link.strip("_")
    node: Any = description
    messages = [node["message"]]
    for _ in range(7):
        node = node[name]
        messages.append(node["message"])
    assert messages == [str(number) for number in range(4999, 4991, -1)]
    gap = node["cause"]
    assert gap["omitted"] == 4984
    node = gap
    messages = []
    while name in node or (node is gap and "cause" in node):
        node = node[name] if name in node else node["cause"]
        messages.append(node["message"])
    assert messages == [str(number) for number in range(7, -1, -1)]


def test_bd19_a_chain_too_long_to_look_at_is_left() -> None:
    description = describe_exception(chain(5000, "__cause__"), limits=ExceptionLimits(steps=100))
    node: Any = description
    while "omitted" not in node:
        node = node["cause"]
    assert node["omitted"] == 100 - 16 + 1


def test_bd19_a_giant_group_keeps_both_ends() -> None:
    description = describe_exception(ExceptionGroup("g", [ValueError(str(number)) for number in range(10_000)]))
    assert check(description) == 17
    messages = [member.get("message", member.get("omitted")) for member in description["group"]]
    assert messages == [*map(str, range(8)), 10_000 - 16, *map(str, range(9992, 10_000))]


def test_bd19_groups_in_groups_are_limited() -> None:
    error: Exception = ValueError("innermost")
    for _ in range(5000):
        error = ExceptionGroup("g", [error, KeyError("beside")])
    description = describe_exception(error)
    check(description)
    depth = 0
    while "group" in description and "message" in description["group"][0]:
        description = description["group"][0]
        depth += 1
    assert depth == 8
    assert description["group"] == ({"omitted": 2},)


def test_bd19_groups_of_groups_are_limited_in_all() -> None:
    error: Exception = ValueError("innermost")
    for _ in range(6):
        error = ExceptionGroup("g", [error.__class__(*error.args) for _ in range(15)])
    description = describe_exception(error)
    assert check(description) == 64
    assert "'omitted': 1" in repr(description)


def test_bd19_ten_thousand_frames_keep_both_ends() -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        frames = describe_exception(raised(10_000))["frames"]
    finally:
        sys.setrecursionlimit(before)
    assert len(frames) == 65
    assert frames[32] == {"omitted": 10_000 - 64}
    assert frames[0]["function"] == "raised"
    assert frames[-1]["line"] == fall.__code__.co_firstlineno + 2


def test_bd19_frames_are_limited_in_all() -> None:
    description = describe_exception(
        ExceptionGroup("g", [raised(50) for _ in range(10)]), limits=ExceptionLimits(total_frames=120)
    )
    counts = [len(member["frames"]) for member in description["group"]]
    assert counts == [50, 50, 21, *[1] * 7]
    assert description["group"][-1]["frames"] == ({"omitted": 50},)


def test_bd19_what_is_looked_at_is_limited_in_all() -> None:
    group = ExceptionGroup("g", [raised(100), raised(100)])
    description = describe_exception(group, limits=ExceptionLimits(steps=60))
    first, second = description["group"]
    assert len(first["frames"]) == 59
    assert first["frames"][32] == {"omitted": 1}
    assert second == {"omitted": 1}


@pytest.mark.parametrize(
    "make",
    [
        lambda: chain(5000, "__context__"),
        lambda: ExceptionGroup("g", [ValueError("x")] * 10_000),
        lambda: ExceptionGroup("g", [raised(200) for _ in range(100)]),
        lambda: ValueError([0] * 1_000_000),
        lambda: ValueError("x" * 10_000_000),
    ],
)
def test_bd19_the_work_is_bounded(make: Callable[[], BaseException]) -> None:
    error = make()
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call" or event == "c_call"

    sys.setprofile(count)
    try:
        check(describe_exception(error))
    finally:
        sys.setprofile(None)
    assert calls < 60_000


# --- odd exceptions ---


@pytest.mark.parametrize("name", ODD_ERRORS)
def test_bd20_an_odd_exception_is_described(name: str) -> None:
    error = ODD_VALUES[name]()
    assert isinstance(error, BaseException)
    description = describe_exception(error)
    check(description)
    assert description["type"] == type(error).__name__
    assert orjson.dumps(description)


@pytest.mark.parametrize("name", sorted(ODD_VALUES))
def test_bd1_to_bd24_any_value_as_argument_or_note_is_bounded(name: str) -> None:
    for error in (ValueError(ODD_VALUES[name]()), KeyError(1, ODD_VALUES[name]())):
        error.__notes__ = [ODD_VALUES[name]()]  # type: ignore[list-item]
        description = describe_exception(error)
        check(description)
        assert len(description["message"]) <= 16_384
        assert len(description["notes"][0]) <= 16_384


@pytest.mark.parametrize("name", sorted(ODD_VALUES))
def test_bd20_any_value_in_place_of_the_notes(name: str) -> None:
    error = ValueError()
    error.__notes__ = ODD_VALUES[name]()  # type: ignore[assignment]
    check(describe_exception(error))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RaisingStr(), "<unprintable RaisingStr: ValueError>"),
        (ValueError(Raising(SystemExit())), "<unprintable Raising: SystemExit>"),
        (ValueError(Evil()), "<unprintable Evil: ValueError>"),
        (SyntaxError(), "None"),
        (ValueError([1, 2]), "(1, 2)"),
    ],
)
def test_bd20_what_cannot_be_shown_has_a_marker(error: BaseException, message: str) -> None:
    assert describe_exception(error)["message"] == message


def test_bd20_attributes_that_raise_are_not_asked() -> None:
    class Hostile(Exception):
        @property
        def __cause__(self) -> Any:  # type: ignore[override]
            raise OSError("no cause")

        @property
        def __traceback__(self) -> Any:  # type: ignore[override]
            raise OSError("no traceback")

        @property
        def args(self) -> Any:  # type: ignore[override]
            raise OSError("no args")

    description = describe_exception(Hostile("x"))
    assert description["message"] == "x"


def test_bd20_too_many_notes_are_counted() -> None:
    error = ValueError()
    error.__notes__ = ["n"] * 100_000
    notes = describe_exception(error)["notes"]
    assert len(notes) == 17
    assert notes[-1] == "<omitted: 99984 notes>"


def test_bd10_keyboard_interrupt_in_a_str_gets_out() -> None:
    with pytest.raises(KeyboardInterrupt):
        describe_exception(ValueError(Raising(KeyboardInterrupt())))


def test_bd21_the_source_file_is_not_read(tmp_path: Any) -> None:
    source = tmp_path / "vanishing.py"
    source.write_text("def fail():\n    secret = 'hunter2'\n    raise ValueError(1)\n")
    namespace: dict[str, Any] = {}
    exec(compile(source.read_text(), str(source), "exec"), namespace)
    source.write_bytes(b"\xff\x00")
    with pytest.raises(ValueError) as caught:
        namespace["fail"]()
    description = describe_exception(caught.value)
    assert description["frames"][-1] == {"file": str(source), "line": 3, "function": "fail"}
    assert "hunter2" not in repr(description)


def test_near_the_end_of_the_stack_a_minimal_description_takes_the_place() -> None:
    error = raised(3, ExceptionGroup("g", [ValueError("a")]))
    results: list[object] = []

    def descend() -> None:
        with suppress(RecursionError):
            descend()
        try:
            results.append(describe_exception(error))
        except RecursionError as failure:
            # Only a call that did not even begin may raise: the traceback then ends here.
            results.append(failure if getattr(failure.__traceback__, "tb_next", None) else "not called")

    descend()
    assert [result for result in results if isinstance(result, RecursionError)] == []
    assert {"type": "ExceptionGroup", "module": "", "message": "<unprintable: RecursionError>"} in results
    assert results[-1] == describe_exception(error)


def test_nothing_of_the_exception_is_kept() -> None:
    class Tracked(Exception):
        pass

    error = raised(5, Tracked("x"))
    reference = weakref.ref(error)
    description = describe_exception(error)
    del error
    gc.collect()
    assert reference() is None
    assert description["message"] == "x"


def test_a_description_survives_being_frozen_again() -> None:
    description = describe_exception(chain(5000, "__cause__"))
    assert freeze_mapping(description) is description
    assert freeze_mapping({**description, "message": "masked"})["cause"] is description["cause"]


# --- exc_info ---


def test_bd20_exc_info_true_is_the_exception_being_handled() -> None:
    assert exception_from(True) is None
    error = ValueError()
    try:
        raise error
    except ValueError:
        assert exception_from(True) is error
        assert exception_from(1) is error
        assert exception_from(sys.exc_info()) is error
        assert exception_from(False) is None
    assert exception_from(True) is None


def test_exc_info_may_be_an_exception_or_a_tuple() -> None:
    error = KeyboardInterrupt()
    assert exception_from(error) is error
    assert exception_from((KeyboardInterrupt, error, None)) is error


@pytest.mark.parametrize("name", sorted(set(ODD_VALUES) - set(ODD_ERRORS) - {"bd4_bool"}))
def test_bd20_other_values_as_exc_info_mean_none(name: str) -> None:
    assert exception_from(ODD_VALUES[name]()) is None
    assert exception_from((None, ODD_VALUES[name](), None)) is None
