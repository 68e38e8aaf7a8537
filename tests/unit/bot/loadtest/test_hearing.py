from __future__ import annotations

import pytest

from bot.loadtest.hearing import words_right


@pytest.mark.parametrize(
    ("meant", "heard", "right"),
    [
        ("Saat doqquzdan altıya qədər.", "saat doqquzdan altıya qədər", (4, 4)),
        ("Saat doqquzdan altıya qədər.", "Saat doqquzdan altiya geder", (3, 4)),  # a mark is no error, a letter is
        ("Saat doqquzdan altıya qədər.", "", (0, 4)),
        ("bir iki üç", "üç iki bir", (1, 3)),
        ("bir iki üç", "bir və iki və üç", (3, 3)),
        ("bir iki üç salam sizə", "salam sizə bir və iki və üç", (3, 5)),  # though the longest run is of two
        ("Otaq 12", "otaq on iki", (3, 3)),
        ("", "nə isə", (0, 0)),
    ],
)
def test_words_are_right_where_they_come_in_their_order(meant: str, heard: str, right: tuple[int, int]) -> None:
    assert words_right(meant, heard) == right
