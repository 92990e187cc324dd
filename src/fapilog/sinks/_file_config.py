"""What the file sink can be told, and what is wrong with it."""

from __future__ import annotations

import math
import os
from typing import Any, Literal

import attrs

from ._formats import FORMATS, Format

PERIODS: dict[str, float] = {"hourly": 3600.0, "daily": 86400.0}
"""Seconds of the named rotation periods."""

_LONGEST_NAME = 255
_ARCHIVE_NAME_ROOM = 40
_LONGEST_PATH = 4096


def _as_text(path: str | os.PathLike[str]) -> str:
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def _check_path(_config: FileConfig, _attribute: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"path {value!r} is not a file's path; give a text such as 'logs/app.log'")
    shown = repr(value) if len(value) <= 100 else f"{value[:80]!r}…"
    if "\0" in value:
        raise ValueError(f"path {shown} is not a path without NUL characters; remove them")
    try:
        encoded = os.fsencode(value)
    except UnicodeEncodeError:
        raise ValueError(f"path {shown} is not a path that can be encoded; leave out lone surrogates") from None
    if encoded.rsplit(b"/", 1)[-1] in (b"", b".", b".."):
        raise ValueError(f"path {shown} is not a file's path but a directory's; add a name such as 'app.log'")
    if max(map(len, encoded.split(b"/"))) > _LONGEST_NAME or len(encoded) >= _LONGEST_PATH:
        raise ValueError(
            f"path {shown} is not a path of at most {_LONGEST_PATH - 1} bytes with names of at most "
            f"{_LONGEST_NAME}; it is too long, shorten it"
        )


def _check_rotate_at(_config: FileConfig, _attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None or (isinstance(value, str) and value in PERIODS):
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1.0 <= value < math.inf:
        raise ValueError(
            f"rotate_at {value!r} is not allowed; use {', '.join(map(repr, PERIODS))}, or a number of seconds from 1"
        )


def _number(smallest: float, kinds: type | tuple[type, ...], unit: str, *, optional: bool = True) -> Any:
    """Return a validator: a number of *unit*, at least *smallest*; None too, if *optional*."""

    def check(_config: FileConfig, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and optional:
            return
        if isinstance(value, bool) or not isinstance(value, kinds) or not smallest <= value < math.inf:  # type: ignore[operator]
            off = "; leave it out to switch it off" if optional else ""
            raise ValueError(f"{attribute.name} {value!r} is not a number of {unit} from {smallest:g}{off}")

    return check


def _one_of(*allowed: object) -> Any:
    """Return a validator: one of *allowed*."""

    def check(_config: FileConfig, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed:
            raise ValueError(f"{attribute.name} {value!r} is not allowed; use one of {', '.join(map(repr, allowed))}")

    return check


def _check_mode(_config: FileConfig, _attribute: attrs.Attribute[int], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value & ~0o777 or value & 0o600 != 0o600:
        shown = oct(value) if isinstance(value, int) else repr(value)
        raise ValueError(f"mode {shown} is not allowed; give permission bits that let the owner read and write: 0o600")


@attrs.frozen
class FileConfig:
    """What the file sink can be told."""

    path: str = attrs.field(converter=_as_text, validator=_check_path)
    """The file to append to; made absolute when the sink starts. Missing directories are created."""
    format: Format = attrs.field(default="json", validator=_one_of(*FORMATS))
    """The format of the records."""
    max_bytes: int | None = attrs.field(default=None, validator=_number(1, int, "bytes"), metadata={"unit": "bytes"})
    """Bytes that the file may reach before it is rotated; a record that is larger has a file of its own."""
    rotate_at: str | float | None = attrs.field(default=None, validator=_check_rotate_at, metadata={"unit": "seconds"})
    """When the file is rotated, on boundaries in UTC: ``"hourly"``, ``"daily"``, or every so many seconds."""
    keep: int | None = attrs.field(default=None, validator=_number(0, int, "files"))
    """How many rotated files are kept."""
    keep_bytes: int | None = attrs.field(default=None, validator=_number(0, int, "bytes"), metadata={"unit": "bytes"})
    """Bytes that all rotated files may take together."""
    keep_days: float | None = attrs.field(
        default=None, validator=_number(0, (int, float), "days"), metadata={"unit": "days"}
    )
    """Days that a rotated file is kept after its last record."""
    keep_seconds: float | None = attrs.field(
        default=None, validator=_number(0, (int, float), "seconds"), metadata={"unit": "seconds"}
    )
    """The same in seconds; give only one of the two."""
    compress: Literal["gzip"] | None = attrs.field(default=None, validator=_one_of("gzip", None))
    """How rotated files are compressed."""
    mode: int = attrs.field(default=0o600, validator=_check_mode)
    """The permissions of files that the sink creates, whatever the umask; the directories get 0700."""
    fsync: Literal["never", "rotate", "always"] = attrs.field(
        default="never", validator=_one_of("never", "rotate", "always")
    )
    """When records are forced to the disk: never, when a file is rotated or closed, or before a write returns."""
    slow_write: float = attrs.field(
        default=0.005, validator=_number(0, (int, float), "seconds", optional=False), metadata={"unit": "seconds"}
    )
    """Seconds after which a write made directly on the event loop is slow; ten times that is too slow at once."""
    slow_write_cool_down: float = attrs.field(
        default=10.0, validator=_number(0, (int, float), "seconds", optional=False), metadata={"unit": "seconds"}
    )
    """Seconds within which a second slow write is too slow, and during which the sink's thread writes then."""

    def __attrs_post_init__(self) -> None:
        if self.keep_days is not None and self.keep_seconds is not None:
            raise ValueError("keep_days and keep_seconds are both given; give only one of the two")
        if self.rotates:
            name = os.path.basename(self.path)
            if len(os.fsencode(name)) > _LONGEST_NAME - _ARCHIVE_NAME_ROOM:
                raise ValueError(
                    f"path {name[:80]!r}… is too long to be rotated; its name may have "
                    f"{_LONGEST_NAME - _ARCHIVE_NAME_ROOM} bytes, so that a time can be added"
                )
            return
        for name in ("keep", "keep_bytes", "keep_days", "keep_seconds", "compress"):
            value = getattr(self, name)
            if value is not None:
                raise ValueError(f"{name} {value!r} has no effect without rotation; set max_bytes or rotate_at as well")

    @property
    def rotates(self) -> bool:
        """Whether the file is ever rotated."""
        return self.max_bytes is not None or self.rotate_at is not None

    @property
    def period(self) -> float | None:
        """Seconds between two rotations by time, or None."""
        return PERIODS[self.rotate_at] if isinstance(self.rotate_at, str) else self.rotate_at

    @property
    def keep_age(self) -> float | None:
        """Seconds that a rotated file is kept, or None."""
        return self.keep_seconds if self.keep_days is None else self.keep_days * 86400.0
