from __future__ import annotations

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language.inverse.times import parse_time, time_from_digits
from bot.language.speakable import speakable


@given(st.integers(min_value=8, max_value=23), st.integers(min_value=0, max_value=59))
def test_a_time_read_out_by_the_bot_is_understood_by_it(hour: int, minute: int) -> None:
    said = speakable(f"saat {hour:02}:{minute:02}")
    assert parse_time(said) == time(hour, minute)
    assert parse_time(f"{hour:02}:{minute:02}-də") == time(hour, minute)


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("saat on dörd otuz", "14:30"),
        ("ikiyə on beş dəqiqə işləmiş", "13:15"),
        ("beşə on dəqiqə işləyir", "16:10"),
        ("üçün yarısı", "14:30"),
        ("həkim üçün üçün yarısında", "14:30"),
        ("on dörd otuz beşdə", "14:35"),
        ("saat 9-da", "09:00"),
        ("ikidə", "14:00"),
        ("onda", "10:00"),
        ("Saat ona.", "10:00"),
        ("on bir tam otuz", "11:30"),
        ("iki yarım", "14:30"),
        ("ikinin yarısı", "13:30"),
        ("on birin yarısında", "10:30"),
        ("üçə on beş dəqiqə işləyib", "14:15"),
        ("üçə on dəqiqə qalmış", "14:50"),
        ("on birə iyirmi beş dəqiqə qalır", "10:35"),
        ("doqquz sıfır beş", "09:05"),
        ("on on beş", "10:15"),
        ("səhər doqquzda", "09:00"),
        ("səhər yeddidə", "07:00"),
        ("axşam yeddi", "19:00"),
        ("günortadan sonra ikidə", "14:00"),
        ("günorta on ikidə", "12:00"),
        ("günorta", "12:00"),
        ("gecə yarısı", "00:00"),
        ("gecə on ikidə", "00:00"),
        ("gecə on birdə", "23:00"),
        ("gecə ikidə", "02:00"),
        ("axşam 20:30", "20:30"),
        ("14.30", "14:30"),
        ("sabah saat on bir", "11:00"),
        ("ayın 25-i saat 3-də", "15:00"),
        ("22 noyabr on dörd otuz", "14:30"),
        ("noyabrın 22-si on dördə", "14:00"),
        ("üç gün sonra onda", "10:00"),
        ("beş otuz saat", "17:30"),
        ("on iki sıfır", "12:00"),
        ("on üç, altmış", "13:00"),
        ("üçə beş adam", "15:05"),
        ("15:05-də, səkkizdə yox", "15:05"),
    ],
)
def test_times_are_understood_on_the_clock_of_a_service_day(said: str, at: str) -> None:
    assert parse_time(said) == time.fromisoformat(at)


@pytest.mark.parametrize(
    "said", ["", "salam", "noyabrın 22-si", "üç gün sonra", "iyirmi beş", "günortadan sonra", "yetmiş", "bir dəqiqə"]
)
def test_what_names_no_time_is_none(said: str) -> None:
    assert parse_time(said) is None


def test_pressed_digits_are_hour_and_minute() -> None:
    assert time_from_digits("1430") == time(14, 30)
    assert time_from_digits("930") == time(9, 30)
    assert time_from_digits("9") == time(9)
    assert time_from_digits("2460") is None
    assert time_from_digits("") is None
