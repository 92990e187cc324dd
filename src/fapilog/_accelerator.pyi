from collections.abc import Callable, Generator
from typing import Any

class Calls:
    def __init__(
        self,
        logger_type: type,
        threshold_type: type,
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

def plain_copy_for(frozen_type: type, /) -> Callable[[Any], dict[str, Any] | None]: ...

class Decided:
    def __init__(self, accepted: bool) -> None: ...
    def __await__(self) -> Generator[Any, Any, bool]: ...
