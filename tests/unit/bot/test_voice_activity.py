from __future__ import annotations

from bot.voice_activity import VoiceActivity, VoiceEvent, VoiceStarted, VoiceStopped

WINDOW = 32


def play(probabilities: list[float], **changes: int) -> list[VoiceEvent]:
    activity = VoiceActivity(threshold=0.5, release=0.35, start_ms=96, stop_ms=changes.get("stop_ms", 192))
    events = [activity.feed(p, at_ms=i * WINDOW, window_ms=WINDOW) for i, p in enumerate(probabilities)]
    return [e for e in events if e is not None]


def test_speech_starts_after_enough_voice_and_is_dated_back_to_its_beginning() -> None:
    assert play([0, 0, 0.9, 0.9]) == []
    assert play([0, 0, 0.9, 0.9, 0.9]) == [VoiceStarted(64)]


def test_speech_stops_after_enough_silence_and_is_dated_back_to_its_end() -> None:
    assert play([0.9] * 4 + [0] * 5) == [VoiceStarted(0)]
    assert play([0.9] * 4 + [0] * 6) == [VoiceStarted(0), VoiceStopped(128)]


def test_a_click_is_not_speech() -> None:
    assert play(([0.9] + [0] * 6) * 5) == []


def test_a_short_dip_does_not_forget_the_beginning() -> None:
    assert play([0.9, 0.9, 0.1, 0.9]) == [VoiceStarted(0)]


def test_a_soft_vowel_keeps_speech_going() -> None:
    assert play([0.9] * 3 + [0.4] * 20) == [VoiceStarted(0)]


def test_speaking_is_told() -> None:
    activity = VoiceActivity(threshold=0.5, release=0.35, start_ms=32, stop_ms=32)
    assert not activity.speaking
    activity.feed(0.9, at_ms=0, window_ms=WINDOW)
    assert activity.speaking


def test_a_voice_that_somebody_else_ended_has_to_start_anew() -> None:
    activity = VoiceActivity(threshold=0.5, release=0.35, start_ms=96, stop_ms=192)
    for window in range(4):
        activity.feed(0.9, at_ms=window * WINDOW, window_ms=WINDOW)

    activity.end()

    assert not activity.speaking
    assert activity.feed(0.9, at_ms=4 * WINDOW, window_ms=WINDOW) is None
    assert activity.feed(0.9, at_ms=5 * WINDOW, window_ms=WINDOW) is None
    assert activity.feed(0.9, at_ms=6 * WINDOW, window_ms=WINDOW) == VoiceStarted(4 * WINDOW)
