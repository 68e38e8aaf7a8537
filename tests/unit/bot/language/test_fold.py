from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language.fold import fold, plain, words


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("İSTANBUL", "istanbul"),
        ("QIZIL", "qızıl"),
        ("I\u0307yun", "iyun"),
        ("Ə Ğ Ö Ü Ş Ç", "ə ğ ö ü ş ç"),
        ("u\u0308", "ü"),
    ],
)
def test_case_folds_as_azerbaijani_does(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text(max_size=30))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_plain_drops_the_marks_that_recognisers_drop() -> None:
    assert (
        plain("Qəbula yazılmaq İSTƏYİRƏM, üç gün, ağ, çay, şənbə")
        == "qebula yazilmaq isteyirem, uc gun, ag, cay, senbe"
    )


def test_words_are_parted_by_punctuation_and_not_by_apostrophes() -> None:
    assert words("Bakı'dan, İSMAYILLI-ya: 2 bilet!") == ("bakıdan", "ismayıllı", "ya", "2", "bilet")
