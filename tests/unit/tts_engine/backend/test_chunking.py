from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.chunking import MOST_FRAMES, Chunking

FRAME_S = 0.08


def pieces(times: list[float]) -> list[tuple[float, int]]:
    """When pieces of how many frames go out, if frames are made at these times."""
    chunking, held, out = Chunking(frame_s=FRAME_S), 0, list[tuple[float, int]]()
    for now in times:
        held += 1
        if chunking.due(held, now=now):
            out.append((now, held))
            held = 0
    return out


def test_the_first_frame_goes_out_at_once_and_pieces_grow_with_the_lead():
    sizes = [size for _, size in pieces([10.0 + 0.01 * n for n in range(200)])]
    assert sizes[:5] == [1, 1, 1, 1, 1]
    assert sizes[5:] == sorted(sizes[5:])
    assert max(sizes) == MOST_FRAMES


def test_a_frame_that_comes_late_takes_along_what_was_held_back():
    times = [0.04 * n for n in range(40)]
    *early, (late, size) = pieces([*times, times[-1] + 1.0])
    assert late == times[-1] + 1.0
    assert size == 1 + len(times) - sum(held for _, held in early)


def test_frames_that_come_as_slowly_as_they_are_played_go_out_one_by_one():
    assert [size for _, size in pieces([FRAME_S * n for n in range(50)])] == [1] * 50


@given(gaps=st.lists(st.floats(0.0, FRAME_S), min_size=1, max_size=300))
def test_whoever_plays_from_the_first_piece_on_never_waits_for_what_is_held_back(gaps: list[float]):
    times = [sum(gaps[:n]) for n in range(len(gaps))]
    began, played_to = times[0], 0.0
    for now, size in pieces(times):
        assert now - began <= played_to + 1e-9
        played_to += size * FRAME_S


def test_a_stream_is_short_until_two_frames_and_a_half_are_left_after_a_piece():
    chunking, short = Chunking(frame_s=FRAME_S), list[bool]()
    for now in (0.0, 0.04, 0.08, 0.12, 0.16, 0.2):  # the lead: 1, 1.5, 2, ...
        assert chunking.due(1, now=now)
        short.append(chunking.short)
    assert short == [True, True, True, False, False, False]

    chunking.due(1, now=0.2 + 4 * FRAME_S)  # it came so late that little is left
    assert chunking.short
