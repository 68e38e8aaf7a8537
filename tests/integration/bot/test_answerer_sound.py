"""Who answered, from sound to verdict: a call's voice and tone detectors over clips, with media time as the clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bot.answerer import AnswererJudge, AnswererPolicy
from bot.flows.actions import Answerer
from bot.settings import TurnSettings
from bot.speech_batch import SpeechBatch
from bot.speech_detector import WINDOW_MS, SileroSession, SpeechDetector
from bot.voice_activity import VoiceActivity, VoiceStarted
from telephony.audio.g711 import A_LAW
from telephony.audio.resample import Resampler
from telephony.audio.tones import ToneDetector
from tests.e2e.sound import read_wav

CLIPS = Path(__file__).parents[2] / "data" / "speech"
RATE = 16_000
HUMAN, MACHINE, RECORDING, FAX = Answerer.HUMAN, Answerer.MACHINE, Answerer.RECORDING, Answerer.FAX


def clip(name: str) -> NDArray[np.int16]:
    samples, rate = read_wav(CLIPS / f"{name}.wav")
    assert rate == RATE
    return (samples * 32_767).astype(np.int16)


def pause(seconds: float) -> NDArray[np.int16]:
    return np.zeros(int(seconds * RATE), np.int16)


def tone(hertz: float, seconds: float) -> NDArray[np.int16]:
    return (8_000 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.int16)


def by_telephone(*parts: NDArray[np.int16]) -> NDArray[np.int16]:
    """Put sound through a narrow line: 8 kHz and A-law."""
    sound = np.concatenate(parts)
    sound = sound[: len(sound) // 320 * 320]
    narrow = Resampler(RATE, 8_000).feed(sound)
    return Resampler(8_000, RATE).feed(A_LAW.decode(A_LAW.encode(narrow)))


@pytest.fixture(scope="module")
def silero() -> SileroSession:
    return SileroSession()


async def verdicts(sound: NDArray[np.int16], silero: SileroSession) -> list[tuple[Answerer, float]]:
    """What is judged, and how many seconds after the answer."""
    turns = TurnSettings()
    detector = SpeechDetector(SpeechBatch(silero))
    activity = VoiceActivity(
        threshold=turns.voice_threshold, release=turns.voice_release, start_ms=turns.start_ms, stop_ms=turns.pause_ms
    )
    tones, judge = ToneDetector(), AnswererJudge(AnswererPolicy(), now=0.0)
    found: list[tuple[Answerer, float]] = []
    windows = 0
    for frame in range(len(sound) // 320):
        samples, now = sound[frame * 320 : (frame + 1) * 320], (frame + 1) * 0.02
        for probability in await detector.feed(samples.tobytes(), speaking=activity.speaking):
            voice = activity.feed(probability, at_ms=windows * WINDOW_MS, window_ms=WINDOW_MS)
            windows += 1
            if voice is not None:
                at_ms = voice.began_at_ms if isinstance(voice, VoiceStarted) else voice.ended_at_ms
                judge.voice(voice, at_ms / 1000)
        for heard in tones.feed(samples):
            judge.tone(heard, now=now)
        judge.handle_timer(now=now)
        while (verdict := judge.poll()) is not None:
            found.append((verdict, round(now, 2)))
    return found


@pytest.mark.parametrize("word", ["salam", "beli", "xeyr"])
async def test_a_word_and_a_pause_are_a_humans(word: str, silero: SileroSession) -> None:
    found = await verdicts(by_telephone(pause(0.6), clip(word), pause(3)), silero)

    assert [who for who, _ in found] == [HUMAN]
    assert found[0][1] <= 0.6 + len(clip(word)) / RATE + 0.9


async def test_a_greeting_is_a_machines_and_its_beep_begins_the_recording(silero: SileroSession) -> None:
    greeting = np.concatenate((clip("salam"), clip("telefon"), clip("hava")))
    sound = by_telephone(pause(0.8), greeting, pause(0.7), tone(1_000, 0.5), pause(2))
    found = await verdicts(sound, silero)

    assert [who for who, _ in found] == [MACHINE, RECORDING]
    assert found[0][1] <= 0.8 + 2.0 + 0.3
    beep_ended = 0.8 + len(greeting) / RATE + 0.7 + 0.5
    assert beep_ended < found[1][1] <= beep_ended + 0.4


async def test_a_machine_without_a_beep_records_after_its_silence(silero: SileroSession) -> None:
    sound = by_telephone(pause(0.5), clip("telefon"), clip("is-saatlari"), pause(5))

    assert [who for who, _ in await verdicts(sound, silero)] == [MACHINE, RECORDING]


@pytest.mark.parametrize(("hertz", "seconds"), [(2_100, 3.0), (1_100, 0.5)])
async def test_a_fax_is_known_by_its_tone(hertz: float, seconds: float, silero: SileroSession) -> None:
    sound = by_telephone(pause(0.4), tone(hertz, seconds), pause(1.5))

    assert [who for who, _ in await verdicts(sound, silero)] == [FAX]


async def test_a_line_without_a_voice_is_taken_for_a_human_who_waits(silero: SileroSession) -> None:
    assert await verdicts(pause(4), silero) == [(HUMAN, 2.5)]
