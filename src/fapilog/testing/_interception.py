"""Calls of the module ``os`` and of ``open``, handed to the faulty files that are in use, and to the system otherwise.

What is shared hangs on the functions that are put in place of the real ones, so that nothing is global: it comes with
the first faulty file that is entered and goes with the last one that is left, in whatever order they are.
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any, Protocol, cast

import attrs

BY_DESCRIPTOR = ("write", "writev", "pwrite", "fsync", "fdatasync", "ftruncate", "fchmod", "close")
"""The calls whose first argument is a descriptor."""
BY_PATH = ("open", "unlink", "remove", "truncate")
"""The calls whose first argument is the path."""
OF_TWO_PATHS = ("rename", "replace")
"""The calls of which either argument may be the path."""
OPERATIONS = (*BY_DESCRIPTOR, *BY_PATH, *OF_TWO_PATHS)

_LAYER = "_fapilog_layer"


class Intercepting(Protocol):
    """A faulty file, as far as the interception is concerned."""

    def owns_descriptor(self, descriptor: int) -> bool:
        """Return whether *descriptor* is open on the file."""
        ...

    def owns_path(self, path: Any) -> bool:
        """Return whether *path* is the file's."""
        ...

    def call(
        self, operation: str, real: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """Do *operation* on the file, or fail at it."""
        ...


@attrs.define(eq=False)
class Layer:
    """The functions that were replaced, and the files for whose sake they were."""

    real: dict[tuple[ModuleType, str], Any] = attrs.field(factory=dict[tuple[ModuleType, str], Any])
    put: dict[tuple[ModuleType, str], Any] = attrs.field(factory=dict[tuple[ModuleType, str], Any])
    files: list[Intercepting] = attrs.field(factory=list[Intercepting])

    def owner_of_descriptor(self, descriptor: Any) -> Intercepting | None:
        """Return the file entered last that *descriptor* belongs to."""
        if not isinstance(descriptor, int):
            return None
        return next((file for file in reversed(self.files) if file.owns_descriptor(descriptor)), None)

    def owner_of_path(self, *paths: Any) -> Intercepting | None:
        """Return the file entered last that one of *paths* is."""
        return next((file for file in reversed(self.files) if any(map(file.owns_path, paths))), None)


def enter(file: Intercepting) -> Layer:
    """Hand the calls for *file* to it from now on; return what ``leave`` needs."""
    layer: Layer | None = getattr(os.write, _LAYER, None)
    if layer is None:
        layer = Layer()
        _install(layer)
    layer.files = [*layer.files, file]
    return layer


def leave(layer: Layer, file: Intercepting) -> None:
    """Hand no more calls to *file*; with the last one the real functions come back.

    A function that somebody else has replaced meanwhile stays theirs; ours below it only passes calls on then.
    """
    layer.files = [other for other in layer.files if other is not file]
    if not layer.files:
        for (module, name), real in layer.real.items():
            if getattr(module, name) is layer.put[module, name]:
                setattr(module, name, real)


def _install(layer: Layer) -> None:
    for name in OPERATIONS:
        real = getattr(os, name, None)
        if real is not None:  # not every system has each
            _put(layer, os, name, _intercepting(layer, name, real))
    opening = _opening(layer, builtins.open)
    _put(layer, builtins, "open", opening)
    _put(layer, io, "open", opening)


def _put(layer: Layer, module: ModuleType, name: str, function: Any) -> None:
    setattr(function, _LAYER, layer)
    layer.real[module, name] = getattr(module, name)
    layer.put[module, name] = function
    setattr(module, name, function)


def _intercepting(layer: Layer, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(real)
    def call(*arguments: Any, **options: Any) -> Any:
        owner: Intercepting | None = None
        if name in BY_DESCRIPTOR:
            owner = layer.owner_of_descriptor(arguments[0] if arguments else None)
        else:
            owner = layer.owner_of_path(*arguments[: 2 if name in OF_TWO_PATHS else 1])
        if owner is None:
            return real(*arguments, **options)
        return owner.call(name, real, arguments, options)

    return call


def _opening(layer: Layer, real: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``open`` such that a file object for one of the files makes its calls where they are intercepted."""

    @wraps(real)
    def call(file: Any, mode: str = "r", buffering: int = -1, *arguments: Any, **options: Any) -> Any:
        ours = layer.owner_of_descriptor(file) or (not isinstance(file, int) and layer.owner_of_path(file))
        if not ours or not set(mode) & set("wax+"):
            return real(file, mode, buffering, *arguments, **options)
        return _file_object(file, mode, buffering, *arguments, **options)

    return call


class _File(io.FileIO):
    """A file object whose calls go through ``os``, as its own in C do not."""

    def write(self, data: Any, /) -> int:
        return os.write(self.fileno(), data)

    def truncate(self, size: int | None = None, /) -> int:
        length = self.tell() if size is None else size
        os.ftruncate(self.fileno(), length)
        return length


def _file_object(
    file: Any,
    mode: str,
    buffering: int,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Callable[[str, int], int] | None = None,
) -> Any:
    binary = "b" in mode
    raw = _File(file, mode.replace("b", "").replace("t", ""), closefd, opener or _open)
    if buffering == 0:
        if binary:
            return raw
        raw.close()
        raise ValueError("can't have unbuffered text I/O")
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    buffered = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
    if binary:
        return buffered
    return io.TextIOWrapper(cast("Any", buffered), encoding, errors, newline, line_buffering=buffering == 1)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, 0o666)
