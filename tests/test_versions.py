"""Versions, ranges and requirements: the same as ``packaging`` says, which is what pip goes by."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as PackagingRequirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion
from packaging.version import Version as PackagingVersion

from fapilog.plugins.requirements import Requirement, applying, environment
from fapilog.plugins.versions import Version, VersionRange

NUMBERS = st.integers(0, 3).map(str)
RELEASES = st.lists(NUMBERS, min_size=1, max_size=4).map(".".join)
PRE = st.sampled_from(["", "a1", ".a1", "-alpha.1", "b", "beta2", "rc1", "c0", "pre_1", "_preview-3", "RC1"])
POST = st.sampled_from(["", ".post1", "-1", "post", "-r2", ".rev3", "_post0", ".POST1"])
DEV = st.sampled_from(["", ".dev1", "dev", "-dev2", "_dev0"])
LOCAL = st.sampled_from(["", "", "+abc", "+1", "+abc.1", "+1.a", "+ABC-2", "+ubuntu_1", "+01"])
PUBLIC = st.tuples(st.sampled_from(["", "", "", "v", "1!", "0!"]), RELEASES, PRE, POST, DEV).map("".join)
VERSIONS = st.tuples(PUBLIC, LOCAL).map("".join)
CLAUSES = st.one_of(
    st.tuples(st.sampled_from(["<", "<=", ">", ">=", "~=", "==", "!=", "===", "== ", ">= "]), VERSIONS).map("".join),
    st.tuples(st.sampled_from(["==", "!=", ">="]), RELEASES, st.just(".*")).map("".join),
)
RANGES = st.lists(CLAUSES, max_size=3).map(",".join)


@given(VERSIONS, VERSIONS)
@example("1.0", "1.0.0")
@example("1.0.dev1", "1.0a1")
@example("1.0.post1.dev1", "1.0")
@example("1.0+abc", "1.0+1")
def test_versions_are_in_the_order_of_packaging(one: str, other: str) -> None:
    ours, theirs = (Version(one), Version(other)), (PackagingVersion(one), PackagingVersion(other))
    assert (ours[0] < ours[1], ours[0] == ours[1]) == (theirs[0] < theirs[1], theirs[0] == theirs[1])
    assert (hash(ours[0]) == hash(ours[1])) or ours[0] != ours[1]


@given(RANGES, VERSIONS)
@example(">=1.0", "1.0rc1")
@example("<2.0", "2.0rc1")
@example("<2.0rc2", "2.0rc1")
@example(">1.0", "1.0.post1")
@example(">1.0.post1", "1.0.post2")
@example(">1.0", "1.0+local")
@example("==1.0", "1.0+local")
@example("==1.0+local", "1.0+LOCAL")
@example("!=1.0", "1.0+local")
@example("==1.0+local", "1.0")
@example("~=1.4.5", "1.4.5+x")
@example("~=1.4", "2.0")
@example(">0.dev1", "0.post1")
@example(">1.0a1", "1.0a1.post1")
@example(">1.0a1", "1.0.post1")
@example("<1.0.post1", "1.0rc1")
@example("<1.0.post1", "1.0.post1.dev1")
@example("<1.0.post1", "1.0.post0+x")
@example("<1.0rc1", "1.0rc1.dev1")
@example("~=2.2.post3", "2.3")
@example("~=1.4.5a4", "1.4.9")
@example("==1.*", "1.0.dev1")
@example("==1.1.*", "1")
@example("!=1.1.*", "1.1.post1")
@example("===1.0", "1.0.0")
@example("", "1.0rc1")
def test_a_version_is_in_a_range_as_packaging_says(text: str, version: str) -> None:
    try:
        expected = SpecifierSet(text).contains(version, prereleases=True)
    except InvalidSpecifier:
        with pytest.raises(ValueError):
            VersionRange(text)
        return
    assert (version in VersionRange(text)) is expected


@given(st.one_of(st.text(max_size=12), st.text("0123456789.!+-_abcdeprvostlu*", max_size=12)))
@example("1.0\n")
@example("١.٠")
@example("1..0")
@example("1.0+")
@example("")
def test_what_packaging_takes_for_no_version_is_none(text: str) -> None:
    try:
        PackagingVersion(text)
    except InvalidVersion:
        with pytest.raises(ValueError, match="is no version as PEP 440 has it"):
            Version(text)
    else:
        Version(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0", "'1.0' is no condition on a version as PEP 440 has it, such as >=1.2"),
        (">=new", "'new' is no version as PEP 440 has it, such as 1.2.3 or 2.0rc1"),
        ("=>1", "'=>1' is no condition"),
        (">=1.*", "'>=1.*': only == and != may be followed by a version that ends in '.*'"),
        ("==1.0rc1.*", "'==1.0rc1.*': before '.*' there may only be numbers"),
        (">=1.0+a", "'>=1.0+a': only == and != may be followed by a local version"),
        ("~=1", "'~=1': ~= needs at least two numbers, such as ~=1.2"),
        (">=" + "1" * 5000, "a version range of 5002 characters; at most 256 are read"),
    ],
)
def test_what_is_said_about_a_range_that_is_none(text: str, expected: str) -> None:
    with pytest.raises(ValueError) as caught:
        VersionRange(text)
    assert str(caught.value).startswith(expected)


def test_a_version_of_any_length_takes_no_time() -> None:
    for text in ("1" * 100_000, "1." * 100_000, "1" + "-" * 100_000, "1.0+" + "a." * 100_000):
        began = time.process_time()
        with pytest.raises(ValueError, match="is no version"):
            Version(text)
        assert time.process_time() - began < 5


# -- requirements

NAMES = st.sampled_from(["fapilog", "fapilog.loki", "A_b-c", "x"])
VARIABLES = st.sampled_from(
    ["python_version", "python_full_version", "os_name", "sys_platform", "implementation_name", "extra",
     "platform_system", "platform_machine", "platform_python_implementation", "implementation_version"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["3", "3.8", "3.11", "3.12", "4", "3.*", "posix", "nt", "linux", "win", "cpython", "CPython", "Linux", "x86_64",
     "more", "", "3.11.0rc1"]
)  # fmt: skip
OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "~=", "in", "not in", "not  in", "==="])
COMPARISONS = st.one_of(
    st.tuples(VARIABLES, st.just(" "), OPERATORS, st.just(" '"), VALUES, st.just("'")).map("".join),
    st.tuples(st.just('"'), VALUES, st.just('" '), OPERATORS, st.just(" "), VARIABLES).map("".join),
)
MARKERS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join), inner.map(lambda text: f"({text})")
    ),
    max_leaves=5,
)


@given(NAMES, st.sampled_from(["", "[a]", " [a, b-c]"]), RANGES, st.booleans(), st.one_of(st.just(""), MARKERS))
@example("x", "", "", False, "python_version >= '3.8' and extra == 'more' or os_name == 'posix'")
@example("x", "", "", False, "'lin' in sys_platform and sys_platform not in 'nt posix'")
@example("x", "", "", False, "os_name >= 'posix' and os_name != 'nt' and not_a_name == ''")
@example("x", "", "", False, "os_name > 'a' or python_version >= 'a' or implementation_version == 'x'")
@example("x", "", "", False, "'3' < '4'")
@example("x", "", "", False, "extra == 'A.b' or extra != 'c'")
@example("x", "", "", False, "(python_version >= '3.8' or extra == 'more') and os_name == 'nt'")
def test_a_requirement_is_read_as_packaging_reads_it(
    name: str, extras: str, versions: str, bracketed: bool, marker: str
) -> None:
    text = f"{name}{extras}" + (f" ({versions})" if bracketed and versions else f" {versions}")
    text += f"; {marker}" if marker else ""
    try:
        expected = PackagingRequirement(text)
        applies = expected.marker is None or expected.marker.evaluate({"extra": ""})
    except (InvalidRequirement, InvalidSpecifier):
        with pytest.raises(ValueError):
            Requirement.parse(text)
        return
    except Exception:
        return  # A comparison that packaging makes no sense of either.
    found = Requirement.parse(text)
    assert (found.name, found.applies) == (expected.name, applies)


def test_the_environment_is_that_of_packaging() -> None:
    assert environment() == {"extra": "", **default_environment()}


@pytest.mark.parametrize(
    "text",
    ["", "-x", "x y", "x>=1;", "x; python_version", "x; python_version >= ", "x; os_name == nt", "x; (os_name == 'nt'",
     "x; os_name == 'nt' and", "x; os_name == 'nt')", "x; os_name ~= 'nt'", "x; nonsense == '1'", "x[a", "x (>=1",
     "x; " + "(" * 5000 + "os_name == 'nt'" + ")" * 5000, "x" * 5000, "x; 'a' == 'b' 'c'", "x >= 1 2"],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_what_is_no_requirement_is_told(text: str) -> None:
    with pytest.raises(ValueError):
        Requirement.parse(text)
    assert applying([text, "attrs>=1"]) == ["attrs>=1"]


VERSION_OF: dict[str, str] = {"attrs": "26.1.0", "fapilog": "0.2.0rc1", "odd": "new"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attrs>=20", ""),
        ("attrs", ""),
        ("missing; extra == 'more'", ""),
        ("missing; python_version < '3'", ""),
        ("missing >=2 ; python_version > '3'", "it needs missing >=2, which is not installed; pip install"),
        ("attrs<20", "it needs attrs<20, and 26.1.0 is installed; pip install 'attrs<20'"),
        ("fapilog>=0.1", ""),
        ("fapilog @ https://user:secret@example.org/x.whl", ""),
        ("fapilog>=0.2", "it needs fapilog>=0.2, and this is fapilog 0.2.0rc1; install a version of the plugin that"),
        ("odd>=1", "it needs odd>=1, and which version is installed cannot be told: 'new' is no version"),
        ("odd", ""),
    ],
)  # fmt: skip
def test_what_is_said_about_a_requirement(text: str, expected: str) -> None:
    found = Requirement.parse(text).fault(VERSION_OF.get)
    assert found.startswith(expected) if expected else found == ""


def test_the_version_that_a_built_python_calls_itself_can_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    import platform

    monkeypatch.setattr(platform, "python_version", lambda: "3.14.0a1+")
    assert Requirement.parse("x; python_full_version >= '3.14.0a1'").applies
    implementation: Any = type(sys.implementation)(
        name="cpython", version=type("V", (tuple,), {"releaselevel": "alpha", "serial": 3})((3, 14, 0))
    )
    monkeypatch.setattr(sys, "implementation", implementation)
    assert environment()["implementation_version"] == "3.14.0a3"
