"""How long a pause may be before it ends a turn, by what was said before it: media time, so whatever else runs.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_false_turns.py

Ten pairs of clips with a pause between them, through real voice detection and the turn machine; a text is told 130 ms
after it is asked for, and what the flow says of it is given. A turn that ends in the pause is false. `bench_turn.py`
has the same with Whisper's own texts and times, and takes half an hour.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.flows.sufficiency import Sufficiency
from bot.recognition.audio import samples_of
from bot.speech_batch import SpeechBatch
from bot.speech_detector import SileroSession
from tests.bench.channel import telephone
from tests.fakes.ear import Ear, Reading, sound_end_ms

SPEECH = Path(__file__).parents[1] / "data" / "speech"
FIRST = ("beli", "xeyr", "operator", "is-saatlari", "qebula-yazilmaq")
SECOND = ("operator", "hava")
GAPS_MS = (100, 150, 200, 250, 300, 400)
GRADES = {
    "open": Sufficiency.OPEN,
    "suffices": Sufficiency.ENOUGH,
    "whole": Sufficiency.WHOLE,
}
TOOK_MS = 130


def main() -> None:
    batch = SpeechBatch(SileroSession())
    clips = {name: _trimmed(telephone(samples_of((SPEECH / f"{name}.wav").read_bytes()))) for name in {*FIRST, *SECOND}}
    print(f"| what was said | turn ends by | {' | '.join(f'{gap} ms' for gap in GAPS_MS)} |")
    print("|---|---|" + "--:|" * len(GAPS_MS))
    for (grade, judged), by_sound in itertools.product(GRADES.items(), (False, True)):
        counts = [
            sum(
                _is_false(_line(clips[first], gap, clips[second]), judged, batch, by_sound=by_sound)
                for first, second in itertools.product(FIRST, SECOND)
            )
            for gap in GAPS_MS
        ]
        name = "end of the sound" if by_sound else "pause of the speech model"
        print(f"| {grade} | {name} | {' | '.join(map(str, counts))} |", flush=True)


def _is_false(signal: NDArray[np.float32], judged: Sufficiency, batch: SpeechBatch, *, by_sound: bool) -> bool:
    ear = Ear(
        signal,
        recognise=lambda _began, _ended: Reading("text", TOOK_MS),
        judge=lambda _: judged,
        batch=batch,
        ends_by_sound=by_sound,
    )
    said_ms = sound_end_ms(signal)
    return any(turn.ended_ms < said_ms for turn in asyncio.run(ear.hear()))


def _line(first: NDArray[np.float32], gap_ms: int, second: NDArray[np.float32]) -> NDArray[np.float32]:
    parts = (np.zeros(16_000), first, np.zeros(16 * gap_ms), second, np.zeros(24_000))
    signal = np.concatenate(parts)
    return (signal + np.random.default_rng(1).normal(0, 1e-3, len(signal))).astype(np.float32)


def _trimmed(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    loud = np.flatnonzero(np.abs(clip) > 10 ** (-42 / 20))
    return clip[loud[0] : loud[-1] + 1]


if __name__ == "__main__":
    main()
