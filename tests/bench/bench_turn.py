"""How long a caller who has finished waits for the end of the turn, and how often one who has not is cut off.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_turn.py

Media time and CPU time, so that it matters little what else runs: clips over a telephone channel go frame by frame
through voice detection, `SoundTrail` and `TurnMachine` as in a call, the shipped clinic's flow judges the texts, and a
recognition takes the CPU time that Whisper needs for it. Sound ends where the load test says so (-42 dBFS). What a
caller waits beyond these figures is the way there and back (the load test's floor, 60 ms), HTTP and the flow.

The first table is of whole clips; the second of sentences with a pause in their middle, and of two sentences with one
between them: a turn that ends in the pause is false.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from bot.flows.loader import load_flow
from bot.flows.rehearsal import Rehearsal
from bot.flows.sufficiency import Sufficiency
from bot.models.cache import ModelCache
from bot.models.registry import WHISPER_BASE
from bot.models.settings import ModelSettings
from bot.recognition.audio import samples_of
from bot.recognition.client import prompt_of
from bot.recognition.settings import RecogniserServerSettings, RecogniserSettings
from bot.recognition.whisper import Heard, Request, Whisper
from bot.settings import TurnSettings
from bot.speech_batch import SpeechBatch
from bot.speech_detector import SileroSession
from tests.bench.channel import telephone
from tests.fakes.ear import Ear, EarTurn, Reading, sound_end_ms

ROOT = Path(__file__).parents[2]
SPEECH = ROOT / "tests" / "data" / "speech"
GAPS_MS = (100, 150, 200, 250, 300, 400)
HALVES = ("qebula-yazilmaq", "is-saatlari", "operator", "dogrudur", "lazim-deyil", "cersenbe", "sabah-onda", "telefon")
PAIRS = (("beli", "qebula-yazilmaq"), ("salam", "operator"), ("operator", "is-saatlari"), ("xeyr", "is-saatlari"))
_Samples = NDArray[np.float32]
GRADES = {Sufficiency.OPEN: "open", Sufficiency.ENOUGH: "suffices", Sufficiency.WHOLE: "whole"}


@dataclass
class Policy:
    """One way to end turns, and what came of it."""

    name: str
    settings: TurnSettings
    ends_by_sound: bool
    waited_ms: list[float] = field(default_factory=list)
    false: dict[int, int] = field(default_factory=dict)  # by the gap
    asked: int = 0


class Bench:
    def __init__(self) -> None:
        folder = ModelCache(ModelSettings().folder).require(WHISPER_BASE)
        self._whisper = Whisper(folder, RecogniserServerSettings())
        self._batch = SpeechBatch(SileroSession())
        self.repeats = 3
        self._read: dict[bytes, Reading] = {}
        flow = load_flow(ROOT / "bot/flows/library/klinika.flow.yaml")
        call = Rehearsal(flow, at=datetime(2026, 11, 23, 12, 0, tzinfo=ZoneInfo("Asia/Baku")))
        call.start()
        self._engine = call.engine
        self._prompt = prompt_of(self._engine.hints, limit_chars=RecogniserSettings().hint_chars)
        self.read(np.zeros(16_000, np.float32))

    def judge(self, text: str) -> Sufficiency:
        return self._engine.suffices(text)

    def read(self, samples: _Samples) -> Reading:
        key = samples.tobytes()
        if key not in self._read:
            asked = Request(samples, "az", self._prompt)
            heard, took_s = self._timed(asked)
            for _ in range(self.repeats - 1):
                took_s = min(took_s, self._timed(asked)[1])
            judged = heard.judged()
            self._read[key] = Reading(judged.text, 1000 * took_s)
        return self._read[key]

    def _timed(self, asked: Request) -> tuple[Heard, float]:
        began = time.process_time()
        heard = self._whisper.transcribe(asked)
        return heard, time.process_time() - began

    def turns(self, signal: _Samples, policy: Policy) -> list[EarTurn]:
        ear = Ear(
            signal,
            recognise=lambda began, ended: self.read(signal[began * 16 : ended * 16]),
            judge=self.judge,
            batch=self._batch,
            settings=policy.settings,
            ends_by_sound=policy.ends_by_sound,
        )
        turns = asyncio.run(ear.hear())
        policy.asked += ear.asked
        return turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise-db", type=float, nargs="*", default=[-60.0], help="one more round of all clips each")
    parser.add_argument("--whole", action="store_true", help="only the first table")
    arguments = parser.parse_args()
    bench = Bench()
    default = TurnSettings()
    policies = [
        Policy("pause of the speech model", default, ends_by_sound=False),
        Policy("end of the sound (the default)", default, ends_by_sound=True),
        Policy("… recognition after 40 ms of fall", TurnSettings(fade_ms=40), ends_by_sound=True),
        Policy("… whole answers at once", TurnSettings(whole_pause_ms=64), ends_by_sound=True),
    ]
    clips = {path.stem: telephone(samples_of(path.read_bytes())) for path in sorted(SPEECH.glob("*.wav"))}
    print(f"| clip | {' | '.join(policy.name for policy in policies)} | text |")
    print("|---|" + "--:|" * len(policies) + "---|")
    for noise_db, (name, clip) in itertools.product(arguments.noise_db, clips.items()):
        signal = _line(clip, noise_db)
        rows = [bench.turns(signal, policy) for policy in policies]
        for policy, turns in zip(policies, rows, strict=True):
            policy.waited_ms.append(turns[-1].ended_ms - sound_end_ms(signal))
        waited = " | ".join(f"{policy.waited_ms[-1]:.0f}" for policy in policies)
        last = rows[1][-1]
        grade = GRADES[bench.judge(last.text)]
        print(f"| {name} | {waited} | {last.text} ({grade}) |", flush=True)
    print("\n| turn ends by | p50 ms | p95 | recognitions a turn |\n|---|--:|--:|--:|")
    for policy in policies:
        waits = policy.waited_ms
        print(
            f"| {policy.name} | {np.median(waits):.0f} | {np.quantile(waits, 0.95):.0f} "
            f"| {policy.asked / len(waits):.1f} |"
        )
    if arguments.whole:
        return
    bench.repeats = 1
    for gap_ms, signal in _paused(clips):
        for policy in policies:
            policy.false.setdefault(gap_ms, 0)
            false = [turn for turn in bench.turns(signal, policy) if turn.ended_ms < sound_end_ms(signal)]
            policy.false[gap_ms] += bool(false)
    print(f"\n| false turns of {len(HALVES) + len(PAIRS)}, by pause | {' | '.join(f'{gap} ms' for gap in GAPS_MS)} |")
    print("|---|" + "--:|" * len(GAPS_MS))
    for policy in policies:
        print(f"| {policy.name} | {' | '.join(str(policy.false[gap]) for gap in GAPS_MS)} |")


def _paused(clips: dict[str, _Samples]) -> list[tuple[int, _Samples]]:
    found: list[tuple[int, _Samples]] = []
    for gap_ms in GAPS_MS:
        gap = np.zeros(16 * gap_ms, np.float32)
        for name in HALVES:
            clip = _trimmed(clips[name])
            at = _quietest(clip)
            found.append((gap_ms, _line(np.concatenate((clip[:at], gap, clip[at:])), -60.0)))
        for first, second in PAIRS:
            found.append((gap_ms, _line(np.concatenate((_trimmed(clips[first]), gap, _trimmed(clips[second]))), -60.0)))
    return found


def _line(clip: _Samples, noise_db: float) -> _Samples:
    signal = np.concatenate((np.zeros(16_000, np.float32), clip, np.zeros(32_000, np.float32)))
    noise = np.random.default_rng(1).normal(0, 10 ** (noise_db / 20), len(signal))
    return (signal + noise).astype(np.float32)


def _trimmed(clip: _Samples) -> _Samples:
    loud = np.nonzero(np.abs(clip) > 10 ** (-42 / 20))[0]
    return clip[loud[0] : loud[-1] + 1]


def _quietest(clip: _Samples) -> int:
    """Return the middle of the quietest 40 ms of the clip's second and third quarter: between two words, mostly."""
    power = np.convolve(clip.astype(np.float64) ** 2, np.ones(640), "same")
    quarter = len(clip) // 4
    return quarter + int(np.argmin(power[quarter : 3 * quarter]))


if __name__ == "__main__":
    main()
