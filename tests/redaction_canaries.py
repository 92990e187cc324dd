"""The canaries of the redaction tests: secrets, the names and places that they hide in, and what stands beside them."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

import attrs

SECRET = "Kn4ry-plover9"
"""Has the form of nothing: only the name beside it tells what it is."""

NAMES = (
    "password", "PASSWORD", "Password", "user_password", "userPassword", "user-password", "user.password",
    "UserPassword", "USER_PASSWORD", "dbpassword", "PGPASSWORD", "password2", "new_password", "passwd", "pwd",
    "passphrase", "db_pass", "secret", "clientSecret", "client_secret", "secret_key", "token", "accessToken",
    "access_token", "refresh-token", "x-auth-token", "X-Auth-Token", "idToken", "csrf_token", "jwt", "apikey", "apiKey",
    "api_key", "API_KEY", "X-API-Key", "x_api_key", "private_key", "encryptionKey", "aws_secret_access_key",
    "authorization", "Authorization", "proxy-authorization", "cookie", "Set-Cookie", "session_id", "sessionid",
    "PHPSESSID", "csrfmiddlewaretoken", "ssh_key",
    "sessionToken", "otp", "mfa_code", "credentials", "card_cvv", "cvv", "cvc2", "cardNumber", "card_number",
    "credit-card", "security_code", "pin", "cardholderName", "ｐａｓｓｗｏｒｄ", "pässword", "pass\u200bword",
)  # fmt: skip

VALUES = {
    "payment_card": "4111 1111 1111 1111",
    "payment_card_plain": "5500005555555559",
    "iban": "GB82 WEST 1234 5698 7654 32",
    "us_ssn": "536-90-4399",
    "email": "canary.plover@example.com",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "bearer": "Bearer mF_9.B5f-4.1JqM7plover",
    "basic": "Basic Y2FuYXJ5OnBsb3Zlcg==",
    "cloud_key_aws": "AKIAIOSFODNN7PLOVERX",
    "cloud_key_github": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "url_credentials": "postgresql://canary:plover9@db.example.com/app",
    "url_query": "https://example.com/cb?state=1&access_token=plover9plover9plover9",
    "pem": "-----BEGIN PRIVATE KEY-----\nMIIEplover9\n-----END PRIVATE KEY-----",
    "phone": "+44 20 7946 0958",
    "key_value": "login failed password=plover9 for bob",
}
"""Values that tell by their form what they are."""

LEAKS = {
    "payment_card": ("4111 1111 1111",), "payment_card_plain": ("5500005555555559", "55000055555"),
    "iban": ("5698 7654",),
    "us_ssn": ("536-90-4399", "4399"), "email": ("canary.plover",), "jwt": ("dozjgNryP4J3", "eyJzdWI"),
    "bearer": ("mF_9.B5f",), "basic": ("Y2FuYXJ5",), "cloud_key_aws": ("IOSFODNN7",), "cloud_key_github": ("16C7e42F",),
    "url_credentials": ("plover9",), "url_query": ("plover9",), "pem": ("MIIEplover9",), "phone": ("7946 0958",),
    "key_value": ("plover9",),
}  # fmt: skip
"""What of each must be seen nowhere."""


class Named(NamedTuple):
    before: Any
    canary: Any
    after: Any


class Colour(Enum):
    RED = "red"


@attrs.define
class AttrsModel:
    before: Any
    canary: Any


@dataclass
class DataModel:
    canary: Any
    after: Any = None


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


ODD: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "large int": lambda: 2**70,
    "set": lambda: {3, 1, 2},
    "surrogate": lambda: "\ud800 lone",
    "nul": lambda: "a\0b",
    "nan": lambda: float("nan"),
    "bytes": lambda: b"\xff\xfe",
    "broken": Broken,
    "deep": lambda: _nested(12),
    "many": lambda: list(range(1010)),
    "long": lambda: "x" * 20_000,
    "class": lambda: Broken,
    "date": lambda: datetime(2026, 1, 2, tzinfo=UTC),
    "uuid": lambda: UUID(int=7),
    "decimal": lambda: Decimal("1.5"),
    "enum": lambda: Colour.RED,
    "empty": dict,
}
"""What stands beside a canary and is odd."""


def _cycle() -> Any:
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    return value


ODD["cycle"] = _cycle

Place = Callable[[str, Any], dict[str, Any]]


def _nested(depth: int) -> Any:
    value: Any = "bottom"
    for _ in range(depth):
        value = {"down": [value]}
    return value


def _raised(error: Exception, *notes: str, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as raised:
        for note in notes:
            raised.add_note(note)
        return raised


NAMED_PLACES: dict[str, Place] = {
    "field": lambda name, value: {"fields": {name: value}},
    "nested": lambda name, value: {"fields": {"a": {"b": [{"c": {name: value}}]}}},
    "in a list": lambda name, value: {"fields": {"users": [{"id": 1}, {name: value}, {"id": 2}]}},
    "list as value": lambda name, value: {"fields": {name: [value, value]}},
    "dict as value": lambda name, value: {"fields": {name: {"inner": value}}},
    "bytes": lambda name, value: {"fields": {name: str(value).encode()}},
    "pair": lambda name, value: {"fields": {"headers": [("Accept", "*/*"), (name, value)]}},
    "raw pair": lambda name, value: {"fields": {"headers": [(name.encode(), str(value).encode())]}},
    "named value": lambda name, value: {"fields": {"header": {"name": name, "value": value}}},
    "key and value": lambda name, value: {"fields": {"env": [{"key": name, "value": [value]}]}},
    "ordered": lambda name, value: {"fields": {"map": OrderedDict({name: value})}},
    "proxy": lambda name, value: {"fields": {"map": MappingProxyType({name: value})}},
    "namespace": lambda name, value: {"fields": {"map": SimpleNamespace(**{name: value})}},
    "dataclass": lambda name, value: {"fields": {"model": DataModel({name: value}, after=3)}},
    "attrs": lambda name, value: {"fields": {"model": AttrsModel(1, {name: value})}},
    "namedtuple": lambda name, value: {"fields": {"model": Named(1, {name: value}, 2)}},
    "deque": lambda name, value: {"fields": {"queue": deque([{name: value}])}},
    "json text": lambda name, value: {"fields": {"body": json.dumps({"user": {name: value}})}},
    "json in json": lambda name, value: {"fields": {"body": json.dumps({"inner": json.dumps({name: value})})}},
    "json in a sentence": lambda name, value: {"message": f"sent {json.dumps({'a': 1, name: value})} ok"},
    "context": lambda name, value: {"context": {name: value}},
    "nested context": lambda name, value: {"context": {"user": {name: value}}},
    "bound": lambda name, value: {"bound": {name: value}},
    "tag": lambda name, value: {"tags": {name: value}},
    "option": lambda name, value: {"fields": {"argv": ["tool", "--" + name, value]}},
}  # fmt: skip
"""Places for a value that only its name tells."""

TEXT_PLACES: dict[str, Place] = {
    "assignment": lambda name, value: {"message": f"failed with {name}={value} for user 7"},
    "colon": lambda name, value: {"message": f"{name}: {value}"},
    "repr": lambda name, value: {"message": f"got {({'a': 1, name: value})!r}"},
    "call": lambda name, value: {"fields": {"call": f"login(user='bob', {name}='{value}')"}},
    "query": lambda name, value: {"fields": {"url": f"https://example.com/x?a=1&{quote(name)}={quote(value)}&b=2"}},
    "form": lambda name, value: {"fields": {"body": f"user=bob&{quote(name)}={quote(value)}"}},
    "option text": lambda name, value: {"fields": {"command": f"tool --{name} {value} --verbose"}},
    "option with equals": lambda name, value: {"fields": {"command": ["tool", f"--{name}={value}"]}},
    "header line": lambda name, value: {"fields": {"raw": ["Accept: */*", f"{name}: {value}"]}},
    "exception": lambda name, value: {"exc_info": _raised(ValueError(f"bad {name}='{value}'"))},
    "exception argument": lambda name, value: {"exc_info": _raised(ValueError({name: value}, 3))},
    "exception note": lambda name, value: {"exc_info": _raised(KeyError("x"), f"sent {name}={value}")},
    "exception cause": lambda name, value: {
        "exc_info": _raised(OSError("x"), cause=_raised(ValueError(f"{name}: {value}")))
    },
    "exception group": lambda name, value: {
        "exc_info": _raised(ExceptionGroup("g", [_raised(ValueError(f"{name}={value}"))]))
    },
    "exception as value": lambda name, value: {"fields": {"error": ValueError(f"{name}={value}")}},
    "tag text": lambda name, value: {"tags": {"note": f"{name}={value}"}},
    "key text": lambda name, value: {"fields": {"map": {f"{name}={value}": 1}}},
    "task": lambda name, value: {"task": f"worker {name}={value}"},
    "element": lambda name, value: {"fields": {"xml": f"<a><{name}>{value}</{name}></a>"}},
}  # fmt: skip
"""Places in a text, where the name has to be an identifier."""

VALUE_PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "message": lambda value: {"message": f"saw {value} today"},
    "field": lambda value: {"fields": {"note": value}},
    "in a sentence": lambda value: {"fields": {"note": f"saw {value} today"}},
    "nested": lambda value: {"fields": {"a": [{"b": (value,)}]}},
    "key": lambda value: {"fields": {"map": {value: 1}}},
    "bytes": lambda value: {"fields": {"raw": value.encode()}},
    "json": lambda value: {"fields": {"body": json.dumps({"x": [value]})}},
    "context": lambda value: {"context": {"seen": value}},
    "bound": lambda value: {"bound": {"seen": value}},
    "tag": lambda value: {"tags": {"seen": value}},
    "exception": lambda value: {"exc_info": _raised(ValueError(f"saw {value}"))},
    "exception note": lambda value: {"exc_info": _raised(ValueError("x"), value)},
    "set": lambda value: {"fields": {"seen": {value}}},
    "object": lambda value: {"fields": {"seen": SimpleNamespace(x=value)}},
    "correlation": lambda value: {"context": {"correlation_id": value}},
}
"""Places for a value that tells by its form what it is."""

INNOCENT_NAMES = (
    "author", "authors", "authority", "secretary", "expiration_policy", "password_policy", "token_count", "max_tokens",
    "prompt_tokens", "completion_tokens", "total_tokens", "has_password", "password_length", "password_changed_at",
    "token_type", "secret_name", "passenger", "passengers", "compass", "bypass", "test_passed", "passed", "pass_count",
    "keyboard", "monkey", "key", "keys", "primary_key", "foreign_key", "sort_key", "cache_key", "partition_key",
    "hotkey",
    "pinned", "pinch", "spin", "spinner", "opinion", "panel", "span", "japan", "company", "expand", "accept", "card",
    "cards", "cardinality", "discard", "scorecard", "authorised", "author_id", "coauthor", "tokenizer", "tokenized",
    "cookies_enabled", "cookie_policy", "session", "sessions_count", "description", "status", "encoding", "codec",
    "postcode_lookup_ms", "sequence", "lotp", "stop", "laptop", "optional", "adopt", "nested", "is_secret", "footprint",
)  # fmt: skip

INNOCENT_VALUES = (
    "request done", "/items", "GET /api/v1/users/12345/orders", "550e8400-e29b-41d4-a716-446655440000", "12:30:45",
    "2026-11-28T12:30:12.123456Z", "2026-11-28 12:30:12", "took 12 ms", "3/4", "1,234,567.89", "v1.2.3", "1.2.3.4.5",
    "user 1234567 logged in", "order 2024-000123", "the author wrote", "secretary of state", "sha256 of the file",
    "d41d8cd98f00b204e9800998ecf8427e", "5f4dcc3b5aa765d61d8327deb882cf99", "ratio 16:9", "C:\\Windows\\System32",
    "key: value", "status=200", "a=1&b=2", "https://example.com/path?page=2&sort=name", "x@y", "@decorator",
    "50% done", "100%", "don't panic", 'said "hello"', "[worker-1] started", "{not json}", '{"a": 1, "b": [2, 3]}',
    "<html>", "--verbose", "basic training", "bearer of news", "Token expired", "password must be longer",
    "no password given", "1234567890123", "1732808251123456789", "0000-0000-0000", "Ångström", "日本語のログ",
    "Привет, мир",
    "naïve café", "emoji 🎉 done", "1e10", "-42", "0x7f3a", "true", "None", "ETIMEDOUT", "HTTP/1.1 200 OK",
    "text/html; charset=utf-8",
    "Mozilla/5.0 (X11; Linux x86_64)", "SELECT id, name FROM users WHERE id = 7", "/var/log/app.log:120",
)  # fmt: skip
