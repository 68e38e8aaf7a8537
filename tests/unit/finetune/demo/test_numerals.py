from __future__ import annotations

import pytest

from finetune.demo.numerals import say_number


@pytest.mark.parametrize(
    ("number", "turkish", "english"),
    [
        (0, "sıfır", "zero"),
        (14, "on dört", "fourteen"),
        (90, "doksan", "ninety"),
        (100, "yüz", "one hundred"),
        (342, "üç yüz kırk iki", "three hundred forty two"),
        (1_000, "bin", "one thousand"),
        (21_005, "yirmi bir bin beş", "twenty one thousand five"),
        (999_999, "dokuz yüz doksan dokuz bin dokuz yüz doksan dokuz",
         "nine hundred ninety nine thousand nine hundred ninety nine"),
    ],
)  # fmt: skip
def test_numbers_are_said_in_turkish_and_english(number: int, turkish: str, english: str) -> None:
    assert say_number(number, "tr") == turkish
    assert say_number(number, "en") == english


def test_azerbaijani_numbers_are_the_bots() -> None:
    assert say_number(1_250, "az") == "min iki yüz əlli"
