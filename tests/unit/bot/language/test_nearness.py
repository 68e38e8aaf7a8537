from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.language.nearness import distance, prefix_distance

_WORDS = st.text(alphabet="abcd", max_size=8)


@given(_WORDS, _WORDS)
def test_distance_is_symmetric_and_zero_only_for_equals(first: str, second: str) -> None:
    assert distance(first, second, limit=9) == distance(second, first, limit=9)
    assert (distance(first, second, limit=9) == 0) == (first == second)


@given(_WORDS, _WORDS, st.integers(min_value=0, max_value=3))
def test_a_limit_only_caps_the_distance(first: str, second: str, limit: int) -> None:
    assert distance(first, second, limit=limit) == min(distance(first, second, limit=9), limit + 1)


@given(_WORDS, _WORDS, st.integers(min_value=0, max_value=3))
def test_what_follows_a_prefix_costs_nothing(first: str, second: str, limit: int) -> None:
    nearest = min(distance(first, second[:end], limit=9) for end in range(len(second) + 1))
    assert prefix_distance(first, second, limit=limit) == min(nearest, limit + 1)


def test_a_misspelt_word_is_one_edit_away() -> None:
    assert distance("yazlmaq", "yazılmaq", limit=2) == 1
