from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.head_start import MOST_S, SPARE_S, WINDOW_S, HeadStart


def test_nothing_is_held_while_pieces_come_in_time() -> None:
    start = HeadStart()
    assert start.hold_s(now=100.0) == 0.0

    start.note(-2 * SPARE_S, now=100.1)

    assert start.hold_s(now=100.2) == 0.0


def test_a_first_piece_is_held_as_long_as_the_latest_was_late_and_a_little() -> None:
    start = HeadStart()
    for late_s in (-0.03, 0.02, 0.005):
        start.note(late_s, now=100.1)

    assert start.hold_s(now=100.2) == pytest.approx(0.02 + SPARE_S)


def test_what_came_almost_late_counts_too() -> None:
    start = HeadStart()
    start.note(-SPARE_S / 2, now=100.1)

    assert start.hold_s(now=100.2) == pytest.approx(SPARE_S / 2)


def test_nothing_is_held_for_longer_than_a_frame() -> None:
    start = HeadStart()
    start.note(3.0, now=100.1)

    assert start.hold_s(now=100.2) == MOST_S


@pytest.mark.parametrize("silence_s", [2 * WINDOW_S, 100 * WINDOW_S])
def test_what_was_late_is_forgotten(silence_s: float) -> None:
    start = HeadStart()
    start.note(0.02, now=100.1)

    assert start.hold_s(now=100.1 + WINDOW_S) > 0.0
    assert start.hold_s(now=100.1 + silence_s) == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(-1.0, 1.0)), min_size=1, max_size=60))
def test_whatever_was_late_in_the_last_window_is_held_for(pieces: list[tuple[float, float]]) -> None:
    start, now, late = HeadStart(), 50.0, list[tuple[float, float]]()
    for gap_s, late_s in pieces:
        now += gap_s
        start.note(late_s, now=now)
        late.append((now, late_s))
        worst_s = max(late_s for at, late_s in late if at > now - WINDOW_S)
        assert min(max(worst_s + SPARE_S, 0.0), MOST_S) <= start.hold_s(now=now) <= MOST_S
