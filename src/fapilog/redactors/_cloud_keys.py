"""Keys and tokens of services that mark theirs with a prefix.

The prefixes are the ones that the services document for secret scanners; a prefix counts at the start of a word and
only with enough characters after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._accelerated import accelerator
from ._attempts import Attempts
from ._folding import folding_table

_LONGEST_TAIL = 4096
PREFIXES: Mapping[str, int] = {
    # AWS: identifiers of keys and principals, keys of Bedrock, of MWS
    "AKIA": 16, "ASIA": 16, "ABIA": 16, "ACCA": 16, "AROA": 16, "AIDA": 16, "AGPA": 16, "AIPA": 16, "ANPA": 16,
    "ANVA": 16, "A3T": 17, "ABSK": 100, "bedrock-api-key-": 20, "amzn.mws.": 32,
    # Google Cloud: API keys, OAuth tokens and secrets
    "AIza": 35, "ya29.": 20, "GOCSPX-": 24, "GOOG1E": 30, "GOOG": 20,
    # Microsoft: Azure DevOps, NuGet
    "oy2": 40,
    # GitHub, GitLab, Bitbucket, Atlassian
    "ghp_": 30, "gho_": 30, "ghu_": 30, "ghs_": 30, "ghr_": 30, "github_pat_": 22, "glpat-": 16, "gldt-": 16,
    "glrt-": 16, "glrtr-": 16, "glptt-": 16, "glcbt-": 16, "glft-": 16, "glsoat-": 16, "glimt-": 16, "glagent-": 16,
    "gloas-": 16, "glffct-": 16, "GR1348941": 16, "ATATT3": 40, "ATCTT3": 40, "ATBB": 24, "BBDC-": 30,
    # Slack, Discord bots' neighbours, Telegram has no prefix
    "xoxb-": 11, "xoxp-": 11, "xoxa-": 11, "xoxr-": 11, "xoxs-": 11, "xoxo-": 11, "xoxe-": 11, "xoxe.": 11,
    "xoxc-": 11, "xoxd-": 11, "xapp-": 11,
    # Payments: Stripe, Square, PayPal/Braintree, Razorpay, Flutterwave, Shopify, Adyen
    "sk_live_": 10, "sk_test_": 10, "rk_live_": 10, "rk_test_": 10, "sk_prod_": 10, "whsec_": 16, "sq0atp-": 16,
    "sq0csp-": 16, "EAAA": 56, "rzp_live_": 10,
    "rzp_test_": 10, "FLWSECK-": 12, "FLWSECK_TEST-": 12, "shpat_": 16, "shpca_": 16, "shppa_": 16, "shpss_": 16,
    "AQE": 80,
    # Package registries and build services
    "npm_": 30, "pypi-": 16, "rubygems_": 32, "dckr_pat_": 16, "dckr_oat_": 16, "cio": 32, "sbp_": 30, "clojars_": 40,
    "nfp_": 30, "vercel_": 20, "CCIPAT_": 16, "CCIPRJ_": 16, "bkua_": 30, "bkct_": 30, "tfp_": 30,
    "AKCp": 60, "cmVmdGtu": 50, "NRAK-": 20, "NRJS-": 16, "NRII-": 20, "NRRA-": 20,
    # Clouds and infrastructure
    "dop_v1_": 32, "doo_v1_": 32, "dor_v1_": 32, "hvs.": 20, "hvb.": 20, "hvr.": 20, "pul-": 32, "LTAI": 12,
    "AKID": 13, "tskey-": 16, "fo1_": 30, "fm1_": 30, "fm2_": 30, "EZAK": 30, "EZTK": 30, "dp.pt.": 30,
    "dp.st.": 20, "dp.ct.": 30, "HRKU-": 30, "rnd_": 24, "pscale_tkn_": 24, "pscale_pw_": 24, "pscale_oauth_": 24,
    "AGE-SECRET-KEY-1": 40, "ops_eyJ": 40, "v1.0-": 40, "cfut_": 30, "scw": 40,
    # Observation: Grafana, Sentry, Datadog has none, PostHog, Sumo has none, Dynatrace
    "glc_": 20, "glsa_": 20, "sntrys_": 30, "sntryu_": 30, "sntrya_": 30, "phx_": 30, "phs_": 30, "dt0c01.": 40,
    "dt0s16.": 40, "lin_api_": 30, "lin_oauth_": 30, "pat-na1-": 30, "pat-eu1-": 30,
    # Language models and data
    "sk-": 20, "sk-ant-": 20, "sk-proj-": 20, "gsk_": 30, "hf_": 30, "api_org_": 30, "r8_": 30, "pplx-": 30,
    "xai-": 40, "nvapi-": 40, "AIzaSy": 33, "pcsk_": 30, "dapi": 32, "tvly-": 20, "fw_": 20, "csk-": 30, "lsv2_": 30,
    "jina_": 30, "esecret_": 16, "voyage-": 40,
    # Mail and messages
    "SG.": 40, "key-": 32, "xkeysib-": 40, "xsmtpsib-": 40, "re_": 24, "PMAK-": 40, "ATTA": 60, "SK": 32, "AC": 32,
    "mlsn.": 40, "EAACEdEose0cBA": 10, "whpk_": 20, "pk.eyJ": 40, "sk.eyJ": 40, "figd_": 30, "secret_": 40, "ntn_": 30,
    "dsk_": 30, "ops_": 60, "p8e-": 32, "LTAI5t": 12, "sl.": 60, "IGQV": 60, "patn": 60,
}  # fmt: skip
"""How many characters follow a prefix, at least."""

_HEXADECIMAL_TAIL = frozenset({"SK", "AC", "dapi", "key-", "amzn.mws.", "PMAK-", "rubygems_"})
"""What follows these is hexadecimal digits: in letters of both cases they would be the start of any word."""
_UPPER_TAIL = frozenset(
    {"AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ANVA", "A3T", "GOOG", "GOOG1E"}
)
_LOWERS_ARE_WORDS = frozenset({"sk-", "pk-", "key-", "secret_", "re_", "fw_", "voyage-", "vercel_", "rnd_", "pul-"})
"""What follows these is taken for words unless it has a digit."""


def _by_first_letter(prefixes: Iterable[str]) -> str:
    """Return an expression for any of *prefixes*, the longest of those that fit, at the start of a word."""
    rests: dict[str, list[str]] = {}
    for prefix in sorted(prefixes, key=len, reverse=True):
        rests.setdefault(prefix[0], []).append(re.escape(prefix[1:]))
    # Each begins with a plain letter: what begins so can be looked for without trying each character.
    return "|".join(f"{first}(?<![A-Za-z0-9]{first})(?:{'|'.join(rest)})" for first, rest in rests.items())


_WORD = re.compile(rf"({_by_first_letter(PREFIXES)})([\w.\-/+=$]{{10,}}+)", re.ASCII)
_HEXADECIMAL = re.compile(r"[0-9a-f\-]{32,}+(?![A-Za-z0-9])")
_UPPER = re.compile(r"[A-Z0-9]{16,}+(?![a-z])")
_DIGIT = re.compile(r"[0-9]")
_SCREEN: Any = None if accelerator is None else accelerator.TextScreen((), (), (), tuple(PREFIXES), 0, folding_table())

MARKS = ("hooks.slack.com/", "webhook", ":aa", "q~", "==", "1//0", "access_token$")
"""What the keys without a prefix have, in lower case."""

_BRAINTREE = re.compile(r"access_token\$(?:production|sandbox)\$[0-9a-z$]{16,}+")
_GOOGLE_REFRESH = re.compile(r"1//0(?<![\w/]1//0)[\w\-]{30,}+", re.ASCII)
_SLACK_HOOK = re.compile(r"hooks\.slack\.com/([a-z]{1,16}/[\w/]{10,}+)")
_TEAMS_HOOK = re.compile(r"webhookb2/(?<=\.webhook\.office\.com/webhookb2/)[\w@\-/]{10,}+")
_DISCORD_HOOK = re.compile(r"/api/webhooks/([0-9]{10,20}/[\w\-]{20,}+)")
_TELEGRAM = re.compile(r"(?<![0-9])[0-9]{8,10}:AA[\w\-]{32,34}(?![\w\-])")
_AZURE_SECRET = re.compile(
    r"Q~(?<=(?<![A-Za-z0-9_~.])[A-Za-z0-9_~.]{3}[0-9]Q~)[A-Za-z0-9_~.\-]{31,34}(?![A-Za-z0-9_~\-])"
)
_AZURE_STORAGE = re.compile(r"==(?<=(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==)(?!=)")


def _words(text: str) -> Iterator[re.Match[str]]:
    """Yield each word that begins with a prefix."""
    if _SCREEN is None:
        yield from _WORD.finditer(text)
        return
    end = 0
    for start in _SCREEN.starts(text):
        if start >= end and (found := _WORD.match(text, start)) is not None:
            end = found.end()
            yield found


def find_cloud_keys(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a key or token of a known service."""
    for found in attempts.on(_words(text)):
        prefix, tail = found.groups()
        end = found.end()
        while text[end - 1] in ".=/+-$" and text[end - 1] != "=":
            end -= 1
        if end - found.start(2) >= PREFIXES[prefix] and _fits(prefix, tail):
            yield found.start(), end
    if "1//0" in text:
        yield from (found.span() for found in attempts.on(_GOOGLE_REFRESH.finditer(text)))
    if "access_token$" in text:
        yield from (found.span() for found in attempts.on(_BRAINTREE.finditer(text)))
    if "hooks.slack.com/" in text:
        yield from (found.span(1) for found in attempts.on(_SLACK_HOOK.finditer(text)))
    if "webhook" in text:
        yield from (found.span() for found in attempts.on(_TEAMS_HOOK.finditer(text)))
        yield from (found.span(1) for found in attempts.on(_DISCORD_HOOK.finditer(text)))
    if ":AA" in text:
        yield from (found.span() for found in attempts.on(_TELEGRAM.finditer(text)))
    if "Q~" in text:
        yield from _from_before(_AZURE_SECRET, 4, text, attempts)
    if "==" in text:
        yield from _from_before(_AZURE_STORAGE, 86, text, attempts)


def _from_before(pattern: re.Pattern[str], before: int, text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield what *pattern* matches and the *before* characters that it has seen to stand before it."""
    for found in pattern.finditer(text):
        if not attempts.at(found.start() - before):
            return
        yield found.start() - before, found.end()


def _fits(prefix: str, tail: str) -> bool:
    if prefix in _HEXADECIMAL_TAIL:
        return _HEXADECIMAL.match(tail) is not None
    if prefix in _UPPER_TAIL:
        return _UPPER.match(tail) is not None
    return _DIGIT.search(tail) is not None if prefix in _LOWERS_ARE_WORDS else True
