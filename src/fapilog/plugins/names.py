"""Names that look alike: what a plugin's name is compared by, so that none passes for another."""

from __future__ import annotations

_LIKE = str.maketrans(
    {
        "0": "o",
        "1": "l",
        "i": "l",
        "|": "l",
        "!": "l",
        "5": "s",
        "$": "s",
        # Cyrillic and Greek letters that Unicode's confusables.txt (Technical Standard 39) maps to one Latin letter.
        **dict(zip("авсԁеһіјкӏмноԛрѕтухѵԝ", "abcdehljklmhoqpstyxvw", strict=True)),
        **dict(zip("αγεικνορτυχϲϳ", "ayelkvoptuxcj", strict=True)),
        **dict(zip("ıɩɡɑ", "llga", strict=True)),
    }
)
_SEQUENCES = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def skeleton(name: str) -> str:
    """Return what *name* has in common with every name that looks like it.

    Case, separators, accents and invisible characters do not count, nor does which of several letters that look
    alike is used: ``stdout``, ``Std-Out``, ``std0ut`` and ``stdоut`` with a Cyrillic letter have the same skeleton.
    """
    if not name.isascii():
        from unicodedata import normalize

        name = normalize("NFKD", name)  # takes accents off their letters, and styles off theirs
    name = "".join(character for character in name.casefold().translate(_LIKE) if character.isalnum())
    for sequence, letter in _SEQUENCES:
        name = name.replace(sequence, letter)
    return name


__all__ = ("skeleton",)
