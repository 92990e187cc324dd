"""Where in a text names begin that may be those of secrets: few of all that stand before an ``=`` or a colon.

A name may be one of those looked for if its letters and digits, in lower case and whatever stands between them, have
one of the forms in them. This only spares the work on the other names: whoever asks looks at what is found again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .._accelerated import accelerator
from ._unquoting import unquoted

_LONGEST_FORM = 64
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 64
_WORDS_BEFORE = re.compile(r"(?:[A-Za-z]{1,24} ){1,2}\Z")
_MOST_BEFORE = 50
_ESCAPED = re.compile(r"\\{1,2}u([0-9A-Fa-f]{4})")
_NOT_JOINED = str.maketrans("", "", "".join(chr(code) for code in range(128) if not chr(code).isalnum()))

_FORM = re.compile("[a-z0-9]{2,}")

NameRuns = Callable[[str], list[int]]
"""Returns where the names begin in a text."""


def name_runs(forms: Iterable[str], characters: str, *, at_end: bool, pairs: bool = False) -> NameRuns:
    """Return what finds the names in a text that may have one of *forms* in them.

    Args:
        forms: small letters and digits, two or more. Of a longer one than 64, the last 64 count.
        characters: what stands in a name, beside letters, digits and ``_``.
        at_end: whether a form has to be the end of the name. The words before it, at most two, may be the beginning of
            a form that ends in the name.
        pairs: whether the names may be URL-quoted or escaped as in JSON, and stand before what separates a name from a
            value. Names that are not in ASCII are found then, too.
    """
    those = tuple({form[-_LONGEST_FORM:] for form in forms})
    if accelerator is None:
        return name_runs_in_python(those, characters, at_end=at_end, pairs=pairs)
    runs: NameRuns = accelerator.NameRuns(those, characters, at_end, pairs)
    return runs


def plain_forms(forms: Iterable[str]) -> tuple[str, ...]:
    """Return those of *forms* that can be looked for: a name with another in it is always found, not being ASCII."""
    return tuple(form for form in forms if _FORM.fullmatch(form))


def name_runs_in_python(forms: tuple[str, ...], characters: str, *, at_end: bool, pairs: bool = False) -> NameRuns:
    """Return what the accelerator's form of it does, in Python."""
    if not forms and not pairs:
        return lambda text: []
    within = rf"\w{re.escape(characters)}"
    follows = r"(?=[\\\"'` \t]{0,16}(?:[=:(]|->))" if pairs else ""
    escapes = r"|\\{1,2}u[0-9A-Fa-f]{4}" if pairs else ""
    runs = re.compile(rf"(?<![{within}])(?:[{within}]{escapes})++{follows}")
    # The longest first: then what is found ends as late as anything that begins there.
    any_form = "|".join(map(re.escape, sorted(forms, key=len, reverse=True))) or "(?!)"
    has_form = re.compile(f"(?:{any_form})" + (r"\Z" if at_end else "")).search
    anywhere = re.compile(any_form).search
    known: dict[str, bool] = {}

    def may_be(name: str, words_before: str = "") -> bool:
        if pairs:
            name = _ESCAPED.sub(lambda escaped: chr(int(escaped[1], 16)), unquoted(name))
        if not at_end and not name.isascii():
            return True
        before = _joined(words_before)
        joined = before + _joined(name)
        form = has_form(joined)
        while form is not None and not at_end and form.end() <= len(before):  # it is of the words alone
            form = has_form(joined, form.start() + 1)
        return form is not None

    def find(text: str) -> list[int]:
        starts: list[int] = []
        if text.isascii() and "%" not in text and "\\" not in text and not anywhere(_joined(text)):
            return starts
        for run in runs.finditer(text):
            name, start = run[0], run.start()
            verdict = known.get(name)
            if verdict is None:
                verdict = may_be(name)
                if len(name) <= _LONGEST_KNOWN:
                    if len(known) >= _MOST_KNOWN:
                        known.clear()
                    known[name] = verdict
            if not verdict and start > 1 and text[start - 1] == " ":
                before = _WORDS_BEFORE.search(text, max(start - _MOST_BEFORE, 0), start)
                verdict = before is not None and may_be(name, before[0])
            if verdict:
                starts.append(start)
        return starts

    return find


def _joined(text: str) -> str:
    """Return the letters and digits of a text in lower case."""
    if not text.isascii():
        text = text.encode("ascii", "ignore").decode()
    return text.translate(_NOT_JOINED).lower()
