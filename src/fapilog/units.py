"""Units that people write: ``"10 MB"``, ``"64 KiB"``, ``"250 ms"``, ``"1h30m"``, ``"1 day"``."""

from __future__ import annotations

from typing import Final

BYTES_EXAMPLE: Final = "write a number, or one with a unit, such as '10 MB' or '64 KiB'"
SECONDS_EXAMPLE: Final = "write a number, or one with a unit, such as '250 ms', '5s' or '1h30m'"

_BYTES: Final[dict[str, int]] = {
    "b": 1, "byte": 1, "bytes": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
"""Decimal and binary multiples, as IEC 80000-13 has them; in any case."""
_NANOSECONDS: Final[dict[str, int]] = {
    "us": 10**3, "µs": 10**3, "ms": 10**6,
    "s": 10**9, "sec": 10**9, "second": 10**9, "seconds": 10**9,
    "m": 60 * 10**9, "min": 60 * 10**9, "minute": 60 * 10**9, "minutes": 60 * 10**9,
    "h": 3600 * 10**9, "hour": 3600 * 10**9, "hours": 3600 * 10**9,
    "d": 86_400 * 10**9, "day": 86_400 * 10**9, "days": 86_400 * 10**9,
    "w": 604_800 * 10**9, "week": 604_800 * 10**9, "weeks": 604_800 * 10**9,
}  # fmt: skip
"""Lower case only: in other places an M is a month or a million."""
_LONGEST: Final = 64
_PART: Final = r"([0-9]{1,15})(?:\.([0-9]{1,9}))?[ _]{0,4}([A-Za-zµ]{1,8})"


def bytes_in(text: str) -> int | None:
    """Return the bytes that *text* such as ``"10 MB"`` says, or None if it says no whole number of them."""
    found = _parts(text)
    if found is None or len(found) != 1:
        return None
    whole, fraction, unit = found[0]
    size = _BYTES.get(unit.lower())
    return None if size is None else _scaled(whole, fraction, size)


def seconds_in(text: str) -> float | None:
    """Return the seconds that *text* such as ``"1h30m"`` says, or None if it is no duration.

    Several parts have to go from the larger unit to the smaller.
    """
    found = _parts(text)
    if found is None:
        return None
    total, before = 0, float("inf")
    for whole, fraction, unit in found:
        size = _NANOSECONDS.get(unit)
        part = None if size is None or size >= before else _scaled(whole, fraction, size)
        if part is None or size is None:
            return None
        total, before = total + part, size
    return total / 1e9


def _parts(text: str) -> list[tuple[str, str, str]] | None:
    """Return the numbers and units that *text* consists of, or None."""
    import re

    text = text.strip()
    if len(text) > _LONGEST or not re.fullmatch(rf"(?:{_PART}[ ]{{0,4}})+", text):
        return None
    return re.findall(_PART, text)


def _scaled(whole: str, fraction: str, size: int) -> int | None:
    """Return ``whole.fraction * size``, or None if that is no whole number."""
    rest = int(fraction or 0) * size
    scale = 10 ** len(fraction)
    return None if rest % scale else int(whole) * size + rest // scale
