"""`SoundTrail`: the sound of words ends, or goes on after a stop."""

from __future__ import annotations

from bot.sound_trail import SoundFaded, SoundReturned, SoundTrail, TrailEvent

FADE_MS = 60
NOISE_DB = -60.0
VOWEL, QUIET = -18.0, -58.0


def speech(trail: SoundTrail, *levels_db: float, from_ms: int = 0) -> list[tuple[int, TrailEvent]]:
    events: list[tuple[int, TrailEvent]] = []
    for place, level_db in enumerate(levels_db, 1):
        event = trail.feed(level_db, noise_db=NOISE_DB, end_ms=from_ms + 20 * place)
        if event is not None:
            events.append((from_ms + 20 * place, event))
    return events


def begun() -> SoundTrail:
    trail = SoundTrail(fade_ms=FADE_MS)
    trail.begin([QUIET, VOWEL, VOWEL], at_ms=0)
    return trail


def test_sound_that_stays_away_has_faded_once_and_its_end_is_known() -> None:
    trail = begun()

    assert speech(trail, *[VOWEL] * 5, *[QUIET] * 20) == [(160, SoundFaded())]
    assert trail.ended_at_ms == 100


def test_a_stop_between_two_sounds_is_shorter_than_a_fall() -> None:
    assert speech(begun(), VOWEL, QUIET, QUIET, VOWEL, QUIET, QUIET, VOWEL) == []


def test_a_caller_who_goes_on_takes_the_fall_back() -> None:
    trail = begun()

    events = speech(trail, *[QUIET] * 5, VOWEL, *[QUIET] * 5)

    assert events == [(60, SoundFaded()), (120, SoundReturned()), (180, SoundFaded())]
    assert trail.ended_at_ms == 120


def test_a_soft_last_vowel_is_still_sound_and_the_hiss_of_a_loud_line_is_not() -> None:
    soft = VOWEL - 20
    assert speech(begun(), *[soft] * 10) == []

    loud_line = SoundTrail(fade_ms=FADE_MS)
    loud_line.begin([-20.0], at_ms=0)
    events = [loud_line.feed(-38.0, noise_db=-40.0, end_ms=20 * n) for n in range(1, 10)]
    assert SoundFaded() in events


def test_what_began_the_speech_counts_for_how_loud_it_is() -> None:
    trail = SoundTrail(fade_ms=FADE_MS)
    trail.begin([-10.0], at_ms=500)

    assert speech(trail, *[-45.0] * 3, from_ms=500) == [(560, SoundFaded())]
    assert trail.ended_at_ms == 500


def test_speech_without_a_frame_yet_takes_its_level_from_what_follows() -> None:
    trail = SoundTrail(fade_ms=FADE_MS)
    trail.begin([], at_ms=0)

    assert speech(trail, *[-50.0] * 5) == []
