from __future__ import annotations

from datetime import time

import pytest

from bot.language.inverse.times import parse_time, time_from_digits
from bot.language.speakable import speakable


@pytest.mark.parametrize("hour", range(24))
def test_a_time_read_out_by_the_bot_is_understood_by_it(hour: int) -> None:
    for minute in range(60):
        written = f"{hour:02}:{minute:02}"
        of_the_day = "səhər " if 1 <= hour < 8 else ""  # alone they are of the afternoon
        assert parse_time(speakable(f"{of_the_day}saat {written}")) == time(hour, minute)
        assert parse_time(speakable(f"{of_the_day}{written}-də")) == time(hour, minute)
        assert parse_time(f"{written}-də") == time(hour, minute)


@pytest.mark.parametrize("hour", range(1, 8))
def test_an_hour_from_one_to_seven_is_of_the_afternoon(hour: int) -> None:
    assert parse_time(speakable(f"saat {hour}:30")) == time(hour + 12, 30)


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
        ("birin yarısı", "12:30"),
        ("birə beş dəqiqə qalmış", "12:55"),
        ("birə on dəqiqə işləyib", "12:10"),
        ("gecə birin yarısı", "00:30"),
        ("gecə birə beş dəqiqə qalmış", "00:55"),
        ("on üçün yarısı", "12:30"),
        ("iyirmi üçün yarısında", "22:30"),
        ("sıfır-sıfır sıfır beş", "00:05"),
        ("gecə sıfır-sıfır", "00:00"),
        ("24:00", "00:00"),
        ("saat iyirmi dörddə", "00:00"),
        ("üçdə, yox, dörddə", "16:00"),
        ("axşam altıda, yox, yeddidə", "19:00"),
        ("axşam altıda, yox, səhər onda", "10:00"),
        ("dekabrın on beşi saat üçdə, yox, on altısı", "15:00"),
        ("ayın 15-i saat üçdə, yox, 16-sı", "15:00"),
        ("dekabrın on beşi saat üçdə, yox, yeddi", "19:00"),
        ("dekabrın on beşi saat ikidə, yox, üçdə", "15:00"),
        ("saat üçdə, yox, cümə günü", "15:00"),
        ("saat üçdə, yox", "15:00"),
    ],
)
def test_times_are_understood_on_the_clock_of_a_service_day(said: str, at: str) -> None:
    assert parse_time(said) == time.fromisoformat(at)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "salam",
        "noyabrın 22-si",
        "üç gün sonra",
        "iyirmi beş",
        "günortadan sonra",
        "yetmiş",
        "bir dəqiqə",
        "iki saat sonra",
        "2 saatdan sonra",
        "yarım saat",
        "24:30",
        "9" * 40,
    ],
)
def test_what_names_no_time_is_none(said: str) -> None:
    assert parse_time(said) is None


def test_pressed_digits_are_hour_and_minute() -> None:
    assert time_from_digits("1430") == time(14, 30)
    assert time_from_digits("930") == time(9, 30)
    assert time_from_digits("9") == time(9)
    assert time_from_digits("2460") is None
    assert time_from_digits("") is None
    assert time_from_digits("1*30") is None
