"""IP addresses. Loopback, unspecified and whole networks' addresses tell of nobody and are left alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv6Address
from socket import AF_INET6, has_ipv6, inet_pton

from ._attempts import Attempts

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9]|0[0-9]{2})"
_IPV4 = re.compile(rf"(?<![\w.])({_OCTET})\.({_OCTET})\.({_OCTET})\.({_OCTET})(?![\w]|\.[0-9]|-[A-Za-z])", re.ASCII)
_VERSION = re.compile(r"(?:\b(?:v|ver|version|release|build|rev)[ :=.]{0,3}|==|>=|<=|~=|[A-Za-z]-)$", re.IGNORECASE)
_LONGEST_BEFORE = 12
_IPV6_RUN = re.compile(r"(?<![\w:.])(?=[\w.:]*?::|(?:[\w.]*+:){6})[\w:.]++", re.ASCII)
_LONGEST_IPV6 = 45
_EUI64 = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){7}")


def packed_in_python(written: str) -> bytes:
    """Return the 16 bytes of an IPv6 address; a ValueError says that it is none."""
    return IPv6Address(written).packed


# The system's way takes a tenth of the time; a Python that was built without IPv6 refuses all addresses there.
packed: Callable[[str], bytes] = partial(inet_pton, AF_INET6) if has_ipv6 else packed_in_python
_UNSPECIFIED = bytes(16)
_LOOPBACK = bytes(15) + b"\x01"
_MAPPED_LOOPBACK = bytes(10) + b"\xff\xff\x7f"
"""How each of 127.0.0.0/8 begins as an IPv6 address (RFC 4291, section 2.5.5.2)."""


def find_ipv4(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has an IPv4 address in dotted form, unless it is written as a version is."""
    if text.count(".") < 3:
        return
    for found in attempts.on(_IPV4.finditer(text)):
        octets = [int(octet) for octet in found.groups()]
        if octets[1:] == [0, 0, 0] or octets[0] in (0, 127):
            continue
        if not _VERSION.search(text[max(0, found.start() - _LONGEST_BEFORE) : found.start()]):
            yield found.span()


def find_ipv6(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has an IPv6 address (RFC 4291), also after ``name:`` or before a full stop."""
    if "::" not in text and text.count(":") < 7:
        return
    for found in attempts.on(_IPV6_RUN.finditer(text)):
        start, end = found.span()
        while end > start and text[end - 1] in ".:" and text[end - 2 : end] != "::":
            end -= 1
        for _ in range(3):
            if text.count(":", start, end) < 2:
                break
            if _is_ipv6(text[start:end]):
                yield start, end
                break
            start = text.index(":", start, end) + 1


def _is_ipv6(written: str) -> bool:
    if len(written) > _LONGEST_IPV6 or _EUI64.fullmatch(written):
        return False
    try:
        address = packed(written)
    except (OSError, ValueError):
        return False
    if address in (_UNSPECIFIED, _LOOPBACK) or address.startswith(_MAPPED_LOOPBACK):
        return False
    # "fab::cafe" is a name in C++ or Rust as well.
    return not written.replace(":", "").isalpha() or written.count(":") > 2
