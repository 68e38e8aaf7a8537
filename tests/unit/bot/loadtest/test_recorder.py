from __future__ import annotations

import numpy as np
import pytest

from bot.loadtest.behaviour import Mark, StepKind
from bot.loadtest.clips import Clip
from bot.loadtest.recorder import Recorder
from telephony.leg import INPUT_FRAME_BYTES

FRAME = bytes(INPUT_FRAME_BYTES)
CLIP = Clip((b"",) * 10, begin_ms=30.0, end_ms=150.0)
MARK = Mark(0, 2, StepKind.SAY, 0.1)


def test_a_clip_was_spoken_in_the_frames_before_those_that_left() -> None:
    recorder = Recorder()
    for tick in range(5):
        recorder.frame(FRAME, 20 * tick, played_ms=400, concealed_ms=0)
    recorder.says(MARK, CLIP, played_ms=400)
    for tick in range(5, 20):
        recorder.frame(FRAME, 20 * tick, played_ms=min(600, 400 + 20 * (tick - 4)), concealed_ms=0)

    (deed,) = recorder.deeds()

    # its first frame left at 100 ms, so its first instant was 80 ms
    assert (deed.begin_s, deed.end_s) == (pytest.approx(0.08 + 0.03), pytest.approx(0.08 + 0.15))
    assert (deed.step, deed.index, deed.kind) == (0, 2, StepKind.SAY)


def test_a_clip_that_never_left_whole_is_no_deed() -> None:
    recorder = Recorder()
    recorder.says(MARK, CLIP, played_ms=0)
    recorder.frame(FRAME, 0, played_ms=60, concealed_ms=0)

    assert recorder.deeds() == ()


def test_keys_end_with_their_last_tone() -> None:
    recorder = Recorder()
    recorder.presses(MARK, "123", instant=False)
    recorder.presses(MARK, "1", instant=True)

    assert [deed.end_s for deed in recorder.deeds()] == [pytest.approx(0.1 + 0.4 + 0.1), 0.1]


def test_frames_that_were_dropped_are_silence_in_their_place() -> None:
    recorder = Recorder()
    sound = np.full(320, 7, np.int16).tobytes()
    recorder.frame(sound, 0, played_ms=0, concealed_ms=0)
    recorder.frame(sound, 60, played_ms=20, concealed_ms=0)

    assert recorder.heard.reshape(4, 320)[:, 0].tolist() == [7, 0, 0, 7]
    assert recorder.length_s == pytest.approx(0.08)


def test_60_ms_without_packets_are_a_gap_and_40_are_not() -> None:
    recorder = Recorder()
    for tick, concealed in enumerate([0, 0, 20, 40, 40, 40, 60, 80, 100, 100]):
        recorder.frame(FRAME, 20 * tick, played_ms=0, concealed_ms=concealed)

    (gap,) = recorder.concealed_gaps()

    assert (gap.at_s, gap.length_ms) == (pytest.approx(0.12), 60.0)
    assert Recorder().concealed_gaps() == ()
