"""What a distribution says it needs (``Requires-Dist``), as PEP 508 writes it, and whether it is installed."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Mapping

import attrs

from ..checks import project_name
from ..shown import masked_text
from .versions import Version, VersionRange

_LONGEST = 4096
_MOST_NESTED = 20
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REQUIREMENT = re.compile(
    rf"(?P<name>{_NAME})\s*(?:\[(?P<extras>[^\]]*)\])?\s*"
    r"(?:@\s*(?P<url>\S+)|\((?P<bracketed>[^)]*)\)|(?P<range>[^;@()\[\]]*))\s*(?:;(?P<marker>.*))?",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<operator>===|==|~=|!=|<=|>=|<|>|\bnot\s+in\b|\bin\b)|(?P<word>\w+)|(?P<bracket>[()]))"
)
_COMPARED_AS_VERSIONS = ("python_version", "python_full_version", "implementation_version", "platform_release")


@attrs.frozen
class Requirement:
    """One distribution that is needed."""

    text: str
    """The requirement as it was written, without its marker."""
    name: str
    """The distribution's name, as it was written."""
    versions: VersionRange
    applies: bool
    """Whether it is needed here: on this Python and platform, without any extra."""

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Return the requirement in *text*.

        Raises:
            ValueError: if it is none.
        """
        found = _REQUIREMENT.fullmatch(text.strip()) if len(text) <= _LONGEST else None
        if found is None:
            raise ValueError(f"{masked_text(text[:200])!r} is no requirement as PEP 508 has it")
        versions = VersionRange(found["bracketed"] or found["range"] or "")
        marker = found["marker"]
        applies = True if marker is None else _Marker(marker, environment()).holds()
        return cls(text.partition(";")[0].strip(), found["name"], versions, applies)

    def fault(self, version_of: Callable[[str], str | None]) -> str:
        """Return what is wrong about it, with the remedy, or an empty text.

        Parameters:
            version_of: returns the version that is installed of a distribution, None if it is not installed.
        """
        if not self.applies:
            return ""
        installed = version_of(self.name)
        shown = masked_text(self.text)
        if installed is None:
            return f"it needs {shown}, which is not installed; pip install {shown!r}"
        try:
            if installed in self.versions:
                return ""
        except ValueError as error:
            return f"it needs {shown}, and which version is installed cannot be told: {error}"
        if project_name(self.name) == "fapilog":
            return (
                f"it needs {shown}, and this is fapilog {installed}; install a version of the plugin that is made for "
                f"it, or pip install {shown!r}"
            )
        return f"it needs {shown}, and {installed} is installed; pip install {shown!r}"


def applying(requirements: Iterable[str]) -> list[str]:
    """Return those of *requirements* that are needed here, without their markers, and none that cannot be read."""
    found: list[str] = []
    for text in requirements:
        try:
            requirement = Requirement.parse(text)
        except ValueError:
            continue
        if requirement.applies:
            found.append(requirement.text)
    return found


def installed_requirement(text: str) -> str:
    """Return what is installed of the requirement *text*, in words, and what is wrong with it."""
    try:
        requirement = Requirement.parse(text)
    except ValueError as error:
        return str(error)
    return requirement.fault(installed_version) or f"{installed_version(requirement.name)} is installed"


def installed_version(name: str) -> str | None:
    """Return the version that is installed of a distribution, or None; its metadata is read for it."""
    from importlib.metadata import version

    try:
        found: object = version(name)
    except Exception:
        return None  # It is not there, or its metadata is gone or broken: nobody can say which version it is.
    return found if isinstance(found, str) else None


def environment() -> dict[str, str]:
    """Return what a marker may ask for, as PEP 508 names it."""
    implementation = sys.implementation.version
    version = ".".join(map(str, implementation[:3]))
    if implementation.releaselevel != "final":
        version += f"{implementation.releaselevel[0]}{implementation.serial}"
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": version,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        # A Python that was built from a checkout has a version that ends in '+', which PEP 440 does not know.
        "python_full_version": platform.python_version().removesuffix("+"),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
        "extra": "",
    }


class _Marker:
    """Reads a marker from left to right; ``and`` binds more than ``or``."""

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self._text = text
        self._environment = environment
        self._tokens = self._split(text)
        self._position = 0

    def holds(self) -> bool:
        found = self._any(0)
        if self._position != len(self._tokens):
            raise self._error()
        return found

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                raise self._error()
            tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()
        return tokens

    def _any(self, depth: int) -> bool:
        found = self._all(depth)
        while self._takes(("word", "or")):
            found = self._all(depth) or found
        return found

    def _all(self, depth: int) -> bool:
        found = self._one(depth)
        while self._takes(("word", "and")):
            found = self._one(depth) and found
        return found

    def _one(self, depth: int) -> bool:
        if self._takes(("bracket", "(")):
            if depth == _MOST_NESTED:
                raise self._error()
            found = self._any(depth + 1)
            if not self._takes(("bracket", ")")):
                raise self._error()
            return found
        name, left = self._value()
        kind, operator = self._next()
        if kind != "operator":
            raise self._error()
        other, right = self._value()
        return _compared(left, " ".join(operator.split()), right, name or other, self._error)

    def _value(self) -> tuple[str, str]:
        """Return a name and its value; for a text the name is empty."""
        kind, token = self._next()
        if kind == "text":
            return "", token[1:-1]
        if kind != "word" or token not in self._environment:
            raise self._error()
        return token, self._environment[token]

    def _next(self) -> tuple[str, str]:
        if self._position == len(self._tokens):
            raise self._error()
        self._position += 1
        return self._tokens[self._position - 1]

    def _takes(self, token: tuple[str, str]) -> bool:
        found = self._tokens[self._position : self._position + 1] == [token]
        self._position += found
        return found

    def _error(self) -> ValueError:
        return ValueError(f"{masked_text(self._text[:200])!r} is no environment marker as PEP 508 has it")


def _compared(left: str, operator: str, right: str, name: str, error: Callable[[], ValueError]) -> bool:
    if operator == "in":
        return left in right
    if operator == "not in":
        return left not in right
    if name == "extra":
        left, right = project_name(left), project_name(right)
    elif name in _COMPARED_AS_VERSIONS:
        try:
            versions = VersionRange(operator + right)
        except ValueError:
            pass  # compared as texts
        else:
            return _is_version(left) and left in versions
    if operator == "~=":
        raise error()
    if operator == "!=":
        return left != right
    # What are no versions have no order, so that neither is less.
    return left == right and operator in ("==", "===", "<=", ">=")


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except ValueError:
        return False
    return True


__all__ = ("Requirement", "applying", "environment", "installed_requirement", "installed_version")
