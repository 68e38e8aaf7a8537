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
    ],
)
def test_amounts_are_in_manat(said: str, amount: str) -> None:
    assert parse_money(said) == Decimal(amount)


@pytest.mark.parametrize("said", ["", "salam", "on və on beş", "beş manat yüz əlli qəpik", "yarım qəpik"])
def test_what_is_no_amount_is_none(said: str) -> None:
    assert parse_money(said) is None
