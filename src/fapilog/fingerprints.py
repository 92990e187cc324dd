"""Fingerprints: what exceptions of the same origin have in common, across runs, machines and moved lines.

The fingerprint of an exception is the BLAKE2b hash (RFC 7693), with a digest of 8 bytes and written as 16 hexadecimal
digits, of these lines in UTF-8, joined by newlines:

1. the module of its class, and the qualified name of the class;
2. for each of the three innermost application frames, the innermost first, ``module:function``. The module is the
   ``__name__`` of the frame's globals; where that is missing or ``__main__`` it is the file's last part. The function
   is the code's qualified name.

An application frame is one whose file is neither of the standard library, nor below ``site-packages`` or
``dist-packages``, nor of fapilog. Where there is none, the frames outside the standard library, fapilog, AnyIO and Trio
count; where there is none of these either, nothing follows the first two lines. Of frames that are alike and follow
each other one counts, so that the depth of a recursion does not matter; comprehensions do not count, which are frames
of their own in some versions of Python only. The 256 innermost frames are looked at.

The fingerprint of a group is the hash of its class's two lines and its members' distinct fingerprints, sorted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from types import FrameType, TracebackType
from typing import Any, Final, cast

from ._text import class_of, type_module, type_qualname

try:
    # The same without OpenSSL, which takes most of the time that ``hashlib`` needs for its import.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

_get: Any = dict.__dict__["get"]
_MOST_FRAMES: Final = 3
_LOOKED_AT: Final = 256
_LONGEST: Final = 1024
_INSTALLED: Final = ("site-packages", "dist-packages")
_COMPREHENSIONS: Final = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>"})
_RUNNERS: Final = frozenset({"anyio", "trio", "outcome", "asyncio", "uvloop"})
"""Packages that run tasks: their frames differ between the backends."""
_STANDARD_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep
_OWN: Final = os.path.dirname(__file__) + os.sep


def fingerprint(error: BaseException, entries: Sequence[TracebackType]) -> str:
    """Return the fingerprint of an exception that is no group.

    Parameters:
        entries: its traceback, the innermost entry last.
    """
    return _hashed(class_of(error), _innermost(entries[-_LOOKED_AT:]))


def group_fingerprint(error: BaseException, members: Iterable[str]) -> str:
    """Return the fingerprint of a group whose members have these."""
    return _hashed(class_of(error), sorted(set(members)))


def _hashed(kind: type, lines: Iterable[str]) -> str:
    whole = "\n".join([type_module(kind), type_qualname(kind), *lines])
    return blake2b(whole.encode(errors="surrogatepass"), digest_size=8, usedforsecurity=False).hexdigest()


def _innermost(entries: Sequence[TracebackType]) -> list[str]:
    """Return the lines of the frames that count, the innermost first."""
    application: list[str] = []
    others: list[str] = []
    last: Any = None
    for entry in reversed(entries):
        frame = entry.tb_frame
        code = frame.f_code
        if code is last:  # a recursion
            continue
        last = code
        file = code.co_filename
        if code.co_name in _COMPREHENSIONS or file.startswith(("<frozen ", _OWN)):
            continue
        installed = _INSTALLED[0] in file or _INSTALLED[1] in file
        if not installed and file.startswith(_STANDARD_LIBRARY):
            continue
        chosen = others if installed else application
        if installed and len(others) == _MOST_FRAMES:
            continue
        module = _module(frame, file)
        if installed and module.partition(".")[0] in _RUNNERS:
            continue
        line = f"{module}:{code.co_qualname[:_LONGEST]}"
        if not chosen or chosen[-1] != line:
            chosen.append(line)
            if len(application) == _MOST_FRAMES:
                break
    return application or others


def _module(frame: FrameType, file: str) -> str:
    # The globals may be of a class derived from dict.
    name = cast("object", _get(frame.f_globals, "__name__"))
    if type(name) is str and name and name != "__main__":
        return name[:_LONGEST]
    return file.replace("\\", "/").rpartition("/")[2][:_LONGEST]
