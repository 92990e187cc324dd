"""The mutations still fit the source: what they take out is there, once, and what is left of it can be compiled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mutations.mutation import Mutation
from mutations.mutations import KINDS, MUTATIONS
from mutations.page import NOTHING, Page

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what)
def test_what_a_mutation_takes_out_is_in_its_file_once(mutation: Mutation) -> None:
    source = (ROOT / "src" / "fapilog" / mutation.file).read_text()
    changed = mutation.apply(source)
    assert changed != source
    compile(changed, mutation.file, "exec")
    assert mutation.tests
    for test in mutation.tests:
        assert (ROOT / test.partition("::")[0]).is_file()


def test_each_has_a_description_of_its_own() -> None:
    assert {what: number for what, number in Counter(one.what for one in MUTATIONS).items() if number > 1} == {}
    assert [one.what for one in MUTATIONS if "|" in one.what] == [], "they are the rows of a table"


def test_a_mutation_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="2 times"):
        Mutation("something", "file.py", "x", "y", ()).apply("x x")
    with pytest.raises(ValueError, match="0 times"):
        Mutation("something", "file.py", "x", "y", ()).apply("z")


def test_the_page_remembers_what_was_written_on_it(tmp_path: Path) -> None:
    first, second, third = MUTATIONS[:3]
    kinds = {"Some": (first, second._replace(excuse="it is so"), third)}
    page = Page(tmp_path / "page.md")
    page.known = {first.what: "test_file: test_it (hangs)", second.what: NOTHING}
    page.write(kinds)
    text = (tmp_path / "page.md").read_text()
    assert f"| {second.what} | `{second.file}` | **nothing**: it is so |" in text
    assert f"| {third.what} | `{third.file}` | **not tried** |" in text
    assert Page(tmp_path / "page.md").known == page.known
    page = Page(tmp_path / "page.md")
    page.write(kinds)
    assert (tmp_path / "page.md").read_text() == text


def test_the_page_of_the_documentation_knows_no_mutation_that_there_is_not() -> None:
    assert set(KINDS) <= {line[3:] for line in (ROOT / "docs" / "mutations.md").read_text().splitlines()}
