from __future__ import annotations

from datetime import date

import pytest

from bot.flows.slots import Slot
from bot.flows.values import takes_one_key, value_from_keys, value_from_speech

_TODAY = date(2026, 11, 23)


def _slot(**options: object) -> Slot:
    return Slot.model_validate({"ask": "?", **options})


_DAY = {"cümə": {"phrases": ["cümə"], "dtmf": "5"}, "şənbə": {"phrases": ["şənbə günü"], "dtmf": 6}}


@pytest.mark.parametrize(
    ("slot", "said", "value"),
    [
        (_slot(type="phone_az"), "sıfır əlli yüz iyirmi üç qırx beş altmış yeddi", "+994501234567"),
        (_slot(type="fin"), "beş a be ce bir iki üç", "5ABC123"),
        (_slot(type="date"), "sabah", "2026-11-24"),
        (_slot(type="date", within_days=7), "20 dekabr", None),
        (_slot(type="date", within_days=7), "01.01.2020", None),
        (_slot(type="date"), "bilmirəm", None),
        (_slot(type="time"), "saat ikidə", "14:00"),
        (_slot(type="time"), "bilmirəm", None),
        (_slot(type="number"), "iyirmi beş", "25"),
        (_slot(type="number"), "on iki tam onda beş", "12.5"),
        (_slot(type="number", min=1, max=10), "on bir", None),
        (_slot(type="number", min=1, max=10), "sıfır", None),
        (_slot(type="number", whole=True), "iki yarım", None),
        (_slot(type="number"), "yüz", "100"),
        (_slot(type="money"), "iyirmi manat əlli qəpik", "20.5"),
        (_slot(type="money"), "pul", None),
        (_slot(type="enum", values=_DAY), "cüməyə", "cümə"),
        (_slot(type="enum", values=_DAY), "bazar", None),
        (_slot(type="digits", pattern="[0-9]{4}"), "qırx üç iyirmi bir", "4321"),
        (_slot(type="digits", pattern="[0-9]{4}"), "sıfır sıfır iyirmi bir", "0021"),
        (_slot(type="digits", pattern="[0-9]{4}"), "iyirmi bir", None),
        (_slot(type="boolean"), "bəli", "true"),
        (_slot(type="boolean"), "xeyr", "false"),
        (_slot(type="boolean"), "bəlkə", None),
        (_slot(type="text"), "  Nizami küçəsi 5. ", "Nizami küçəsi 5"),
        (_slot(type="text"), " . ", None),
        (_slot(type="text", pattern="[A-Z]{2}"), "AB", "AB"),
        (_slot(type="text", pattern="[A-Z]{2}"), "ABC", None),
    ],
)
def test_speech_gives_values_in_their_stored_form(slot: Slot, said: str, value: str | None) -> None:
    assert value_from_speech(slot, said, today=_TODAY) == value


@pytest.mark.parametrize(
    ("slot", "keys", "value"),
    [
        (_slot(type="phone_az"), "0501234567", "+994501234567"),
        (_slot(type="phone_az"), "113456789", None),
        (_slot(type="date"), "2512", "2026-12-25"),
        (_slot(type="time"), "1430", "14:30"),
        (_slot(type="time"), "2561", None),
        (_slot(type="number"), "0025", "25"),
        (_slot(type="money"), "25*50", "25.5"),
        (_slot(type="number"), "1**", None),
        (_slot(type="enum", values=_DAY), "6", "şənbə"),
        (_slot(type="enum", values=_DAY), "1", None),
        (_slot(type="digits", pattern="[0-9]{4}"), "0021", "0021"),
        (_slot(type="digits", pattern="[0-9]{4}"), "21", None),
        (_slot(type="boolean"), "1", "true"),
        (_slot(type="boolean"), "2", "false"),
        (_slot(type="boolean"), "3", None),
        (_slot(type="fin"), "1234567", None),
        (_slot(type="text"), "1", None),
    ],
)
def test_keys_give_values_in_their_stored_form(slot: Slot, keys: str, value: str | None) -> None:
    assert value_from_keys(slot, keys, today=_TODAY) == value


def test_one_key_answers_what_has_keys_of_its_own() -> None:
    assert takes_one_key(_slot(type="boolean"))
    assert takes_one_key(_slot(type="enum", values=_DAY))
    assert not takes_one_key(_slot(type="enum", values={"a": ["alma"]}))
