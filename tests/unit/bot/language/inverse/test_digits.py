from __future__ import annotations

import pytest

from bot.language.inverse.digits import parse_digits, readings
from bot.language.inverse.tokens import tokens


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("bir iki üç", "123"),
        ("on iki otuz dörd", "1234"),
        ("sıfır sıfır yeddi", "007"),
        ("12 34-56", "123456"),
        ("üç dənə sıfır bir", "0001"),
        ("iki ədəd beş", "55"),
        ("altı dənə beş", "65"),
        ("salam", ""),
    ],
)
def test_digits_are_joined_in_their_order(said: str, digits: str) -> None:
    assert parse_digits(said) == digits


def test_all_readings_of_ambiguous_groups_are_given_longest_first() -> None:
    assert list(readings(tokens("əlli bir iki"))) == ["512", "5012"]


def test_a_number_with_written_digits_is_read_in_one_way() -> None:
    assert list(readings(tokens("beş 5"))) == ["55"]
    assert list(readings(tokens("iki min 26"))) == ["2000" + "26", "2" + "1000" + "26"]


def test_readings_are_bounded() -> None:
    assert len(list(readings(tokens("iyirmi beş " * 12)))) == 256
