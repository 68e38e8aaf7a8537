from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language.inverse.codes import parse_fin
from bot.language.speakable import speakable


@given(st.text(alphabet="0123456789ABCDEFGHJKLMNPQRSTUVXYZ", min_size=6, max_size=6))
def test_a_fin_spelt_by_the_bot_is_understood_by_it(rest: str) -> None:
    fin = f"5{rest}"
    assert parse_fin(speakable(f"FİN: {fin}")) == fin


@pytest.mark.parametrize(
    "said",
    [
        "5ABC123",
        "5abc123",
        "5 ABC 123",
        "5-A-B-C-1-2-3",
        "FİN kodum 5 a be ce 123",
        "beş a be ce yüz iyirmi üç",
        "Beş, A, B, C, 1, 2, 3.",
    ],
)
def test_one_fin_said_in_many_ways(said: str) -> None:
    assert parse_fin(said) == "5ABC123"


@pytest.mark.parametrize(
    "said",
    ["", "salam", "5ABC12", "5ABC1234", "5OBC123", "bilmirəm yadımda deyil", "Xeyr, düz deyil", "a be ce de e fe ge"],
)
def test_what_is_no_fin_is_none(said: str) -> None:
    assert parse_fin(said) is None
