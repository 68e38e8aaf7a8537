from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language.inverse.phone import parse_phone, phone_from_digits
from bot.language.numbers import digit_by_digit
from bot.language.speakable import speakable

_SUBSCRIBERS = st.text(alphabet="0123456789", min_size=7, max_size=7)
_OPERATORS = st.sampled_from(["10", "12", "50", "51", "55", "60", "70", "77", "99"])


@given(_OPERATORS, _SUBSCRIBERS)
def test_a_number_read_out_by_the_bot_is_understood_by_it(operator: str, subscriber: str) -> None:
    said = speakable(f"0{operator} {subscriber[:3]} {subscriber[3:5]} {subscriber[5:]}")
    assert parse_phone(said) == f"+994{operator}{subscriber}"


@given(_OPERATORS, _SUBSCRIBERS)
def test_a_number_said_digit_by_digit_is_understood(operator: str, subscriber: str) -> None:
    assert parse_phone(digit_by_digit(f"0{operator}{subscriber}")) == f"+994{operator}{subscriber}"


@pytest.mark.parametrize(
    "said",
    [
        "sıfır əlli bir iki üç dörd beş altı yeddi",
        "əlli, yüz iyirmi üç, qırx beş, altmış yeddi",
        "əlli yüz iyirmi üç qırx beş altmış yeddi",
        "Sıfır əlli, yüz iyirmi üç, qırx beş, altmış yeddi.",
        "sifir elli yüz iyirmi uc qirx bes altmish yedi",
        "nömrəm 050 123 45 67",
        "0501234567",
        "050-123-45-67",
        "+994 50 123-45-67",
        "994501234567",
        "00994501234567",
        "üstəgəl doqquz yüz doxsan dörd əlli yüz iyirmi üç qırx beş altmış yeddi",
        "050 yüz iyirmi üç 45 67",
        "0 50, 123 45 67.",
    ],
)
def test_one_number_said_in_many_ways(said: str) -> None:
    assert parse_phone(said) == "+994501234567"


def test_repeated_digits_are_counted() -> None:
    assert parse_phone("sıfır yetmiş yeddi üç dənə beş iki dənə sıfır on iki") == "+994775550012"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "salam",
        "əlli",
        "123 45 67",
        "050 123 45",
        "050 123 45 67 89",
        "sıfır on üç yüz",
        "iki dənə əlli",
        "beş dənə",
    ],
)
def test_what_is_no_number_of_the_country_is_none(said: str) -> None:
    assert parse_phone(said) is None


def test_pressed_digits_are_checked_by_the_same_plan() -> None:
    assert phone_from_digits("0501234567") == phone_from_digits("501234567") == "+994501234567"
    assert phone_from_digits("0111234567") is None


def test_a_very_long_speech_costs_no_more_than_its_readings() -> None:
    assert parse_phone("iyirmi beş " * 300) is None
