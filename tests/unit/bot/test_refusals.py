"""Words for what pydantic refuses."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.refusals import known_names, refusals


class Wheel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size_mm: int


class Car(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colour: str = "red"
    wheels: tuple[Wheel, ...] = Field(default=(), min_length=1)
    spare: Wheel | None = None


def told(given: object) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        Car.model_validate(given)
    return refusals(
        refused.value, Car, place=lambda at: f"{'.'.join(map(str, at))}: ", unknown="there is no such name", names=""
    )


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"color": "blue"}, "color: there is no such name; did you mean colour?"),
        ({"kg": 1}, "kg: there is no such name; known: colour, wheels, spare"),
        ({"colour": 3}, "colour: must be a text: put it in quotes"),
        ({"wheels": "four"}, 'wheels: must be a list: ["four"]'),
        ({"wheels": 4}, 'wheels: must be a list: ["…"]'),
        ({"wheels": []}, "wheels: must have at least 1 item"),
        ({"wheels": [3]}, "wheels.0: must be a table of names and values"),
        ({"spare": {"size_mm": "big"}}, "spare.size_mm: must be a valid integer, unable to parse string as an integer"),
        ({"wheels": [{}]}, "wheels.0.size_mm: must be set"),
        ({"wheels": [{"size": 3}]}, "wheels.0.size: there is no such name; did you mean size_mm?"),
    ],
)
def test_each_mistake_is_told_once(given: dict[str, object], line: str) -> None:
    assert told(given) == [line]


def test_names_are_found_within_lists_and_options_and_nowhere_else() -> None:
    assert known_names(Car, ("wheels", 0)) == known_names(Car, ("spare",)) == ("size_mm",)
    assert known_names(Car, ("colour", "x")) == known_names(Car, ("price",)) == ()
