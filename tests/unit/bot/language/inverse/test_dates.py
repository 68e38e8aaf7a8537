from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language.inverse.dates import date_from_digits, parse_date
from bot.language.speakable import speakable

_SUNDAY = date(2026, 11, 22)


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)))
def test_a_date_read_out_by_the_bot_is_understood_by_it(day: date) -> None:
    assert parse_date(speakable(f"{day:%d.%m.%Y}"), today=_SUNDAY) == day
    assert parse_date(f"{day:%d.%m.%Y}", today=_SUNDAY) == day


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("bu gün", "2026-11-22"),
        ("dekabrın biri", "2026-12-01"),
        ("dekabrın birində", "2026-12-01"),
        ("gələn ayın onu", "2026-12-10"),
        ("ayın onunda", "2026-12-10"),
        ("mayın on beşindən", "2027-05-15"),
        ("Bugün olar?", "2026-11-22"),
        ("bugünə", "2026-11-22"),
        ("sabah", "2026-11-23"),
        ("Sabaha saat ikiyə", "2026-11-23"),
        ("birisi gün", "2026-11-24"),
        ("birigün", "2026-11-24"),
        ("bazar ertəsi", "2026-11-23"),
        ("bazarertəsi günü", "2026-11-23"),
        ("Pazartesi", "2026-11-23"),
        ("çərşənbə axşamı", "2026-11-24"),
        ("çərşənbə günü", "2026-11-25"),
        ("çərşənbə axşam saat altıda", "2026-11-25"),
        ("Çarşamba günü", "2026-11-25"),
        ("çərşəmbə", "2026-11-25"),
        ("cümə axşamı", "2026-11-26"),
        ("cüməyə", "2026-11-27"),
        ("cuma günü", "2026-11-27"),
        ("şənbə", "2026-11-28"),
        ("bazar günü", "2026-11-29"),
        ("gələn bazar ertəsi", "2026-11-23"),
        ("gələn həftə çərşənbə", "2026-11-25"),
        ("növbəti həftənin cüməsi", "2026-11-27"),
        ("22 noyabr", "2026-11-22"),
        ("iyirmi iki noyabr", "2026-11-22"),
        ("noyabrın 25-i", "2026-11-25"),
        ("noyabrın iyirmi beşinə", "2026-11-25"),
        ("on beş dekabra", "2026-12-15"),
        ("5 yanvar", "2027-01-05"),
        ("5 yanvar 2028", "2028-01-05"),
        ("üç may", "2027-05-03"),
        ("3 iyul", "2027-07-03"),
        ("25 noyab", "2026-11-25"),
        ("29 fevral", "2028-02-29"),
        ("ayın 25-i", "2026-11-25"),
        ("ayın iyirmisi", "2026-12-20"),
        ("ayın 31-i", "2026-12-31"),
        ("gələn ayın beşi", "2026-12-05"),
        ("22.12.2026", "2026-12-22"),
        ("22/12/26", "2026-12-22"),
        ("2026-12-22", "2026-12-22"),
        ("14.05.90", "1990-05-14"),
        ("14 may 1990", "1990-05-14"),
        ("on dörd may min doqquz yüz doxsanıncı il", "1990-05-14"),
        ("24.11", "2026-11-24"),
        ("üç gün sonra", "2026-11-25"),
        ("iki həftədən sonra", "2026-12-06"),
        ("dekabrın on beşi, yox, on altısı", "2026-12-16"),
        ("dekabrın 15-i, bağışlayın, 16-sı", "2026-12-16"),
        ("dekabrın on beşində, yox, on altısında", "2026-12-16"),
        ("dekabrın 15-də, yox, 16-da", "2026-12-16"),
        ("dekabrın on beşi saat ikidə, yox, üçdə", "2026-12-15"),
        ("on beş dekabr, yox, on altı", "2026-12-16"),
        ("on beş dekabr, xeyr, yanvar", "2027-01-15"),
        ("yanvarın beşi, yox, dekabrın", "2026-12-05"),
        ("on beş dekabr, yox, iyirmi yanvar", "2027-01-20"),
        ("14 may 1990, yox, on beş", "1990-05-15"),
        ("14 may 1990, yox, 15 may", "1990-05-15"),
        ("14 may 1990, yox, iyun", "1990-06-14"),
        ("14 may 1990, yox, 1991", "1991-05-14"),
        ("14 may 1990, yox, 15 dekabr", "2026-12-15"),
        ("14 may 1990, yox, 15 may 1991", "1991-05-15"),
        ("gələn ayın beşi, yox, altısı", "2026-12-06"),
        ("ayın 25-i, yox, 26-sı", "2026-11-26"),
        ("sabah, yox, birisi gün", "2026-11-24"),
        ("çərşənbə, yox, cümə", "2026-11-27"),
        ("gələn həftə çərşənbə, yox, cümə", "2026-11-27"),
        ("dekabrda, yox, beş gün sonra", "2026-11-27"),
        ("yox, sabah", "2026-11-23"),
        ("sabah, yox", "2026-11-23"),
        ("sabah, yox, birisi gün, pardon, cümə", "2026-11-27"),
    ],
)
def test_days_are_named_from_today(said: str, day: str) -> None:
    assert parse_date(said, today=_SUNDAY) == date.fromisoformat(day)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "salam",
        "Sabahınız xeyir",
        "noyabr",
        "ayın sonu",
        "ayın qırxı",
        "32 noyabr",
        "31.02.2026",
        "14:35",
        "500 gün sonra",
        "beş dəqiqə sonra",
        f"{'9' * 40} noyabr",
        "dekabr, yox, yanvar",
    ],
)
def test_what_names_no_day_is_none(said: str) -> None:
    assert parse_date(said, today=_SUNDAY) is None


@given(st.dates(min_value=date(2026, 1, 1), max_value=date(2027, 12, 31)))
def test_a_weekday_is_within_the_next_seven_days_and_never_today(today: date) -> None:
    found = parse_date("cümə günü", today=today)
    assert found is not None
    assert found.weekday() == 4
    assert timedelta(days=1) <= found - today <= timedelta(days=7)


def test_pressed_digits_are_day_month_and_maybe_year() -> None:
    assert date_from_digits("2512", today=_SUNDAY) == date(2026, 12, 25)
    assert date_from_digits("0101", today=_SUNDAY) == date(2027, 1, 1)
    assert date_from_digits("25122027", today=_SUNDAY) == date(2027, 12, 25)
    assert date_from_digits("3113", today=_SUNDAY) is None
    assert date_from_digits("251", today=_SUNDAY) is None
    assert date_from_digits("25*2", today=_SUNDAY) is None
