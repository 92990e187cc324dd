"""Secrets in URLs, wherever in a text a URL stands: before the host, and in the query."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ._attempts import Attempts
from ._name_runs import name_runs

_HOST = r"\s/?#\"'<>\\`|{}"
"""What ends the host of a URL."""
_AUTHORITY = re.compile(
    rf"(?://|\\/\\/)(?=[^{_HOST}@:]{{0,1024}}+(?:@|:(?![0-9]{{1,5}}(?![^{_HOST}]))))([^{_HOST}]{{1,1024}}+)"
)
"""It has an ``@``, or a colon that no port follows."""
_ENCODED = re.compile(r"%2F%2F((?:(?!%2F|%40|%3F)[^\s/?#\"'<>&@]){1,512}+)%40", re.IGNORECASE)
_SLASH_IN_PASSWORD = re.compile(r"[^\s\"'<>@]{0,256}@[\w\[]")
_PORT = re.compile(r"[0-9]{1,5}$")
_GO_DSN = re.compile(r"(?<![\w.\-])[\w.\-]{1,64}+:([^\s@/]{1,128}+)@(?:tcp|unix)\(")
_GO_PROTOCOL = re.compile(r"@(?:tcp|unix)\(")
_LONGEST_GO = 1 + 64 + 1 + 128
_ORACLE_DSN = re.compile(r":thin:([^\s@/]{1,64}+/[^\s@]{1,128}+)@")
_LONG_USER = re.compile(r"(?=.*[0-9])[\w~.\-]{16,}+")

_PARAMETER = re.compile(r"([\w.\-$\[\]]{1,64}+)(=|%3D)", re.IGNORECASE)
_BEFORE_PARAMETER = ("?", "&", "#", ";", "%3F", "%3f", "%26", "%23")
_VALUE = re.compile(r"[^\s&#;\"'<>\\`|%]*+(?:%(?!26|23|3B|22|20)[^\s&#;\"'<>\\`|%]*+)*+", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(
    r"(?:^|[_\-.$\[])(?:x[_\-](?:amz|goog|oss|obs|ms)[_\-])?(?:(?:access|refresh|id|auth|api|bearer|security|session|csrf|xsrf|reset|"
    r"invite|verification|login|sas|user|client|app|device|magic|private|secret)[_\-]?)?"
    r"(?:token|secret|apikey|api[_\-]?key|password|passwd|pwd|pass|passphrase|signature|sig|credentials?|jwt|otp|totp|"
    r"authorization|auth|assertion|session[_\-]?id|sessid|sessionid|sid|ticket|hmac|mfa[_\-]?code|verification[_\-]?code|"
    r"subscription[_\-]?key|code[_\-]verifier|private[_\-]?key|secret[_\-]?key|client[_\-]?secret|access[_\-]?key|"
    r"nonce|samlresponse|samlrequest|card[_\-]?number|cvv|cvc|ssn|iban|pin)(?:\[\]|\])?$",
    re.IGNORECASE,
)
_LONG_PARAMETER = re.compile(
    r"(?:key|code|state|hash|session|access|aws_?access_?key_?id|googleaccessid)$", re.IGNORECASE
)
PARAMETER_STEMS = ("token", "secret", "key", "pass", "pwd", "sig", "cred", "jwt", "otp", "auth", "assertion", "sess",
                   "sid", "ticket", "hmac", "code", "nonce", "saml", "cvv", "cvc", "ssn", "iban", "pin", "state",
                   "hash", "access", "card")  # fmt: skip
"""One of these is in each name that counts, in whatever case."""
_PARAMETER_ENDS = (
    "token", "secret", "apikey", "password", "passwd", "pwd", "pass", "passphrase", "signature", "sig", "credential",
    "credentials", "jwt", "otp", "authorization", "auth", "assertion", "sessionid", "sessid", "sid", "ticket", "hmac",
    "code", "subscriptionkey", "verifier", "key", "nonce", "samlresponse", "samlrequest", "cardnumber", "cvv", "cvc",
    "ssn", "iban", "pin", "state", "hash", "session", "access", "accesskeyid", "googleaccessid",
)  # fmt: skip
"""One of these is the end of each name that counts, without what joins its words."""
_PARAMETERS = name_runs(_PARAMETER_ENDS, ".-$[]", at_end=True)
_NEVER, _IF_LONG, _ALWAYS = range(3)
_LONG_VALUE = 16
"""These parameters are secrets only if their value is long, as an API key or an authorization code is."""
_MAY_BE_LONG = re.compile(rf"[^\s&#;\"'<>\\`|]{{{_LONG_VALUE}}}")


def find_url_credentials(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has the user information of a URL (RFC 3986 section 3.2.1) with a password or a token."""
    if "@" in text:
        for found in attempts.on(_AUTHORITY.finditer(text)):
            span = _user_information(text, *found.span(1))
            if span:
                yield span
        position = 0
        for protocol in _GO_PROTOCOL.finditer(text):
            position = max(position, protocol.start() - _LONGEST_GO)
            if not attempts.at(position):
                break
            for found in _GO_DSN.finditer(text, position, protocol.end()):
                yield found.span(1)
            position = protocol.end()
        yield from (found.span(1) for found in attempts.on(_ORACLE_DSN.finditer(text)))
    if "%40" in text:
        yield from (
            found.span(1)
            for found in attempts.on(_ENCODED.finditer(text))
            if "%3a" in found[1].lower() or ":" in found[1]
        )


def _user_information(text: str, start: int, end: int) -> tuple[int, int] | None:
    at = text.rfind("@", start, end)
    if at < 0:
        # A password with a slash in it, not encoded as it should be: "user:a/b@host".
        colon = text.find(":", start, end)
        if colon <= start or colon == end - 1 or _PORT.match(text, colon + 1, end):
            return None
        rest = _SLASH_IN_PASSWORD.match(text, end) if text[end : end + 1] in ("/", "?", "#", "|", "`") else None
        return (start, rest.end() - 2) if rest else None
    if at > start and (":" in text[start:at] or _LONG_USER.match(text, start, at)):
        return start, at
    return None


def find_secret_parameters(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has the value of a secret parameter of a query or fragment."""
    position = 0
    known: dict[str, int] = {}
    # Each secret is an attempt, and each other name that is looked at, but only once.
    for name in _PARAMETERS(text):
        if name < position:
            continue
        # The end of what is URL-quoted looks like the beginning of the name.
        first = name + 2 if name and text[name - 1] == "%" else name
        if first < position or not text.endswith(_BEFORE_PARAMETER, 0, first):
            continue
        found = _PARAMETER.match(text, first)
        if found is None:
            continue
        position = found.end()
        secret = known.get(found[1])
        if secret == _NEVER or (secret == _IF_LONG and not _MAY_BE_LONG.match(text, position)):
            continue
        if not attempts.at(first):
            return
        if secret is None:
            secret = known[found[1]] = _kind_of(found[1])
        if secret:
            value = _VALUE.match(text, position)
            assert value is not None
            start, end = value.span()
            while end > start and text[end - 1] in ".,)]}*":
                end -= 1
            position = max(end, position)
            if end > start and (secret == _ALWAYS or end - start >= _LONG_VALUE):
                yield start, end


def _kind_of(name: str) -> int:
    """Return whether the value of a parameter is a secret: always, if it is long, or never."""
    if _SECRET_PARAMETER.search(name):
        return _ALWAYS
    return _IF_LONG if _LONG_PARAMETER.match(name) else _NEVER
