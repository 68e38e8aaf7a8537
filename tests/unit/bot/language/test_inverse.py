from __future__ import annotations

from collections.abc import Callable
from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.language.inverse.answers import parse_yes_no
from bot.language.inverse.codes import parse_fin
from bot.language.inverse.dates import date_from_digits, parse_date
from bot.language.inverse.digits import parse_digits
from bot.language.inverse.money import parse_money
from bot.language.inverse.numbers import parse_number
from bot.language.inverse.phone import parse_phone, phone_from_digits
from bot.language.inverse.times import parse_time, time_from_digits

_MONDAY = date(2026, 11, 30)
_PARSERS: tuple[tuple[Callable[[str], object], type], ...] = (
    (parse_yes_no, bool),
    (parse_fin, str),
    (parse_digits, str),
    (parse_money, Decimal),
    (parse_number, Decimal),
    (parse_phone, str),
    (phone_from_digits, str),
    (parse_time, time),
    (time_from_digits, time),
    (lambda text: parse_date(text, today=_MONDAY), date),
    (lambda text: date_from_digits(text, today=_MONDAY), date),
)
_SAID = (
    "bir", "iki", "üç", "üçün", "dörd", "beş", "altı", "yeddi", "səkkiz", "doqquz", "on", "onda", "iyirmi", "qırx",
    "yüz", "min", "milyon", "milyard", "trilyon", "sıfır", "sıfır-sıfır", "mənfi", "yarım", "tam", "onda", "yüzdə",
    "mində", "vergül", "nöqtə", "yox", "pardon", "bəli", "deyil", "manat", "qəpik", "AZN", "₼", "dollar", "$", "%",
    "saat", "dəqiqə", "yarısı", "qalmış", "işləyib", "birə", "birin", "səhər", "gecə", "axşam", "günorta", "sonra",
    "gün", "həftə", "gələn", "bu", "sabah", "bazar", "ertəsi", "çərşənbə", "axşamı", "cümə", "ayın", "noyabr",
    "dekabrın", "fevral", "may", "iki dənə", "be", "iks", "fin", "-", "−", ",", ".", ":", "/", "'", "\u0307", "½",
    "٣", "²", "2026", "31.02.2026", "14:35", "1 500", "12,0", "0", "99", "9" * 40, "5ABC123", "+994", "050",
)  # fmt: skip
_PIECES = st.one_of(
    st.sampled_from(_SAID), st.text(alphabet="0123456789 .,:-", min_size=1, max_size=12), st.text(max_size=5)
)
_TEXTS = st.lists(_PIECES, max_size=9).flatmap(
    lambda pieces: st.sampled_from([" ", ", ", ""]).map(lambda gap: gap.join(pieces))
)


@settings(max_examples=300)
@given(_TEXTS)
def test_whatever_was_heard_is_a_value_or_none(text: str) -> None:
    for parse, kind in _PARSERS:
        value = parse(text)
        assert value is None or isinstance(value, kind)


@pytest.mark.parametrize("word", ["salam ", "bir ", "9", "5 ", "yox ", "noyabr ", "min "])
def test_a_monologue_is_read_as_any_text(word: str) -> None:
    for parse, kind in _PARSERS:
        value = parse(word * 2000)
        assert value is None or isinstance(value, kind)
