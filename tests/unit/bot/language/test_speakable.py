from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

import pytest
from babel import dates as cldr_dates
from babel import numbers as cldr_numbers
from babel import units as cldr_units
from hypothesis import given
from hypothesis import strategies as st

from bot.language.numbers import cardinal, ordinal
from bot.language.speakable import speakable

_TABLE = Path(__file__).parents[3] / "data" / "az_speakable.tsv"


def _cases() -> list[tuple[str, str, str]]:
    with _TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [(row["input"].replace("\\n", "\n"), row["expected"].replace("\\n", "\n"), row["rule"]) for row in rows]


@pytest.mark.parametrize(("written", "spoken", "rule"), _cases())
def test_what_is_written_is_spoken_as_the_table_says(written: str, spoken: str, rule: str) -> None:
    assert speakable(written) == spoken, rule


@pytest.mark.parametrize(("written", "spoken", "rule"), _cases())
def test_what_is_spoken_already_stays(written: str, spoken: str, rule: str) -> None:
    assert speakable(spoken) == spoken, rule


def test_the_table_is_as_large_as_promised() -> None:
    assert len(_cases()) >= 550
    assert len({written for written, _, _ in _cases()}) == len(_cases())


_AWKWARD = (
    ".", ",", ":", "-", "–", "/", " ", "%", "₼", "AZN", "manat", "manata", "$", "€", "km", "-cı", "-ci il", "-dan",
    "-ə", "saat ", "noyabr", "II", "XXI", "əsr", "V", "I", "FİN: ", "5ABC123", "@", "www.", ".az", "və s.", "ABŞ",
    "MMC", "+994", "050", "*", "#", "\n", "- ", "**", "_", "`", "😀", "°C", "№", "&", "+", "=", "×", "(", ")", "mln",
    "qəp.", "24/7", "14:35", "22.11.2026", "2026-11-22", "İ", "ı", "Salam", "\u0307", "'", "\u00a0", "½", "²",
    "٣", "WhatsApp", "①", "Ⅳ", "₂", "⁴", "³", "⅔", "-ci", "-nə", "-yə", "0800 ", "(+994 12) ", "e-mail",
    "**** ", "*1234", "Dr. ", "M.", "Bakı ş.", "r-nu", "B.e.", "saat 9.30", "T14:30:00", "/ay", "/nəfər", "kVt/saat",
    "GB", "10AZN", "€", "I, ", " və ", "Dünya müharibəsi", "≥", "x", "@zeng", "mən.", "trln", "1,500", "1 500",
)  # fmt: skip
_PIECES = st.one_of(
    st.text(alphabet="0123456789", min_size=1, max_size=12),
    st.sampled_from(_AWKWARD),
    st.text(max_size=4),
)


@given(st.lists(_PIECES, max_size=8).map("".join))
def test_speaking_twice_changes_nothing_and_leaves_no_digit(text: str) -> None:
    once = speakable(text)
    assert speakable(once) == once
    assert not any(character.isdigit() for character in once)


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)))
def test_every_date_as_cldr_writes_it_is_day_month_and_ordinal_year(day: date) -> None:
    spoken = f"{cardinal(day.day)} {cldr_dates.get_month_names('wide', locale='az')[day.month]} {ordinal(day.year)} il"
    assert speakable(cldr_dates.format_date(day, "d MMMM y", locale="az")) == spoken
    assert speakable(cldr_dates.format_date(day, "dd.MM.y", locale="az")) == spoken
    assert speakable(day.isoformat()) == spoken


@given(st.integers(min_value=0, max_value=10**9))
def test_every_number_as_cldr_groups_it_is_its_cardinal(number: int) -> None:
    assert speakable(cldr_numbers.format_decimal(number, locale="az")) == cardinal(number)


@given(st.integers(min_value=0, max_value=10**8), st.integers(min_value=0, max_value=99))
def test_every_amount_as_cldr_writes_it_is_manat_and_qepik(manat: int, qepik: int) -> None:
    written = cldr_numbers.format_currency(manat + qepik / 100, "AZN", locale="az")
    parts = [f"{cardinal(manat)} manat"] if manat or not qepik else []
    parts += [f"{cardinal(qepik)} qəpik"] if qepik else []
    assert speakable(written) == " ".join(parts)


@given(st.integers(min_value=0, max_value=23), st.integers(min_value=1, max_value=59))
def test_every_time_says_its_hour_and_then_its_minute(hour: int, minute: int) -> None:
    spoken_hour = cardinal(hour) if hour else "sıfır-sıfır"
    spoken_minute = f"sıfır {cardinal(minute)}" if minute < 10 else cardinal(minute)
    assert speakable(f"{hour:02}:{minute:02}") == f"{spoken_hour} {spoken_minute}"


@pytest.mark.parametrize(
    ("unit", "short"),
    [
        ("length-kilometer", "km"),
        ("length-meter", "m"),
        ("length-centimeter", "sm"),
        ("length-millimeter", "mm"),
        ("mass-kilogram", "kq"),
        ("mass-gram", "q"),
        ("mass-milligram", "mq"),
        ("volume-liter", "l"),
        ("volume-milliliter", "ml"),
        ("area-square-meter", "m²"),
        ("area-hectare", "ha"),
        ("digital-gigabyte", "GB"),
    ],
)
def test_units_have_the_names_of_cldr(unit: str, short: str) -> None:
    long = cldr_units.format_unit(5, unit, "long", locale="az").removeprefix("5 ")
    assert speakable(f"5 {short}") == f"beş {long}"


def test_no_amount_is_rounded() -> None:
    assert speakable("9" * 40 + " AZN") == "doqquz " * 40 + "manat"
    assert speakable(f"-{'9' * 40},99 ₼") == "mənfi " + "doqquz " * 40 + "manat doxsan doqquz qəpik"


def test_a_long_text_is_spoken_in_time_proportional_to_its_length() -> None:
    text = "Saat 14:35, 22.11.2026, 12,50 ₼, +994 50 123 45 67. " * 40
    assert speakable(text).count("on iki manat əlli qəpik") == 40


def test_days_around_a_leap_day_are_dates_and_its_absence_is_not() -> None:
    leap = date(2028, 2, 28) + timedelta(days=1)
    assert speakable(f"{leap:%d.%m.%Y}") == "iyirmi doqquz fevral iki min iyirmi səkkizinci il"
    assert "fevral" not in speakable("29.02.2027")
    assert "fevral" not in speakable("2027-02-29T14:30:00")
    assert "fevral" not in speakable("28-29.02.2027")
