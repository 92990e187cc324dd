"""Which names are those of sensitive values: names are compared word by word, however they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple


def word_list(text: str) -> tuple[str, ...]:
    """Return the words of a text, which reads better than a list of so many quoted ones."""
    return tuple(text.split())


_ASCII_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_OTHER_WORD = re.compile(r"[^\W_]+")
_LONGEST = 512
"""Characters of a name that are looked at: longer than any key of an event."""
_MOST_WORDS = 6
"""Words that a name of a list may have; so many of a key are tried together."""
_LONG_ENOUGH = 8
"""A name of so many letters is also found inside a longer word, as in ``DBPASSWORD``."""
_SHORT_STEMS = frozenset({"passwd", "apikey", "secret", "sessid"})
"""Shorter ones that are. ``secretary`` and its like are no secrets."""
_LAST_STEM = "token"
"""One that is found at the end of a longer word, as in ``authtoken``: there is ``tokenizer`` too."""
_NO_STEM = re.compile(r"passwordless|secretar|secretion|secretive|nonsecret")

_INNOCENT_AFTER = frozenset(
    word_list(
        """
        policy policies count counts counter length len size limit limits quota budget type types kind ttl expiry
        expires expire expired expiration expiring enabled disabled required optional present missing exists set valid
        validity verified validated validation usage used uses status state strength rule rules rotation rotated changed
        created updated deleted revoked issued sent at age attempts attempt tries retries failures failed hint provider
        providers endpoint service scheme method mode format template bucket index field fields column columns version
        reset resets manager store backend url uri path file filename directory dir name names label error errors
        latency ms seconds duration rate per second supported allowed settings config configuration feature page screen
        form view prompt
        """
    )
)
"""After the name of a secret they say that the value is something about it: ``password_policy``, ``token_count``."""
_INNOCENT_BEFORE = frozenset(
    word_list(
        """
        has is are was needs need requires require max min maximum minimum num number no without total
        """
    )
)
"""As the first word they do so too: ``has_password``, ``max_token``."""
_COUNTED = frozenset(
    word_list(
        """
        prompt completion total input output max min cached reasoning num used remaining estimated generated new context
        audio text image thinking billed
        """
    )
)
"""Before ``tokens`` they say that these are those of a language model."""
_OWNERS = frozenset(
    word_list(
        """
        user users usr customer client patient employee member contact person people owner buyer seller guest applicant
        recipient sender subscriber beneficiary account holder profile my your his her their the old new current
        previous prev next last first primary secondary home work billing shipping mailing delivery postal legal card
        payment bank db database sql mysql postgres pg redis mongo mongodb smtp imap ftp sftp ssh ldap http https proxy
        admin root login service svc app mail remote source src dest dst destination peer origin web host server
        """
    )
)
"""Before a name that counts only as a whole, such as ``age`` or ``pass``, they do not change what it means."""


class NameRule(NamedTuple):
    """One name of a list."""

    name: str
    """As it stands in the list."""
    whole: bool
    """Whether it counts only as the whole of a key, but for an owner in front (``customer_age``)."""


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case: of snake, camel, kebab and dotted forms, and of any mixture."""
    name = name[:_LONGEST]
    if not name.isascii():
        # Full-width letters, accents and characters without a width are no disguise.
        name = "".join(
            character
            for character in unicodedata.normalize("NFKD", name)
            if unicodedata.category(character) not in ("Mn", "Cf")
        )
        if not name.isascii():
            return [word.casefold() for word in _OTHER_WORD.findall(name)]
    return [word.lower() for word in _ASCII_WORD.findall(name)]


def joined(name: str) -> str:
    """Return the words of a name as one: what two spellings of the same name have in common."""
    return "".join(words_of(name))


