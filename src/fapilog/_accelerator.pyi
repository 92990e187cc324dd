from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

_Event = TypeVar("_Event")
_Item = TypeVar("_Item")
_Function = TypeVar("_Function", bound=Callable[..., Any])

class Calls:
    def __init__(
        self,
        logger_type: type,
        threshold_type: type,
        ambient_type: type,
        scope_type: type,
        inside_plugin: object,
        own: tuple[str, ...],
        passing: tuple[type, ...],
    ) -> None: ...
    def meet_intake(self, intake_type: type, /) -> None: ...
    def method(
        self,
        python: Callable[..., Any],
        submit: Callable[..., Any],
        level: int,
        quick: bool,
        awaited: bool,
        accepted: bool | None,
        refused: bool | None,
    ) -> Any: ...

class Contexts:
    def adding(self, python: _Function, logger_type: type, option: str, /) -> _Function: ...

class Spans:
    def __init__(self) -> None: ...
    def meet(
        self,
        new_span: object,
        calls: Calls,
        contexts: Contexts,
        core_type: type,
        ids_type: type,
        origin_type: type,
        options: tuple[str, ...],
        modules: dict[str, Any],
        perf_counter_ns: Callable[[], int],
        level: int,
    ) -> None: ...
    def making(self, python: _Function, /) -> _Function: ...
    def entering(self, python: _Function, /) -> _Function: ...
    def leaving(self, python: _Function, /) -> _Function: ...

def contexts_for(
    ambient_type: type,
    mapping_type: type[dict[str, Any]],
    inside_plugin: object,
    extended: Callable[[Any, dict[str, Any]], Any],
) -> tuple[
    Callable[[ContextVar[Any], dict[str, Any]], AbstractContextManager[None]],
    Callable[[Any, dict[str, Any], Any], Any],
    Contexts,
]: ...
def plain_copy_for(frozen_type: type, /) -> Callable[[Any], dict[str, Any] | None]: ...

class Decided:
    def __init__(self, accepted: bool) -> None: ...
    def __await__(self) -> Generator[Any, Any, bool]: ...

class EventMaker(Generic[_Event]):
    def __init__(self, event_type: type[_Event], mapping_type: type[dict[str, Any]]) -> None: ...
    def __call__(self, records: Iterable[tuple[Any, ...]]) -> list[_Event]: ...
    def with_mappings(self, items: Iterable[_Item], /) -> list[_Item]: ...

class LineEncoder:
    def __init__(
        self,
        event_type: type,
        origin_type: type,
        ambient_type: type,
        mapping_type: type[dict[str, Any]],
        levels: dict[int, bytes],
        shared: Callable[[Any, Any, str], bytes],
        identity: Callable[[Any, Any, str], bytes],
        number: Callable[[float], bytes],
        other: Callable[[Any], bytes],
        other_types: tuple[type, ...],
        most: int,
    ) -> None: ...
    def __call__(self, items: Sequence[_Item], first_sequence: int, line: Callable[[_Item, int], bytes]) -> bytes: ...

def need_frames(number: int, /) -> None: ...
def write_at_once(descriptor: int, payload: bytes, /) -> int: ...  # on Linux only

class Writes:  # on Linux only
    def __init__(self) -> None: ...
    def run(self) -> tuple[int, int] | None: ...
    def end(self) -> None: ...
    def begin(self, descriptor: int, payload: bytes, patience: float, /) -> None: ...
    def found_done(self) -> bool: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...
    def fileno(self) -> int: ...

class RedactionScreen:
    def __init__(
        self,
        *,
        event_type: type,
        origin_type: type,
        ambient_type: type,
        extras_type: type,
        mapping_type: type[dict[str, Any]],
        other_types: tuple[type, ...],
        verdicts: dict[str, Any],
        clean: dict[str, bool],
        holds: Callable[[str], bool],
        texts: TextScreen | None,
        cards: bool,
        longest: int,
    ) -> None: ...
    def __call__(self, items: Sequence[Any]) -> list[int]: ...
    def text(self, text: str, /) -> bool: ...

class PairEncoder:
    def __init__(
        self,
        names: dict[str, str],
        texts: dict[str, str],
        plain: bytes,
        mapping_type: type[dict[str, Any]],
        not_quick: type[Exception],
        most: int,
    ) -> None: ...
    def __call__(self, starts: list[str], mappings: list[dict[str, Any]], end: str, others: set[str]) -> bytes: ...

class TextScreen:
    def __init__(
        self,
        words: tuple[str, ...],
        names: tuple[str, ...],
        numbered: tuple[str, ...],
        prefixes: tuple[str, ...],
        shapes: int,
        folded: bytes,
    ) -> None: ...
    def __call__(self, text: str, /) -> bool: ...
    def starts(self, text: str, /) -> list[int]: ...

class NameRuns:
    def __init__(self, forms: tuple[str, ...], characters: str, at_end: bool, pairs: bool) -> None: ...
    def __call__(self, text: str, /) -> list[int]: ...

class IbanFinder:
    def __init__(self, lengths: dict[str, int]) -> None: ...
    def __call__(self, text: str, /) -> list[tuple[int, int]]: ...

class CardFinder:
    def __init__(self, issuers: tuple[tuple[int, int, int, int], ...]) -> None: ...
    def __call__(self, text: str, /) -> list[tuple[int, int]]: ...

def unquoted(text: str, /) -> str: ...
