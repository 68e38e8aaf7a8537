"""What the voice gate saves and whether a voice is found as early with it: clips on lines of several kinds.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_voice_gate.py

Each clip is said twice with silence around it, so that half of the time nobody speaks. Without the gate every window is
scored, as Silero's authors do.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.recognition.audio import samples_of
from bot.settings import TurnSettings
from bot.speech_detector import WINDOW_MS, SileroSession, SpeechDetector
from bot.voice_activity import VoiceActivity, VoiceStarted, VoiceStopped

SPEECH = Path(__file__).parents[1] / "data" / "speech"
LINES = (  # noise, its level in dBFS, the speech in dB against the usual
    ("digital silence", -120.0, 0.0),
    ("digital silence", -120.0, -20.0),
    ("digital silence", -120.0, -32.0),
    ("white noise", -60.0, 0.0),
    ("white noise", -45.0, 0.0),
    ("white noise", -45.0, -14.0),
    ("white noise", -30.0, -3.0),
    ("pink noise", -45.0, -10.0),
)


class Counting:
    """A model that counts how often it is asked."""

    def __init__(self, session: SileroSession) -> None:
        self._session = session
        self.asked = 0

    async def score(self, window: NDArray[np.float32], state: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        self.asked += 1
        probabilities, states = self._session.score(window, state)
        return float(probabilities[0]), states


class Open:
    """No gate."""

    is_open = True
    noise_db = -66.0

    def hears(self, level_db: float) -> bool:
        return True

    def scored(self, probability: float, *, speaking: bool) -> None:
        pass


@dataclass
class Heard:
    starts_ms: list[int] = field(default_factory=list)  # when they were noticed
    ends_ms: list[int] = field(default_factory=list)


async def listen(model: Counting, pcm: bytes, *, gate: bool) -> Heard:
    settings, heard = TurnSettings(), Heard()
    detector = SpeechDetector(model)
    if not gate:
        detector._gate = Open()  # type: ignore[assignment]
    activity = VoiceActivity(
        threshold=settings.voice_threshold, release=settings.voice_release, start_ms=settings.start_ms,
        stop_ms=settings.pause_ms,
    )  # fmt: skip
    windows = 0
    for start in range(0, len(pcm), 640):
        for probability in await detector.feed(pcm[start : start + 640], speaking=activity.speaking):
            event = activity.feed(probability, at_ms=windows * WINDOW_MS, window_ms=WINDOW_MS)
            windows += 1
            if isinstance(event, VoiceStarted):
                heard.starts_ms.append(windows * WINDOW_MS)
            elif isinstance(event, VoiceStopped):
                heard.ends_ms.append(event.ended_at_ms)
    return heard


def noise(kind: str, count: int, level_db: float, dice: np.random.Generator) -> NDArray[np.float64]:
    sound = dice.normal(0, 1, count)
    if kind == "pink noise":
        spectrum = np.fft.rfft(sound)
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        sound = np.fft.irfft(spectrum, count)
    return sound / np.sqrt(np.mean(sound**2)) * 10 ** (level_db / 20)


async def main() -> None:
    session, dice = SileroSession(), np.random.default_rng(3)
    print("| line | speech dB | voices found without | with the gate | noticed later ms: mean, worst | scored |")
    print("|---|--:|--:|--:|--:|--:|")
    for kind, level_db, gain_db in LINES:
        models = {gate: Counting(session) for gate in (False, True)}
        late: list[int] = []
        found = {False: 0, True: 0}
        for path in sorted(SPEECH.glob("*.wav")):
            clip = samples_of(path.read_bytes()) * 10 ** (gain_db / 20)
            signal = np.concatenate((np.zeros(48_000), clip, np.zeros(24_000), clip, np.zeros(32_000)))
            signal = signal + noise(kind, len(signal), level_db, dice)
            pcm = np.rint(np.clip(signal, -1, 1) * 32_767).astype(np.int16).tobytes()
            heard = {gate: await listen(models[gate], pcm, gate=gate) for gate in models}
            for gate, one in heard.items():
                found[gate] += len(one.starts_ms)
            if found[False] == found[True]:
                late += [b - a for a, b in zip(heard[False].starts_ms, heard[True].starts_ms, strict=False)]
        level = "" if level_db < -100 else f" {level_db:.0f} dBFS"
        print(
            f"| {kind}{level} | {gain_db:.0f} | {found[False]} | {found[True]} | {np.mean(late):.0f}, {max(late)} "
            f"| {100 * models[True].asked / models[False].asked:.0f} % |",
            flush=True,
        )


if __name__ == "__main__":
    asyncio.run(main())
