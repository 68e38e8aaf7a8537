from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language.inverse.money import parse_money
from bot.language.speakable import speakable


@given(st.integers(min_value=1, max_value=10**9))
def test_an_amount_read_out_by_the_bot_is_understood_by_it(hundredths: int) -> None:
    amount = Decimal(hundredths) / 100
    assert parse_money(speakable(f"{amount} AZN")) == amount


@pytest.mark.parametrize(
    ("said", "amount"),
    [
        ("iyirmi beş manat əlli qəpik", "25.50"),
        ("25 manat 50", "25.50"),
        ("25,50", "25.50"),
        ("25 AZN", "25"),
        ("yüz manata", "100"),
        ("əlli qəpik", "0.50"),
        ("yarım manat", "0.5"),
        ("min beş yüz manat", "1500"),
        ("on", "10"),
        ("on manat, yox, on beş manat", "15"),
        ("on manat, yox, on beş", "15"),
        ("on beş manat əlli qəpik, yox, altmış qəpik", "15.60"),
        ("on dollar, yox, iyirmi manat", "20"),
        ("on beş manat, yox", "15"),
        ("1 500 manat", "1500"),
        ("2\u00a0500 manat", "2500"),
        ("12 500,50 manat", "12500.50"),
        ("1 000 000 manat", "1000000"),
        ("1 500 AZN", "1500"),
        ("1,500 manat", "1500"),
        ("1,500.50 manat", "1500.50"),
        ("1.500,50 manat", "1500.50"),
        ("- 20 manat", "20"),
        ("dollarla yox, manatla, iyirmi manat", "20"),
    ],
)
def test_amounts_are_in_manat(said: str, amount: str) -> None:
    assert parse_money(said) == Decimal(amount)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "salam",
        "on və on beş",
        "beş manat yüz əlli qəpik",
        "yarım qəpik",
        "200-300 manat",
        "beş manat, yox, altı, yeddi",
    ],
)
def test_what_is_no_amount_is_none(said: str) -> None:
    assert parse_money(said) is None


@pytest.mark.parametrize("said", ["-20 manat", "−20 manat", "mənfi iyirmi manat", "minus əlli qəpik", "mənfi beş"])
def test_no_amount_is_below_zero(said: str) -> None:
    assert parse_money(said) is None


@pytest.mark.parametrize(
    "said", ["10 dollar", "$10", "on avro", "20 €", "beş yüz rubl əlli qəpik", "EUR 20", "on manat, yox, on dollar"]
)
def test_another_currency_is_not_manat(said: str) -> None:
    assert parse_money(said) is None