class SensitiveNames:
    """Decides about names.

    Parameters:
        anywhere: names that make every name sensitive in which their words stand together, unless what follows says
            that it is about something else: with ``password`` also ``user_password`` but not ``password_policy``.
        whole: names that are sensitive by themselves or with an owner in front.
        kept: names that are never sensitive.
    """

    def __init__(self, anywhere: Iterable[str], whole: Iterable[str] = (), kept: Iterable[str] = ()) -> None:
        self._rules: dict[str, NameRule] = {}
        for some, is_whole in ((anywhere, False), (whole, True)):
            for name in some:
                self._rules.setdefault(joined(name), NameRule(name, whole=is_whole))
        self._rules.pop("", None)
        self._kept = frozenset(joined(name) for name in kept)
        stems = [
            re.escape(form)
            for form, rule in self._rules.items()
            if not rule.whole and (len(form) >= _LONG_ENOUGH or form in _SHORT_STEMS)
        ]
        self._stem = re.compile("|".join(sorted(stems, key=len, reverse=True))) if stems else None

    def is_kept(self, name: str) -> bool:
        """Return whether *name* is on the list of those to keep."""
        return bool(self._kept) and joined(name) in self._kept

    @property
    def forms(self) -> frozenset[str]:
        """The listed names as one word each: a name is on no list that has none of them in it, joined likewise."""
        return frozenset(self._rules)

    def exactly(self, words: str) -> NameRule | None:
        """Return the rule whose name is just these words."""
        return self._rules.get(joined(words))

    def rule(self, name: str) -> NameRule | None:
        """Return what makes *name* sensitive, or None."""
        words = words_of(name)
        if self._kept and "".join(words) in self._kept:
            return None
        rules = self._rules
        for start in range(len(words)):
            form = ""
            for end in range(start, min(len(words), start + _MOST_WORDS)):
                form += words[end]
                found = rules.get(form)
                if found is None and form.endswith("s"):
                    found = rules.get(form[:-1]) or (rules.get(form[:-2]) if form.endswith("es") else None)
                if found is not None and _applies(found, words, start, end + 1, form):
                    return found
        return self._inside(words)

    def _inside(self, words: list[str]) -> NameRule | None:
        last = self._rules.get(_LAST_STEM)
        for position, word in enumerate(words):
            rule = last if word.removesuffix("s").endswith(_LAST_STEM) else None
            if self._stem is not None and not _NO_STEM.search(word) and (found := self._stem.search(word)) is not None:
                rule = self._rules[found[0]]
            if rule is not None and _applies(rule, words, position, position + 1, word):
                return rule
        return None


def _applies(rule: NameRule, words: list[str], start: int, end: int, form: str) -> bool:
    before, after = words[:start], words[end:]
    if rule.whole:
        return all(word in _OWNERS or word.isdigit() for word in before) and all(word.isdigit() for word in after)
    if after and after[0] in _INNOCENT_AFTER:
        return False
    if before and before[0] in _INNOCENT_BEFORE:
        return False
    return not (form == "tokens" and before and before[-1] in _COUNTED)


CREDENTIAL_NAMES = word_list(
    """
                password passwd pwd passphrase passcode secret api_secret client_secret shared_secret token access_token
                refresh_token auth_token bearer_token jwt api_key apikey api_token private_key secret_key signing_key
                encryption_key access_key authorization auth_header credential credentials session_id session_token
                session_key cookie session_cookie auth_cookie otp totp mfa_code verification_code recovery_code
    csrf xsrf sessid connect_sid bearer ssh_key basic_auth http_auth proxy_auth connection_string passwort kennwort
    contrasena
                """
)
WHOLE_CREDENTIAL_NAMES = word_list("pass pw pem sid auth www_authenticate x_auth")
CARD_NAMES = word_list(
    """
                card_number credit_card cc_number debit_card cvv cvc cvv2 cvc2 security_code card_security cardholder
                cardholder_name card_holder card_pin track_data track1 track2 card_expiry card_expiration
                """
)
WHOLE_CARD_NAMES = word_list("pan pin cid expiry expiry_date expiration expiration_date exp_date exp_month exp_year")


@cache
def secret_names() -> SensitiveNames:
    """Return what decides about names where nobody has configured anything."""
    return SensitiveNames((*CREDENTIAL_NAMES, *CARD_NAMES), (*WHOLE_CREDENTIAL_NAMES, *WHOLE_CARD_NAMES))
