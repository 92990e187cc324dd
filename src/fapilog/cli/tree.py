"""``fapilog tree``: print the spans of a log file as a tree."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO, Any, NamedTuple, cast

from ..formats._visible import visible, visible_key, visible_value
from ._span_index import Entry, SpanIndex, mapping

GOOD, PROBLEMS = 0, 1
_LONGEST_TEXT = 500
_DEEPEST = 40
"""Levels that are drawn; what is deeper stands there too, without its lines in the margin."""
_MOST_MEMBERS, _MOST_NESTED = 3, 3
"""Members of an exception group, and groups or causes in one another, that a line tells of."""
_COLOURS = {"error": "31", "deadline": "33", "cancelled": "33", "ERROR": "31", "CRITICAL": "1;31", "WARNING": "33"}
_IN_ASCII = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-", "µ": "u", "…": "..."})
_DIM, _BOLD = "2", "1"


def add_parser(commands: Any) -> None:
    """Add ``tree`` to the *commands* of the command line."""
    parser: ArgumentParser = commands.add_parser(
        "tree",
        help="print the spans of a JSON log file as a tree",
        description="Reads a file in the format json and prints its spans with duration, outcome, errors and the "
        "events inside. Exit codes: 0, or 1 if the file cannot be read or has no event.",
    )
    parser.add_argument("file", metavar="FILE", help="a log file; - for the standard input")
    parser.add_argument("--trace", metavar="ID", help="only the trace whose id begins so")
    parser.add_argument("--spans", action="store_true", help="leave out the events inside")
    parser.set_defaults(run=print_tree)


def print_tree(arguments: Namespace) -> int:
    """Print the tree; return the exit code."""
    with ExitStack() as stack:
        try:
            file: IO[bytes] = stack.enter_context(_opened(arguments.file))
            index = stack.enter_context(SpanIndex(file))
            index.build(arguments.trace)
        except OSError as error:
            sys.stderr.write(f"fapilog tree: {visible(arguments.file)}: {error.strerror or error}\n")
            return PROBLEMS
        paint = _Paint(colours=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        encoding = sys.stdout.encoding or "utf-8"  # None if it is a text in memory
        tree = _Tree(index, paint, only_spans=arguments.spans)
        for line in tree.lines():
            sys.stdout.write(_encodable(line, encoding) + "\n")
        circling = index.number(only_spans=arguments.spans) - tree.shown
    told = [f"{index.outside} events outside any span"] if index.outside and arguments.trace is None else []
    told += [f"{index.unread} lines that are no events of the format json"] if index.unread else []
    if circling:
        told.append(f"{circling} events of spans that are inside each other, and of no tree")
    if not index.events:
        told.append("no event" if arguments.trace is None else f"no event of the trace {visible(arguments.trace)}")
    if told:
        sys.stderr.write(f"fapilog tree: {visible(arguments.file)}: {', '.join(told)}\n")
    return GOOD if index.events else PROBLEMS


def _encodable(line: str, encoding: str) -> str:
    """Return *line* as *encoding* can have it: drawn in ASCII if need be, and other characters as escapes.

    A pipe on Windows, or a service's environment without a locale, has no UTF-8.
    """
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        return line.translate(_IN_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return line


@contextmanager
def _opened(name: str) -> Generator[IO[bytes]]:
    """Open the file; what cannot be read twice, such as a pipe, is copied first."""
    with ExitStack() as stack:
        source = sys.stdin.buffer if name == "-" else stack.enter_context(open(name, "rb"))
        if name != "-" and source.seekable():
            yield source
            return
        copy = stack.enter_context(tempfile.TemporaryFile(prefix="fapilog-tree-"))
        shutil.copyfileobj(source, copy)
        copy.seek(0)
        yield copy


class _Paint:
    """Colours for a terminal, or none."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and text and colour else text


class _Level(NamedTuple):
    """One open level of the tree."""

    entries: Iterator[tuple[Entry, bool]]
    """What is inside, each with whether it is the last."""
    margin: str


