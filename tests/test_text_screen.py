"""A screen says of each text the same in C as in Python, and no more than it has to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fapilog._accelerated import accelerator
from fapilog.redactors._detectors import DETECTORS, NAMES, text_finder
from fapilog.redactors._folding import folding_table
from fapilog.redactors._signs import Shape, Signs, screen_in_python, screens
from sensitive_corpus import CONTEXTS, INNOCENT, NAMED, VALUES

needs_accelerator = pytest.mark.skipif(accelerator is None, reason="the package was built without a C compiler")


def _all_signs() -> Signs:
    signs = Signs()
    for detector in DETECTORS.values():
        signs |= detector.signs
    return signs


SIGNS = [
    _all_signs(), *(detector.signs for detector in DETECTORS.values()), *(Signs(shapes=shape) for shape in Shape),
    Signs(words=frozenset({"@", "ab", "a"})), Signs(numbered=frozenset({"tel", "1a"})), Signs(),
    Signs(names=frozenset({"key", "token"})), Signs(prefixes=frozenset({"SG.", "sk-", "ghp_"})),
]  # fmt: skip
PAIRS: list[tuple[Callable[[str], bool], Callable[[str], bool]]] = list(
    zip(screens(SIGNS), map(screen_in_python, SIGNS), strict=True)
)

_PIECES = st.sampled_from(
    [
        *"0123456789",
        *" -./_+()%,:=>\"'`@#?&\\\n\x00\x7f",
        "20",
        "%20",
        "+(",
        "::",
        "--",
        "a",
        "Z",
        "é",
        "ß",
        "\ud800",
        "\u200b",
        "\u00ad",
        "\uff11",
        "\u0664",
        "\uff20",
        "\u212a",
        "\u017f",
        "\u0130",
        "\U0001d7ce",
        "\U0001d400",
        "\U0001f600",
        "\U000e0001",
        "12345",
        "1.1.1",
        "AB",
        "ab12",
        "tel",
        "TEL",
        "key",
        "toKen",
        "to\u212aen",
        "eyJ",
        "SG.",
        "ghp_",
        "sk-",
        "aaaaaaaaaaaa",
        "AAAAAAAA_",
        "+/=",
        "bearer",
        "BASIC",
        "-begin ",
        "q~",
        ":AA",
        "==",
        "nhs",
        "\u0131p",
        "pa\u017fs",
    ]
)
TEXTS = st.one_of(st.lists(_PIECES, max_size=14).map("".join), st.text(), st.text("0123456789 -.+(:a"))


@needs_accelerator
@given(TEXTS)
@example("1+++++2345678")
@example("1++++(2345678")
@example("1.1111.2.3.4")
@example("ab%2012 1234")
@example("a" * 511 + "\uff11")
@example("\u200b" * 600 + "@")
@example("12345678" + "\u200b" * 5 + " 1")
@example("toKen=")
def test_the_screen_in_c_says_the_same(text: str) -> None:
    for in_c, in_python in PAIRS:
        assert in_c(text) is in_python(text)


@needs_accelerator
def test_the_screens_say_the_same_of_the_corpora() -> None:
    for value in [*(value for _, value in VALUES), *(named for named, _ in NAMED), *INNOCENT]:
        for context in CONTEXTS:
            text = context.format(value)
            assert len({screen(text) for screen in PAIRS[0]}) == 1, text


@pytest.mark.parametrize("index", [0, 1], ids=["c", "python"])
@pytest.mark.parametrize(
    ("text", "may_hold"),
    [
        ("request done", False), ("GET", False), ("/items/42", False), ("GET /items/42 200 1.25ms", False),
        ("2026-11-28T15:37:31.123456Z", False), ("1732808251", False), ("1732808251123456789", False),
        ("3d06882", False), ("v1.2.3", False), ("worker: started", False), ("primary monkey", False),
        ("4111111111111111", True), ("4111 1111 1111 1111", True), ("a@b.co", True), ("password=x", True),
        ("10.1.2.3", True), ("::1", True), ("Bearer x", True), ("AKIAIOSFODNN7EXAMPLE", True), ("\uff20", True),
    ],
)  # fmt: skip
def test_plain_texts_have_no_signs(index: int, text: str, may_hold: bool) -> None:
    assert PAIRS[0][index](text) is may_hold


@needs_accelerator
def test_a_screen_takes_one_text() -> None:
    (screen,) = screens([Signs()])
    for wrong in ((), ("a", "b"), (b"a",), (None,)):
        with pytest.raises(TypeError, match="one text"):
            screen(*wrong)


@needs_accelerator
def test_a_screen_refuses_signs_that_it_cannot_look_for() -> None:
    assert accelerator is not None
    table = folding_table()
    for words, names, table_given in ((("é",), (), table), (("",), (), table), ((), ("a",), table), ((), (), b"")):
        with pytest.raises(ValueError, match=r"a sign is|one character|look-alikes"):
            accelerator.TextScreen(words, names, (), (), 0, table_given)


def test_without_the_accelerator_a_finder_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = text_finder(NAMES)
    monkeypatch.setattr("fapilog.redactors._signs.accelerator", None)
    without = text_finder(NAMES)
    for text in [*(value for _, value in VALUES), *(named for named, _ in NAMED), *INNOCENT]:
        assert without.find(text) == with_it.find(text)
