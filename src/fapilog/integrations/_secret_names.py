"""Which headers and query parameters hold secrets, and how what may be told of them is told."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from urllib.parse import unquote_plus

from ..redactors._detectors import text_finder
from ..redactors._key_values import is_secret_name as names_a_secret
from ..redactors._presets import PRESETS
from ..shown import is_secret_name as contains_a_secret

MASK = "***"
_OF_REQUESTS = frozenset({
    # headers
    "authentication-info", "proxy-authenticate", "sec-websocket-protocol", "x-session", "x-ms-client-principal",
    "x-amzn-oidc-data",
    # query parameters
    "code", "state", "relaystate", "sig", "signature", "x-amz-signature", "x-goog-signature", "hmac", "hash", "ticket",
    "nonce", "session", "key", "access", "saml", "samlrequest", "samlresponse", "assertion", "code_verifier",
    "googleaccessid",
})  # fmt: skip
"""What names a secret in a request and is an everyday word elsewhere, in lower case; all others are on the lists for
every name."""
_CREDENTIALS = PRESETS["credentials"].detectors
"""The detectors that look into values, whatever their names are."""

IsSecret = Callable[[str], bool]


def secret_names(more: Collection[str] = ()) -> IsSecret:
    """Return what says whether a header, a query parameter or a body's key of some name holds a secret.

    Parameters:
        more: names beside the usual ones, in any case.
    """
    own = _OF_REQUESTS | {name.lower() for name in more}

    @lru_cache(maxsize=512)
    def is_secret(name: str) -> bool:
        lowered = name.lower()
        return lowered in own or contains_a_secret(lowered) or names_a_secret(name)

    return is_secret


class Masking:
    """Masks what is secret in headers, queries and texts.

    Parameters:
        is_secret: says which names name a secret.
    """

    def __init__(self, is_secret: IsSecret) -> None:
        self.is_secret = is_secret
        self._finder = text_finder(_CREDENTIALS)

    def header(self, name: str, value: str) -> str:
        """Return the value of a header, masked if it is a secret or where it holds one."""
        return MASK if self.is_secret(name) else self.text(value)

    def query(self, text: str) -> str:
        """Return a query string, or a form (both are ``application/x-www-form-urlencoded``), with its secrets masked.

        The names are compared as the application reads them, that is decoded. A value without a name is masked if
        it is a secret by its looks only.
        """
        return "&".join(map(self._parameter, text.split("&")))

    def text(self, text: str) -> str:
        """Return a text with what looks like a credential masked."""
        if not self._finder.screen(text):
            return text
        end = 0
        kept: list[str] = []
        for found in self._finder.find(text):
            kept += [text[end : found.start], MASK]
            end = found.end
        return "".join((*kept, text[end:]))

    def _parameter(self, parameter: str) -> str:
        name, sign, value = parameter.partition("=")
        if not sign:
            return self.text(parameter)
        decoded = unquote_plus(value)
        hides = self._is_secret_parameter(unquote_plus(name)) or self.text(decoded) != decoded
        return f"{name}={MASK}" if hides else parameter

    def _is_secret_parameter(self, name: str) -> bool:
        # ``user[password]`` and ``auth.token`` name what their parts name.
        return self.is_secret(name) or any(map(self.is_secret, name.replace("]", "").replace("[", ".").split(".")))
