"""Ids, and the payload that follows from an id."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

_LEVELS: Final = ("info", "info", "info", "warning", "error")
_TEXTS: Final = ("plain", 'quoted "so"', "two\nlines", "naïve ☃ 𝄞", "\x1b[31mred", "back\\slash", "\u2028", "")


@dataclass(frozen=True, slots=True)
class Payload:
    """What is logged for an id: nothing in it is a matter of chance, so the judge can say what it must be."""

    level: str
    message: str
    fields: dict[str, Any]


def identify(run: str, producer: str, number: int) -> str:
    """Return the id of one event of a producer, whose events are numbered from zero."""
    return f"{run}/{producer}/{number}"


def derive(identity: str) -> Payload:
    """Return the payload of the event with that id."""
    digest = blake2b(identity.encode(), digest_size=16).digest()
    text = _TEXTS[digest[1] % len(_TEXTS)]
    return Payload(
        level=_LEVELS[digest[0] % len(_LEVELS)],
        message=f"event {identity}",
        fields={
            "id": identity,
            "digest": digest.hex(),
            "number": int.from_bytes(digest[2:6], "big", signed=True),
            "text": text * (digest[6] % 20),
            "nested": {"list": list(digest[7:11]), "none": None, "true": True},
        },
    )
