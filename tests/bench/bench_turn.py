"""How long a caller who has finished waits for the end of the turn, in media time and CPU time: whatever else runs.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_turn.py

Clips over a telephone channel go frame by frame through voice detection, `SoundTrail` and `TurnMachine` as in a call;
a recognition takes the CPU time that Whisper needs for it, and one at a time runs. Sound ends where the load test says
so (-42 dBFS). What a caller waits beyond these figures is the way there and back (the load test's floor, 60 ms), HTTP
and the flow.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from bot.models.cache import ModelCache
from bot.models.registry import WHISPER_BASE
from bot.models.settings import ModelSettings
from bot.recognition.audio import samples_of
from bot.recognition.client import prompt_of
from bot.recognition.settings import RecogniserServerSettings, RecogniserSettings
from bot.recognition.whisper import Request, Whisper
from bot.settings import TurnSettings
from bot.sound_trail import SoundFaded, SoundReturned, SoundTrail
from bot.speech_batch import SpeechBatch
from bot.speech_detector import WINDOW_MS, SileroSession, SpeechDetector, level_db
from bot.turns import TurnEnded, TurnMachine, TurnPolicy
from bot.voice_activity import VoiceActivity, VoiceStarted, VoiceStopped
from tests.bench.channel import telephone

SPEECH = Path(__file__).parents[1] / "data" / "speech"
FRAME = 320
LEAD_MS = 200
LOUD_DB = -42.0


@dataclass
class Recognition:
    """One that runs: of what was said to `heard_ms`, done at `done_ms`."""

    done_ms: float
    text: str


@dataclass
class Outcome:
    waited_ms: float
    needless: int  # recognitions that the caller spoke on from
    text: str


class Bench:
    def __init__(self) -> None:
        folder = ModelCache(ModelSettings().folder).require(WHISPER_BASE)
        self._whisper = Whisper(folder, RecogniserServerSettings())
        flows = yaml.safe_load((SPEECH.parent / "understanding" / "utterances.yaml").read_text(encoding="utf-8"))
        self._hints = {
            name: prompt_of(
                tuple(phrase for intent in body["intents"].values() for phrase in intent["phrases"]),
                limit_chars=RecogniserSettings().hint_chars,
            )
            for name, body in flows.items()
            if "intents" in body
        }
        self.batch = SpeechBatch(SileroSession())
        self.recognise(np.zeros(16_000, np.float32), "clinic", 0.0)

    def recognise(self, samples: NDArray[np.float32], flow: str, at_ms: float) -> Recognition:
        prompt = self._hints.get(flow, self._hints["clinic"])
        took = []
        for _ in range(2):
            began = time.process_time()
            heard = self._whisper.transcribe(Request(samples, "az", prompt))
            took.append(time.process_time() - began)
        return Recognition(at_ms + 1000 * min(took), heard.text)

    async def turn(self, signal: NDArray[np.float32], flow: str, *, fade_ms: int) -> Outcome:
        ear = Ear(self, signal, flow, fade_ms=fade_ms)
        for frame in range(len(signal) // FRAME):
            ended = await ear.hear(frame)
            if ended is not None:
                return ended
        raise AssertionError("the turn did not end")


class Ear:
    """One turn, as `CallInput`, `TurnRecogniser` and `Dialogue` take it."""

    def __init__(self, bench: Bench, signal: NDArray[np.float32], flow: str, *, fade_ms: int) -> None:
        settings = TurnSettings()
        self._bench, self._signal, self._flow = bench, signal, flow
        self._detector = SpeechDetector(bench.batch)
        self._activity = VoiceActivity(
            threshold=settings.voice_threshold,
            release=settings.voice_release,
            start_ms=settings.start_ms,
            stop_ms=settings.pause_ms,
        )
        self._trail = SoundTrail(fade_ms=fade_ms or 100_000)
        self._trails = fade_ms > 0
        self._machine = TurnMachine(TurnPolicy(min_pause_ms=settings.min_pause_ms))
        self._request: Recognition | None = None
        self._needless = self._windows = 0
        self._began_ms: int | None = None

    async def hear(self, frame: int) -> Outcome | None:
        now_ms = 20 * (frame + 1)
        pcm = (self._signal[frame * FRAME : (frame + 1) * FRAME] * 32767).astype(np.int16)
        level = level_db(pcm.astype(np.float32))
        for probability in await self._detector.feed(pcm.tobytes(), speaking=self._activity.speaking):
            self._voice(probability, level, now_ms)
        if self._activity.speaking:
            event = self._trail.feed(level, noise_db=self._detector.noise_db, end_ms=now_ms)
            if isinstance(event, SoundFaded):
                self._ask(now_ms)
            elif isinstance(event, SoundReturned):
                self._give_up()
        return self._ended(now_ms)

    def _voice(self, probability: float, level: float, now_ms: int) -> None:
        event = self._activity.feed(probability, at_ms=self._windows * WINDOW_MS, window_ms=WINDOW_MS)
        self._windows += 1
        if isinstance(event, VoiceStarted):
            self._give_up()
            if self._began_ms is None:
                self._began_ms = event.began_at_ms - LEAD_MS
            self._machine.voice_started(began_at=event.began_at_ms / 1000)
            self._trail.begin([level], at_ms=now_ms)
        elif isinstance(event, VoiceStopped):
            ended_ms = min(event.ended_at_ms, self._trail.ended_at_ms) if self._trails else event.ended_at_ms
            self._machine.voice_stopped(ended_at=ended_ms / 1000)
            if self._request is None:
                self._ask(now_ms)

    def _ask(self, now_ms: int) -> None:
        assert self._began_ms is not None
        self._request = self._bench.recognise(self._signal[self._began_ms * 16 : now_ms * 16], self._flow, now_ms)

    def _give_up(self) -> None:
        self._needless += self._request is not None
        self._request = None

    def _ended(self, now_ms: int) -> Outcome | None:
        request = self._request
        if request is not None and not self._activity.speaking and request.done_ms <= now_ms:
            self._machine.recognised(request.text, sufficient=True, now=max(request.done_ms, now_ms - 20) / 1000)
        self._machine.handle_timer(now=now_ms / 1000)
        while (event := self._machine.poll()) is not None:
            if isinstance(event, TurnEnded) and request is not None and now_ms > _sound_end_ms(self._signal):
                waited_ms = max(now_ms - 20, request.done_ms) - _sound_end_ms(self._signal)
                return Outcome(waited_ms, self._needless, event.text)
        return None


def _sound_end_ms(signal: NDArray[np.float32]) -> int:
    blocks = signal[: len(signal) // 160 * 160].reshape(-1, 160)
    loud = np.nonzero(10 * np.log10((blocks**2).mean(axis=1) + 1e-12) > LOUD_DB)[0]
    return int(loud[-1] + 1) * 10


def main() -> None:
    bench = Bench()
    listing = yaml.safe_load((SPEECH / "manifest.yaml").read_text(encoding="utf-8"))["clips"]
    rows: dict[int, list[Outcome]] = {0: [], TurnSettings().fade_ms: []}
    line = np.random.default_rng(1)
    print("| clip | at the pause ms | at the fall | needless | text at the pause | text at the fall |")
    print("|---|--:|--:|--:|---|---|")
    for entry in listing:
        clip = telephone(samples_of((SPEECH / entry["file"]).read_bytes()))
        signal = np.concatenate((np.zeros(16_000, np.float32), clip, np.zeros(32_000, np.float32)))
        signal = signal + line.normal(0, 10 ** (-60 / 20), len(signal)).astype(np.float32)
        for fade_ms, outcomes in rows.items():
            outcomes.append(asyncio.run(bench.turn(signal, entry.get("flow", "clinic"), fade_ms=fade_ms)))
        before, after = (outcomes[-1] for outcomes in rows.values())
        print(
            f"| {entry['file']} | {before.waited_ms:.0f} | {after.waited_ms:.0f} | {after.needless} "
            f"| {before.text} | {after.text} |"
        )
    for fade_ms, outcomes in rows.items():
        waited = [outcome.waited_ms for outcome in outcomes]
        print(
            f"fade_ms {fade_ms}: p50 {np.median(waited):.0f}, p95 {np.quantile(waited, 0.95):.0f} ms, "
            f"{sum(outcome.needless for outcome in outcomes)} needless recognitions of {len(outcomes)} turns"
        )


if __name__ == "__main__":
    main()
