from __future__ import annotations

import pytest

from bot.flows.answers import value_at

_BODY = {
    "id": "A17",
    "n": 5,
    "free": True,
    "no": False,
    "slots": [{"time": "14:30"}, "x"],
    "none": None,
    "long": "a" * 900,
    "cut": "Aygün \ud83d",  # half an emoji, as a program that cuts by UTF-16 leaves it
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.id", "A17"),
        ("$.n", "5"),
        ("$.free", "true"),
        ("$.no", "false"),
        ("$.slots[0].time", "14:30"),
        ("$.slots[1]", "x"),
        ("$.slots[2]", None),
        ("$.slots", None),
        ("$.slots.time", None),
        ("$.id[0]", None),
        ("$.none", None),
        ("$.missing.deeper", None),
        ("$", None),
        ("$.long", "a" * 500),
        ("$.cut", "Aygün ?"),
    ],
)
def test_values_are_found_by_their_path_and_kept_short(path: str, value: str | None) -> None:
    assert value_at(_BODY, path) == value
