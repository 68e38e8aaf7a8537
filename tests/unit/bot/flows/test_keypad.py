from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.flows.keypad import Entered, KeypadEntry
from bot.flows.slots import Keypad

_PHONE = Keypad(min=9, max=10, finish="#")


def _press(entry: KeypadEntry, keys: str, keypad: Keypad, *, decimal: bool = False) -> list[Entered]:
    pressed = (entry.press(key, keypad, decimal=decimal, now=0.0) for key in keys)
    return [entered for entered in pressed if entered is not None]


def test_an_entry_is_whole_at_its_most_digits() -> None:
    assert _press(KeypadEntry(), "0501234567", _PHONE) == [Entered("0501234567")]


def test_an_entry_is_whole_at_the_finish_key() -> None:
    assert _press(KeypadEntry(), "501234567#", _PHONE) == [Entered("501234567")]


def test_too_few_digits_are_no_entry() -> None:
    assert _press(KeypadEntry(), "123#", _PHONE) == [Entered(None)]


def test_the_star_erases() -> None:
    assert _press(KeypadEntry(), "12*501234567#", _PHONE) == [Entered("501234567")]


def test_the_star_is_a_decimal_point_of_numbers_and_may_be_the_finish_key() -> None:
    assert _press(KeypadEntry(), "12*5#", Keypad(max=8), decimal=True) == [Entered("12*5")]
    assert _press(KeypadEntry(), "12*", Keypad(max=8, finish="*")) == [Entered("12")]


def test_a_hash_that_finishes_nothing_is_ignored() -> None:
    assert _press(KeypadEntry(), "1#2", Keypad(max=2, finish="")) == [Entered("12")]


def test_a_finish_key_right_after_a_whole_entry_belongs_to_it_once() -> None:
    entry = KeypadEntry()
    _press(entry, "0501234567", _PHONE)
    assert entry.is_late_finish("#", now=1.0)
    assert not entry.is_late_finish("#", now=1.0)


def test_another_key_or_a_late_one_is_no_finish() -> None:
    for key, now in (("1", 1.0), ("#", 3.5)):
        entry = KeypadEntry()
        _press(entry, "0501234567", _PHONE)
        assert not entry.is_late_finish(key, now=now)
    assert not KeypadEntry().is_late_finish("#", now=0.0)


@given(st.text(alphabet="0123456789*#", max_size=40), st.integers(1, 4), st.integers(4, 8))
def test_whatever_is_pressed_entries_keep_their_length(keys: str, least: int, most: int) -> None:
    entry = KeypadEntry()
    for entered in _press(entry, keys, Keypad(min=least, max=most)):
        assert entered.digits is None or (least <= len(entered.digits) <= most and entered.digits.isdecimal())