class _Tree:
    def __init__(self, index: SpanIndex, paint: _Paint, *, only_spans: bool) -> None:
        self._index = index
        self._paint = paint
        self._only_spans = only_spans
        self.shown: int = 0
        """Events that the lines so far tell of."""

    def lines(self) -> Iterator[str]:
        """Yield the lines of every tree. Nothing recurses, so that a deep tree does not matter."""
        for span, entry in self._index.roots():
            if entry is None:
                yield self._paint(f"span {span % (1 << 64):016x}: its end is not in this file", _DIM)
            else:
                event = self._index.event(entry.offset)
                self.shown += 1
                trace = _cut(mapping(event.get("context")).get("trace_id"))
                yield self._span(event) + self._paint(f"  trace {visible(trace)}", _DIM)
            levels = [] if entry is not None and not self._index.is_first(entry) else [self._level(span, "")]
            while levels:
                level = levels[-1]
                following = next(level.entries, None)
                if following is None:
                    levels.pop()
                    continue
                inside, is_last = following
                event = self._index.event(inside.offset)
                self.shown += 1
                drawn = self._paint(level.margin + ("└─ " if is_last else "├─ "), _DIM)
                yield drawn + (self._event(event) if inside.span is None else self._span(event))
                if inside.span is not None and self._index.is_first(inside):
                    deeper = level.margin + ("   " if is_last else "│  ")
                    levels.append(self._level(inside.span, deeper[: 3 * _DEEPEST]))

    def _level(self, span: int, margin: str) -> _Level:
        entries = self._index.children(span)
        shown = (entry for entry in entries if entry.span is not None) if self._only_spans else entries
        return _Level(_with_last(shown), margin)

    def _span(self, event: Mapping[str, Any]) -> str:
        told = mapping(mapping(event.get("context")).get("span"))
        outcome = visible(_cut(told.get("outcome")))
        parts = [
            self._paint(visible(_cut(event.get("message"))), _BOLD),
            _duration(told.get("duration")),
            self._paint(outcome, _COLOURS.get(outcome, "32")),
        ]
        errors = told.get("errors")
        if isinstance(errors, int):
            parts.append(self._paint(f"{errors} error{'' if errors == 1 else 's'} inside", "31"))
        cancellation = mapping(told.get("cancellation"))
        if outcome != "deadline" and "source" in cancellation:
            why = cancellation.get("reason") or cancellation["source"]
            parts.append(self._paint(visible(f"by {_cut(why)}"), _DIM))
        parts.append(_pairs(event.get("fields")))
        parts.append(self._exception(event))
        return "  ".join(filter(None, parts))

    def _event(self, event: Mapping[str, Any]) -> str:
        level = visible(_cut(event.get("level")))
        clock = visible(str(event.get("timestamp", ""))[11:23])
        parts = [
            self._paint(clock, _DIM) + " " + self._paint(level, _COLOURS.get(level, _DIM)),
            visible(_cut(event.get("message"))),
            _pairs(event.get("fields")),
            self._exception(event),
        ]
        if mapping(event.get("context")).get("late") is True:
            parts.append(self._paint("late", "33"))
        return "  ".join(filter(None, parts))

    def _exception(self, event: Mapping[str, Any]) -> str:
        exception = mapping(event.get("exception"))
        return self._paint(visible(_told(exception)), "31") if exception else ""


def _told(exception: Mapping[str, Any], nested: int = _MOST_NESTED) -> str:
    """Return a line on *exception*, on the members of a group, and on what it was raised from."""
    if "type" not in exception:
        return f"{exception.get('omitted', 'some')} more"
    told = _cut(exception["type"])
    if message := _cut(exception.get("message")):
        told += ": " + message.partition("\n")[0]
    if not nested:
        return told
    group: object = exception.get("group")
    members = cast("list[object]", group) if isinstance(group, list) else []
    if members:
        shown = [_told(mapping(member), nested - 1) for member in members[:_MOST_MEMBERS]]
        told += f" [{'; '.join(shown)}{'; …' if len(members) > _MOST_MEMBERS else ''}]"
    if cause := mapping(exception.get("cause")):
        told += f" (from {_told(cause, nested - 1)})"
    return _cut(told)


def _with_last(entries: Iterator[Entry]) -> Iterator[tuple[Entry, bool]]:
    previous: Entry | None = None
    for entry in entries:
        if previous is not None:
            yield previous, False
        previous = entry
    if previous is not None:
        yield previous, True


def _duration(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return ""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _pairs(fields: object) -> str:
    return " ".join(f"{visible_key(key)}={_cut(visible_value(value))}" for key, value in mapping(fields).items())


def _cut(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
