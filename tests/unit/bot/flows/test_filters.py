from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.flows.filters import FILTERS
from bot.language.speakable import speakable


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("digits", "+994501234567", "050 123 45 67"),
        ("phone", "+994501234567", "050 123 45 67"),
        ("digits", "1234", "1 2 3 4"),
        ("digits", "yox", "yox"),
        ("spell", "5AB", "beş a be"),
        ("money", "12.5", "12,50 manat"),
        ("money", "12", "12 manat"),
        ("money", "12.00", "12 manat"),
        ("money", "pulsuz", "pulsuz"),
        ("money", "NaN", "NaN"),
        ("money", "1e99999", "1e99999"),  # written out, a tool's few bytes would be any number of zeros
        ("number", "-1e99999", "-1e99999"),
        ("number", "1e-99999", "1e-99999"),
        ("number", "1e3", "1000"),
        ("number", "3.25", "3,25"),
        ("number", "", ""),
        ("date", "2026-11-24", "24 noyabr"),
        ("full_date", "2026-11-24", "24 noyabr 2026"),
        ("weekday", "2026-11-24", "çərşənbə axşamı"),
        ("date", "sabah", "sabah"),
        ("full_date", "sabah", "sabah"),
        ("weekday", "sabah", "sabah"),
        ("time", "14:30:00", "14:30"),
        ("time", "14:30", "14:30"),
        ("lower", "ABC", "abc"),
        ("lower", "İŞIQ", "işıq"),
        ("lower", "QIZIL", "qızıl"),
    ],
)
def test_values_are_shown_as_people_write_them(name: str, value: str, shown: str) -> None:
    assert FILTERS[name](value) == shown


@given(st.sampled_from(sorted(FILTERS)), st.text(max_size=20))
def test_no_value_makes_a_filter_fail(name: str, value: str) -> None:
    assert isinstance(FILTERS[name](value), str)


def test_what_is_shown_can_be_spoken() -> None:
    assert speakable(FILTERS["phone"]("+994501234567")) == "sıfır əlli, yüz iyirmi üç, qırx beş, altmış yeddi"
    assert speakable(FILTERS["money"]("12.5")) == "on iki manat əlli qəpik"
    assert speakable(FILTERS["date"]("2026-11-24") + " saat " + FILTERS["time"]("14:30") + "-da") == (
        "iyirmi dörd noyabr saat on dörd otuzda"
    )
