"""Request policy: what the middleware tells of requests, and of which, checked when the middleware is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from fnmatch import translate
from typing import Any, cast

import attrs

from ..span_plans import Plan
from ..values import freeze
from ._asgi_types import Header, Scope
from ._secret_names import Masking, secret_names

_LONGEST_QUERY = 4096
_LONGEST_HEADER = 1024
_MOST_HEADERS = 64
_LARGEST_BODY = 1 << 20
"""Bytes; an event is cut at 256 KiB by default."""


@attrs.frozen(kw_only=True)
class RequestPolicy:
    """What is told of requests."""

    skips: Callable[[str], Any]
    """Whether the requests to a path get no event."""
    plan: Plan | None
    """What the spans do beyond telling of themselves; None for nothing, which takes less time."""
    request_headers: frozenset[bytes] | None
    """The names of those to tell, in lower case; None for all."""
    response_headers: frozenset[bytes] | None
    query: bool
    request_body: int
    """The longest body to tell, in bytes; 0 for none."""
    response_body: int
    masking: Masking

    @classmethod
    def of(
        cls,
        *,
        skip: Collection[str],
        sample: float | None,
        slow: float | None,
        buffer: str | int | None,
        request_headers: Collection[str],
        response_headers: Collection[str],
        query: bool,
        request_body: int,
        response_body: int,
        redact: Collection[str],
    ) -> RequestPolicy:
        """Return the policy that the arguments of the middleware mean.

        Raises:
            ValueError: if one of them is not what it may be.
        """
        names = {"skip": skip, "request_headers": request_headers, "response_headers": response_headers}
        for name, given in {**names, "redact": redact}.items():
            _check_texts(name, given)
        for name, size in (("request_body", request_body), ("response_body", response_body)):
            if type(size) is not int or not 0 <= size <= _LARGEST_BODY:
                raise ValueError(
                    f"{name} is {freeze(size)!r}; allowed: the longest body to tell, from 0 to {_LARGEST_BODY} bytes"
                )
        return cls(
            skips=_matcher(skip),
            plan=None if buffer is sample is slow is None else Plan.of(None, buffer, 1000, sample, slow, None, None),
            request_headers=_chosen(request_headers),
            response_headers=_chosen(response_headers),
            query=bool(query),
            request_body=request_body,
            response_body=response_body,
            masking=Masking(secret_names(redact)),
        )

    def told_query(self, scope: Scope) -> str | None:
        """Return the query with its secrets masked; None if it is empty or not to be told."""
        query = scope.get("query_string") if self.query else None
        if not query:
            return None
        if len(query) > _LONGEST_QUERY:  # the last parameter may be half a name, or half a secret
            query = query[:_LONGEST_QUERY].rpartition(b"&")[0] + b"&..."
        return self.masking.query(str(query, "latin-1"))

    def told_headers(self, headers: Iterable[Header], chosen: frozenset[bytes] | None) -> dict[str, str]:
        """Return those of *headers* that are to be told, with their secrets masked."""
        if chosen is not None and not chosen:
            return {}
        told: dict[str, str] = {}
        for raw_name, raw_value in headers:
            raw_name = raw_name.lower()
            if chosen is not None and raw_name not in chosen:
                continue
            name = raw_name[:_LONGEST_HEADER].decode("latin-1")
            if len(raw_value) > _LONGEST_HEADER:
                value = f"<{len(raw_value)} bytes>"  # cut, it could end in half a secret, which nothing would find
            else:
                value = self.masking.header(name, raw_value.decode("latin-1"))
            told[name] = f"{told[name]}, {value}" if name in told else value
            if len(told) >= _MOST_HEADERS:
                break
        return told


def _check_texts(name: str, given: Any) -> None:
    if isinstance(given, str | bytes) or not all(isinstance(each, str) for each in cast("Iterable[Any]", given)):
        example = "/health" if name == "skip" else "user-agent"
        raise ValueError(f"{name} is {freeze(given)!r}; allowed: a list of texts, such as [{example!r}]")


def _chosen(names: Collection[str]) -> frozenset[bytes] | None:
    return None if "*" in names else frozenset(name.lower().encode("latin-1", "replace") for name in names)


def _matcher(patterns: Collection[str]) -> Callable[[str], Any]:
    if not patterns:
        return _skips_nothing
    return re.compile("|".join(map(translate, patterns))).match


def _skips_nothing(path: str) -> None:
    return None
