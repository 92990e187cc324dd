"""Layer: what a capture has changed at one logger of the standard library, and how that is undone."""

from __future__ import annotations

import logging
from typing import Any, Final, cast

_NAME = "fapilog_layers"
"""The attribute of a logger that holds the layers that lie on it, the oldest first."""
_NOT_FURTHER: Final[Any] = 0
"""What ``propagate`` is set to: as good as False, and told from the False of somebody else."""


class Layer:
    """A handler, a level, or both, put over what a logger had before.

    Layers of one logger may be taken off in any order: one that lies in between hands what it covers to the one
    above it. What somebody else has changed meanwhile stays.

    Parameters:
        logger: the logger.
        handler: the handler to add, or None.
        level: the level to set, or None.
        replaces: whether the other handlers are taken out, and nothing propagates.
    """

    def __init__(
        self, logger: logging.Logger, handler: logging.Handler | None, level: int | str | None, replaces: bool
    ) -> None:
        self.logger = logger
        self.handler = handler
        self._given_level = level
        self.level: int | None = None
        """The level that was set."""
        self.replaces = replaces
        self.covered_level: int = logging.NOTSET
        self.covered_propagate: bool = True
        self.covered_handlers: list[logging.Handler] = []

    def put_on(self) -> None:
        """Change the logger.

        Raises:
            ValueError, TypeError: if the level is none; nothing has changed then.
        """
        logger = self.logger
        self.covered_level = logger.level
        if self._given_level is not None:
            logger.setLevel(self._given_level)
            self.level = logger.level
        vars(logger).setdefault(_NAME, []).append(self)
        self.covered_propagate = logger.propagate
        before = list(logger.handlers)
        if self.handler is not None:
            logger.addHandler(self.handler)
        if self.replaces:
            self.covered_handlers = before
            for other in before:
                logger.removeHandler(other)
            logger.propagate = _NOT_FURTHER

    def take_off(self) -> None:
        """Undo what ``put_on`` has done; nothing if that failed."""
        layers = cast("list[Layer]", vars(self.logger).get(_NAME, []))
        if self not in layers:
            return
        above = layers[layers.index(self) + 1 :]
        layers.remove(self)
        if not layers:
            del vars(self.logger)[_NAME]
        self._give_propagate_back(above)
        if self._give_handlers_back(above):
            self._give_level_back(above)

    def _give_handlers_back(self, above: list[Layer]) -> bool:
        """Put the handlers back; return False if somebody has configured the logger anew."""
        handler, logger = self.handler, self.logger
        if handler is None:
            return True
        for layer in above:
            if handler in layer.covered_handlers:
                position = layer.covered_handlers.index(handler)
                layer.covered_handlers[position : position + 1] = self.covered_handlers
                return True
        if handler not in logger.handlers:
            return False
        for other in self.covered_handlers:
            logger.addHandler(other)
        logger.removeHandler(handler)
        return True

    def _give_propagate_back(self, above: list[Layer]) -> None:
        if not self.replaces:
            return
        for layer in above:
            if layer.replaces:
                layer.covered_propagate = self.covered_propagate
                return
        if type(self.logger.propagate) is int:
            self.logger.propagate = self.covered_propagate

    def _give_level_back(self, above: list[Layer]) -> None:
        if self.level is None:
            return
        for layer in above:
            if layer.level is not None:
                layer.covered_level = self.covered_level
                return
        if self.logger.level == self.level:
            self.logger.setLevel(self.covered_level)
