"""Versions and version ranges of distributions, as PEP 440 orders and compares them.

fapilog has this of its own because ``packaging`` is no dependency of it, and two ways to compare would be one too many.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import total_ordering
from typing import Any

_LONGEST = 256
"""Characters of a version or a range that are read; PEP 440 has no limit, and numbers of any length would cost time."""
_VERSION = re.compile(
    r"""v?
    (?:(?P<epoch>\d+)!)?
    (?P<release>\d+(?:\.\d+)*)
    (?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>\d*))?
    (?:-(?P<implicit_post>\d+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_number>\d*))?
    (?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>\d*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_CLAUSE = re.compile(r"(~=|===|==|!=|<=|>=|<|>)\s*(\S+)")
_PRE_RELEASES = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_DEV_ONLY, _FINAL = (-1, 0), (3, 0)


@total_ordering
class Version:
    """A version in PEP 440's order.

    Raises:
        ValueError: if *text* is no version.
    """

    def __init__(self, text: str) -> None:
        found = _VERSION.fullmatch(text.strip()) if len(text) <= _LONGEST else None
        if found is None:
            raise ValueError(f"{text[:80]!r} is no version as PEP 440 has it, such as 1.2.3 or 2.0rc1")
        self.epoch: int = int(found["epoch"] or 0)
        self.release: tuple[int, ...] = tuple(map(int, found["release"].split(".")))
        self.local: str = (found["local"] or "").lower().replace("-", ".").replace("_", ".")
        self.is_post: bool = found["implicit_post"] is not None or found["post"] is not None
        self.is_dev: bool = found["dev"] is not None
        self.is_pre: bool = found["pre"] is not None or self.is_dev
        post = int(found["implicit_post"] or found["post_number"] or 0) if self.is_post else -1
        if found["pre"]:
            pre = (_PRE_RELEASES[found["pre"].lower()], int(found["pre_number"] or 0))
        else:
            # 1.0.dev1 comes before 1.0a1, and 1.0.post1.dev1 after 1.0.
            pre = _DEV_ONLY if found["dev"] and not self.is_post else _FINAL
        dev = (0, int(found["dev_number"] or 0)) if found["dev"] else (1, 0)
        base = (self.epoch, _without_zeros(self.release))
        self.public: tuple[Any, ...] = (*base, pre, post, dev)
        """What it is compared by if a local version does not count: epoch, release, pre, post and dev."""
        self.first: tuple[Any, ...] = (*base, _DEV_ONLY if pre == _FINAL and not self.is_post else pre, post, (0, 0))
        """The same of its first development release, ``.dev0``."""
        parts = self.local.split(".") if self.local else []
        self._key = (self.public, tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)


class VersionRange:
    """A list of conditions such as ``>=1.2,<2``; all of them have to hold, and none is no condition.

    A pre-release is in the range if its order says so: this is asked of what is installed, not of what to install.

    Raises:
        ValueError: if *text* is no list of conditions.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > _LONGEST:
            raise ValueError(f"a version range of {len(text)} characters; at most {_LONGEST} are read")
        self._conditions = [_condition(clause.strip()) for clause in text.split(",") if clause.strip()]

    def __contains__(self, version: str) -> bool:
        return all(condition(version) for condition in self._conditions)


def _condition(clause: str) -> Callable[[str], bool]:
    found = _CLAUSE.fullmatch(clause)
    if found is None:
        raise ValueError(f"{clause[:80]!r} is no condition on a version as PEP 440 has it, such as >=1.2")
    operator, text = found[1], found[2]
    if operator == "===":
        return lambda version: version.strip().lower() == text.lower()
    if text.endswith(".*"):
        if operator not in ("==", "!="):
            raise ValueError(f"{clause!r}: only == and != may be followed by a version that ends in '.*'")
        prefix = Version(text[:-2])
        if prefix.is_pre or prefix.is_post or prefix.local:
            raise ValueError(f"{clause!r}: before '.*' there may only be numbers")
        return lambda version: _begins_with(Version(version), prefix) == (operator == "==")
    bound = Version(text)
    if bound.local and operator not in ("==", "!="):
        raise ValueError(f"{clause!r}: only == and != may be followed by a local version")
    if operator == "~=" and len(bound.release) < 2:
        raise ValueError(f"{clause!r}: ~= needs at least two numbers, such as ~=1.2")
    compare = _COMPARISONS[operator]
    return lambda version: compare(Version(version), bound)


def _equal(version: Version, bound: Version) -> bool:
    return version == bound if bound.local else version.public == bound.public


def _below(version: Version, bound: Version) -> bool:
    # <2.0 is not meant to let 2.0rc1 in: what is below is below 2.0.dev0, the first of all that lead to 2.0.
    return version.public < (bound.public if bound.is_pre else bound.first)


def _above(version: Version, bound: Version) -> bool:
    # >1.0 is not meant to let 1.0.post1 or 1.0+local in.
    if version.public <= bound.public:
        return False
    is_its_post = version.is_post and version.public[:3] == bound.public[:3]
    return bound.is_post or bound.is_dev or not is_its_post


def _compatible(version: Version, bound: Version) -> bool:
    return version.public >= bound.public and _release_begins_with(version, bound.epoch, bound.release[:-1])


_COMPARISONS: dict[str, Callable[[Version, Version], bool]] = {
    "~=": _compatible,
    "==": _equal,
    "!=": lambda version, bound: not _equal(version, bound),
    "<=": lambda version, bound: version.public <= bound.public,
    ">=": lambda version, bound: version.public >= bound.public,
    "<": _below,
    ">": _above,
}


def _begins_with(version: Version, prefix: Version) -> bool:
    return _release_begins_with(version, prefix.epoch, prefix.release)


def _release_begins_with(version: Version, epoch: int, release: tuple[int, ...]) -> bool:
    padded = version.release + (0,) * len(release)
    return version.epoch == epoch and padded[: len(release)] == release


def _without_zeros(release: tuple[int, ...]) -> tuple[int, ...]:
    end = len(release)
    while end > 1 and release[end - 1] == 0:
        end -= 1
    return release[:end]


__all__ = ("Version", "VersionRange")
