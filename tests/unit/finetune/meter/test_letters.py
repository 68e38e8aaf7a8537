from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune.meter.letters import ALPHABET, decode, encode, error_rate, spelt


def test_a_text_is_spelt_in_small_letters_of_its_language() -> None:
    assert spelt("İsmayıl, ISSIQ çayı içdi!") == "ismayıl ıssıq çayı içdi"
    assert spelt("Is it OK?", english=True) == "is it ok"
    assert spelt("rüzgâr") == "rüzgar"


@given(st.text(ALPHABET, max_size=20).map(str.strip))
def test_what_is_encoded_with_blanks_between_is_decoded(text: str) -> None:
    steps = [step for letter in encode(text) for step in (0, letter, letter)]
    assert decode(steps) == text


def test_a_class_that_lasts_is_one_letter_and_a_blank_parts_two() -> None:
    (a,) = encode("a")
    assert decode([a, a, a]) == "a"
    assert decode([a, 0, a]) == "aa"


def test_the_error_rate_is_of_all_letters_together() -> None:
    assert error_rate(["salam", ""], ["salam", "bəli"]) == 4 / 9
    assert error_rate([], []) == 0.0
