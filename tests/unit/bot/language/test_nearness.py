from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.language.nearness import prefix_distance

_WORDS = st.text(alphabet="abcd", max_size=8)


def _distance(first: str, second: str) -> int:
    """Count the edits (Levenshtein), slowly."""
    if not first or not second:
        return len(first) + len(second)
    if first[0] == second[0]:
        return _distance(first[1:], second[1:])
    return 1 + min(_distance(first[1:], second), _distance(first, second[1:]), _distance(first[1:], second[1:]))


@given(
    st.text(alphabet="abc", max_size=5), st.text(alphabet="abc", max_size=6), st.integers(min_value=0, max_value=3)
)
def test_what_follows_a_prefix_costs_nothing_and_a_limit_caps_the_distance(
    prefix: str, word: str, limit: int
) -> None:
    nearest = min(_distance(prefix, word[:end]) for end in range(len(word) + 1))
    assert prefix_distance(prefix, word, limit=limit) == min(nearest, limit + 1)


@given(_WORDS, _WORDS)
def test_a_word_begins_with_its_own_beginning(first: str, second: str) -> None:
    assert prefix_distance(first, first + second, limit=3) == 0


def test_a_misspelt_month_is_one_edit_away() -> None:
    assert prefix_distance("noyabr", "noyabirin", limit=2) == 1
