"""What a plugin's one method may do wrong: fifteen ways for any, and three more for an asynchronous one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel

from fapilog import LogEvent


class BadTruth:
    def __bool__(self) -> bool:
        raise SystemExit


class BadMapping(dict[str, Any]):
    def items(self) -> Any:
        raise asyncio.CancelledError

    def keys(self) -> Any:
        raise asyncio.CancelledError

    def __iter__(self) -> Any:
        raise asyncio.CancelledError


class BadText(Exception):
    def __str__(self) -> str:
        raise SystemExit


def raising(error: BaseException) -> Callable[..., Any]:
    def misbehave(argument: Any) -> Any:
        raise error

    return misbehave


def returning(make_value: Callable[[], Any]) -> Callable[..., Any]:
    def misbehave(argument: Any) -> Any:
        return make_value()

    return misbehave


def broken_iterator() -> Iterator[Any]:
    yield LogEvent("made")
    raise asyncio.CancelledError


def recurse(argument: Any) -> Any:
    return recurse(argument)


async def nothing() -> None:
    """Be a coroutine that nobody awaits."""


MISBEHAVIOURS: dict[str, Callable[..., Any]] = {
    "raises": raising(ValueError("no")),
    "raises without a text": raising(BadText()),
    "exits": raising(SystemExit(3)),
    "stops a generator": raising(GeneratorExit()),
    "claims to be cancelled": raising(asyncio.CancelledError()),
    "raises a group": raising(BaseExceptionGroup("g", [SystemExit()])),
    "stops an iteration": raising(StopIteration()),
    "recurses without end": recurse,
    "returns an object": returning(object),
    "returns a bad truth": returning(BadTruth),
    "returns a bad mapping": returning(lambda: BadMapping(a=1)),
    "returns text": returning(lambda: "text"),
    "returns a number": returning(lambda: 5),
    "returns a coroutine": returning(nothing),
    "returns a broken iterator": returning(broken_iterator),
}


async def hang(argument: Any) -> None:
    await anyio.sleep_forever()


async def shield(argument: Any) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(10_000)


async def swallow(argument: Any) -> None:
    while True:
        try:
            await anyio.sleep_forever()
        except BaseException:
            pass


def asynchronous(function: Callable[..., Any]) -> Callable[..., Any]:
    async def misbehave(argument: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return function(argument)

    return misbehave


ASYNCHRONOUS: dict[str, Callable[..., Any]] = {
    **{name: asynchronous(function) for name, function in MISBEHAVIOURS.items()},
    "hangs": hang,
    "shields itself": shield,
    "swallows its cancellation": swallow,
}
