"""Recorded speech with pauses in it: what ends a turn, and when. Voice detection is real; texts are told.

The texts are what Whisper base makes of these clips, or of their first half, and take 130 ms (docs/recognition.md).
"""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bot.flows.rehearsal import Rehearsal
from bot.settings import TurnSettings
from bot.speech_batch import SpeechBatch
from bot.speech_detector import SileroSession
from tests.fakes.ear import LEAD_MS, Ear, EarTurn, Reading, sound_end_ms
from tests.fakes.menu import asked_for_the_day, asked_for_the_phone, at_the_menu

SPEECH = Path(__file__).parents[2] / "data" / "speech"
BATCH = SpeechBatch(SileroSession())
TOOK_MS = 130


def clip(name: str) -> NDArray[np.float32]:
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > 10 ** (-42 / 20))
    return samples[loud[0] : loud[-1] + 1]


def pause(ms: int) -> NDArray[np.float32]:
    return np.zeros(16 * ms, np.float32)


async def turns_of(
    call: Rehearsal, *said: tuple[NDArray[np.float32], str], settings: TurnSettings | None = None
) -> tuple[list[EarTurn], int]:
    """Each stretch of sound, and the text of the turn once it has been said; also where all sound ends, in ms."""
    signal = np.concatenate((pause(1000), *(sound for sound, _ in said), pause(2000)))
    signal = (signal + np.random.default_rng(1).normal(0, 1e-3, len(signal))).astype(np.float32)
    ends = np.cumsum([16_000, *(len(sound) for sound, _ in said)])[1:] / 16

    def recognise(began_ms: int, heard_ms: int) -> Reading:
        texts = [text for (_, text), end in zip(said, ends, strict=True) if began_ms + LEAD_MS < end <= heard_ms + 150]
        return Reading(texts[-1] if texts else "", TOOK_MS)

    ear = Ear(signal, recognise=recognise, judge=call.engine.suffices, batch=BATCH, settings=settings)
    return await ear.hear(), sound_end_ms(signal)


@pytest.mark.parametrize(
    ("name", "text"), [("is-saatlari", "İş saatlarınız necədir?"), ("qebula-yazilmaq", "Qəbula yazılmaq istəyirəm.")]
)
async def test_a_whole_answer_waits_little_more_than_its_recognition(name: str, text: str) -> None:
    turns, said_ms = await turns_of(at_the_menu(), (clip(name), text))

    assert [turn.text for turn in turns] == [text]
    assert turns[0].ended_ms - said_ms <= TurnSettings().whole_pause_ms + 20


@pytest.mark.parametrize("gap_ms", [150, 250, 400, 600])
@pytest.mark.parametrize(
    ("call", "halves"),
    [
        (asked_for_the_phone, (("telefon", "sıfır əlli iki yüz on iki"), ("beli", "sıfır əlli iki yüz on iki otuz"))),
        (asked_for_the_day, (("cersenbe", "sabah"), ("sabah-onda", "sabah saat onda"))),
        (asked_for_the_day, (("cersenbe", "çərşənbə günü"), ("lazim-deyil", "çərşənbə günü lazım deyil"))),
        (at_the_menu, (("salam", "salam"), ("is-saatlari", "salam iş saatlarınız necədir"))),
    ],
)
async def test_a_pause_after_what_may_go_on_ends_no_turn(
    call: type[Rehearsal], halves: Sequence[tuple[str, str]], gap_ms: int
) -> None:
    (first, text), (second, both) = halves
    turns, said_ms = await turns_of(call(), (clip(first), text), (pause(gap_ms), text), (clip(second), both))

    assert [turn.text for turn in turns] == [both]
    assert turns[0].ended_ms > said_ms


@pytest.mark.parametrize("gap_ms", [100, 150])
@pytest.mark.parametrize("text", ["bəli", "operator", "iş saatları və", "iş saatları,"])
async def test_a_breath_after_a_short_or_an_open_answer_ends_no_turn(text: str, gap_ms: int) -> None:
    both = "bəli operatora qoşun"
    turns, said_ms = await turns_of(
        at_the_menu(), (clip("beli"), text), (pause(gap_ms), text), (clip("operator"), both)
    )

    assert [turn.text for turn in turns] == [both]
    assert turns[0].ended_ms > said_ms


async def test_digits_one_by_one_are_one_turn() -> None:
    digits = ["sıfır", "əlli", "iki", "yüz", "on", "iki", "otuz", "dörd"]
    said: list[tuple[NDArray[np.float32], str]] = []
    for count in range(1, len(digits) + 1):
        text = " ".join(digits[:count])
        said += [(clip("beli"), text), (pause(350), text)]
    turns, said_ms = await turns_of(asked_for_the_phone(), *said)

    assert [turn.text for turn in turns] == [" ".join(digits)]
    assert turns[0].ended_ms > said_ms


async def test_who_goes_on_after_a_whole_answer_is_heard_as_another_turn() -> None:
    hours, more = "İş saatlarınız necədir?", "Operatorla danışmaq istəyirəm."
    turns, _ = await turns_of(
        at_the_menu(), (clip("is-saatlari"), hours), (pause(400), hours), (clip("operator"), more)
    )

    assert [turn.text for turn in turns] == [hours, more]
