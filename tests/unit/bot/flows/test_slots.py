from __future__ import annotations

import pytest
from pydantic import ValidationError

from bot.flows.slots import Keypad, Slot


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "fin", "dtmf": {"max": 7}}, "cannot be keyed in"),
        ({"type": "text", "pattern": "("}, "no regular expression"),
        ({"type": "text", "min": 1}, "`min` is an option of type money or number, not of text"),
        ({"type": "enum"}, "no `values`"),
        ({"type": "digits"}, "has no `pattern`"),
        ({"type": "enum", "values": {"a": []}}, "at least 1 item"),
        ({"type": "phone_az", "dtmf": {"min": 5, "max": 3}}, "min 5 is more than max 3"),
        ({"type": "date", "within_days": -1}, "greater than or equal"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Slot.model_validate({"ask": "?", **options})


def test_a_list_of_phrases_is_short_for_a_value() -> None:
    slot = Slot.model_validate({"ask": "?", "type": "enum", "values": {"a": ["alma", "almanı"]}})
    assert [phrase.text for phrase in slot.values["a"].phrases] == ["alma", "almanı"]


def test_a_keypad_finishes_with_the_hash_key() -> None:
    assert Keypad().finish == "#"
