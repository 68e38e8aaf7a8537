from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.llm.clauses import Clauses


def _cut(*pieces: str) -> tuple[list[str], str]:
    clauses = Clauses()
    found = [clause for piece in pieces for clause in clauses.feed(piece)]
    return found, clauses.end()


def test_the_first_clause_may_end_at_a_comma_and_later_ones_at_sentences() -> None:
    found, rest = _cut("Bəli, əlbəttə, sizi yaza bilərəm. Hansı günə, saat neçəyə? De")
    assert found == ["Bəli, əlbəttə,", "sizi yaza bilərəm.", "Hansı günə, saat neçəyə?"]
    assert rest == "De"


def test_a_very_short_beginning_waits_for_more() -> None:
    assert _cut("Hə, olar. ") == ([], "Hə, olar.")
    assert _cut("Hə, olar, gəlin. Sonra") == (["Hə, olar, gəlin."], "Sonra")


@pytest.mark.parametrize("text", ["Həkimimiz dr. Əliyevdir", "Saat 14. 30 deyil", "Nizami küç. 45 ünvanında"])
def test_abbreviations_and_numbers_do_not_end_a_clause(text: str) -> None:
    assert _cut(f"{text} ") == ([], text)


def test_a_line_break_ends_a_clause_and_empty_lines_are_none() -> None:
    assert _cut("Bəli\n\nVar\n") == (["Bəli", "Var"], "")


def test_text_without_an_end_is_cut_at_a_space() -> None:
    found, rest = _cut("söz " * 100)
    assert all(len(clause) <= 300 for clause in found)
    assert " ".join([*found, rest]).split() == ["söz"] * 100
    found, _ = _cut("a" * 700)
    assert [len(clause) for clause in found] == [300, 300]


_TEXTS = st.text(st.sampled_from("ab ə1.,?!…\n»"), max_size=700)


@given(_TEXTS, st.lists(st.integers(0, 700), max_size=20))
def test_cuts_do_not_depend_on_the_pieces(text: str, at: list[int]) -> None:
    edges = sorted({0, len(text), *(min(place, len(text)) for place in at)})
    pieces = [text[a:b] for a, b in pairwise(edges)]
    whole, streamed = _cut(text), _cut(*pieces)
    assert streamed == whole
    assert "".join([*whole[0], whole[1]]).split() or not text.strip()
    assert "".join("".join([*whole[0], whole[1]]).split()) == "".join(text.split())
