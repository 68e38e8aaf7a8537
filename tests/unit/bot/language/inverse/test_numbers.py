from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language.inverse.numbers import find_numbers, parse_number
from bot.language.inverse.tokens import tokens
from bot.language.numbers import cardinal, decimal, ordinal


@given(st.integers(min_value=0, max_value=10**12))
def test_number_to_words_to_number_is_the_identity(number: int) -> None:
    assert parse_number(cardinal(number)) == number


@given(st.integers(min_value=1, max_value=10**6))
def test_ordinals_are_their_number(number: int) -> None:
    assert parse_number(ordinal(number)) == number


@given(st.decimals(min_value=0, max_value=10**6, places=3))
def test_decimal_to_words_to_decimal_is_the_identity(number: Decimal) -> None:
    assert parse_number(decimal(number)) == number


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("iyirmi beş", "25"),
        ("mənfi beş", "-5"),
        ("minus beş", "-5"),
        ("-5", "-5"),
        ("− 5", "5"),
        ("üç, yox, mənfi beş", "-5"),
        ("1 500", "1500"),
        ("1 234 567,5", "1234567.5"),
        ("12,0 vergül beş", "12.5"),
        ("Yirmi bes.", "25"),
        ("İYİRMİ BEŞ", "25"),
        ("25", "25"),
        ("25-ə", "25"),
        ("25 manatdır", "25"),
        ("altı", "6"),
        ("altıda", "6"),
        ("altıncı", "6"),
        ("beşinci mərtəbə", "5"),
        ("iyirmi ikisinə", "22"),
        ("on birinə", "11"),
        ("on birə", "11"),
        ("bir yüz iyirmi", "120"),
        ("dokkuz yüz doksan", "990"),
        ("min beş yüz", "1500"),
        ("2 min 500", "2500"),
        ("5 yüz", "500"),
        ("iki milyon", "2000000"),
        ("milyon", "1000000"),
        ("on iki tam onda beş", "12.5"),
        ("sıfır tam on mində yeddi", "0.0007"),
        ("on iki vergül beş", "12.5"),
        ("on iki vergül sıfır beş", "12.05"),
        ("üç nöqtə iyirmi beş", "3.25"),
        ("iki yarım", "2.5"),
        ("yarım", "0.5"),
        ("12,5", "12.5"),
        ("1.250", "1250"),
        ("beş, yox, altı", "6"),
        ("beş, bağışlayın, altı", "6"),
        ("beş, altı, xeyr, yeddi", "7"),
        ("yox, beş", "5"),
        ("beş, yox", "5"),
        ("sıfır", "0"),
    ],
)
def test_numbers_are_understood_as_said_or_written(said: str, number: str) -> None:
    assert parse_number(said) == Decimal(number)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "salam",
        "sizin üçün",
        "onun kitabı",
        "birdən oldu",
        "altında",
        "beş, altı",
        "onda gəlin",
        "əllə yazın",
        "manat",
        "1:2",
        "200-300",
        "14:35",
        "beş, yox, altı, yeddi",
    ],
)
def test_no_number_or_two_numbers_is_none(said: str) -> None:
    assert parse_number(said) is None


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("iyirmi, beş", [20, 5]),
        ("əlli yüz iyirmi üç", [50, 123]),
        ("iki üç", [2, 3]),
        ("on on beş", [10, 15]),
        ("sıfır beş", [0, 5]),
        ("beş sıfır", [5, 0]),
        ("min min", [1000, 1000]),
        ("iki min milyon", [2000, 1000000]),
        ("iyirmi yüz", [20, 100]),
        ("50 123", [50, 123]),
        ("min 1500", [1000, 1500]),
        ("bir milyon milyard", [1000000, 1000000000]),
        ("on iki tam salam", [12]),
        ("on iki tam on iki", [12, 12]),
        ("on iki tam onda", [12]),
        ("yüz, on", [100, 10]),
        ("salam iki sıfır milyon", [2, 0, 1000000]),
        ("on iki tam onda on iki", [12, 12]),
        ("12,5 vergül beş", [Decimal("12.5"), 5]),
        ("beş tam", [5]),
        ("beş vergül", [5]),
        ("beş tam mində", [5, 1000]),
        ("beş tam min mində üç", [5, 1000, 1003]),
        ("beş tam sıfırda üç", [5, 0, 3]),
        ("bir milyard milyon", [10**9, 10**6]),
    ],
)
def test_words_that_make_no_one_number_are_several(said: str, numbers: list[Decimal]) -> None:
    assert [found.value for found in find_numbers(tokens(said))] == numbers


def test_declined_ten_is_a_number_only_where_one_is_expected() -> None:
    assert find_numbers(tokens("onda görüşərik")) == []
    assert [found.value for found in find_numbers(tokens("onda görüşərik"), loose=True)] == [10]
