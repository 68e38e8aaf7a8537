from __future__ import annotations

from decimal import Decimal

import pytest

from bot.language.numbers import cardinal, decimal, digit_by_digit, digit_group, ordinal, written_number


@pytest.mark.parametrize(
    ("value", "spoken"),
    [
        ("12.5", "on iki tam onda beş"),
        ("-0.05", "mənfi sıfır tam yüzdə beş"),
        ("-0", "sıfır"),
        ("1E+3", "min"),
        ("3.000001", "üç tam milyonda bir"),
        ("2.00", "iki"),
    ],
)
def test_decimals_are_fractions_of_ten_and_its_powers(value: str, spoken: str) -> None:
    assert decimal(Decimal(value)) == spoken


def test_infinity_is_refused() -> None:
    with pytest.raises(TypeError, match="finite"):
        decimal(Decimal("Infinity"))


def test_numbers_beyond_the_scale_words_are_read_by_digit() -> None:
    assert cardinal(10**36).split() == ["bir", *["sıfır"] * 36]
    assert cardinal(-(10**36)).startswith("mənfi bir sıfır")
    assert cardinal(-5) == "mənfi beş"


def test_no_number_is_too_long_for_words() -> None:
    """Python itself turns no more than 4,300 digits into an integer or back."""
    assert cardinal(10**5000).count("sıfır") == 5000
    assert decimal(Decimal("9" * 5000)).count("doqquz") == 5000
    assert decimal(Decimal("0." + "9" * 5000)).count("doqquz") == 5000


def test_ordinals_and_digit_groups() -> None:
    assert ordinal(26) == "iyirmi altıncı"
    assert digit_by_digit("5-05") == "beş sıfır beş"
    assert [digit_group(group) for group in ("050", "45", "00", "007")] == [
        "sıfır əlli",
        "qırx beş",
        "sıfır sıfır",
        "sıfır sıfır yeddi",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.234.567,89", "1234567.89"),
        ("1,234.56", "1234.56"),
        ("10 000", "10000"),
        ("0.125", "0.125"),
        ("12,5", "12.5"),
        ("1.500", "1500"),
    ],
)
def test_written_numbers_are_grouped_by_dot_or_space(text: str, value: str) -> None:
    assert written_number(text) == Decimal(value)
