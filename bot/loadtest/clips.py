"""What callers say: WAVs with a manifest, and sounds made here; each as frames for a leg and where its voice lies."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bot.errors import SettingsError
from bot.loadtest.sound import RATE_HZ, Samples, levels, stretches
from telephony.audio.frame import pcm_of
from telephony.audio.resample import Resampler
from telephony.leg import OUTPUT_FRAME_BYTES, OUTPUT_RATE_HZ

SHIPPED = Path(__file__).parent / "speech"
_COUGH_S = 0.25
_TONE_S = 0.1
_TAIL_S = 0.1  # of silence after a sound made here


@dataclass(frozen=True, slots=True)
class Clip:
    """One utterance: frames of 20 ms at 24 kHz; its voice from `begin_ms` to `end_ms`."""

    frames: tuple[bytes, ...]
    begin_ms: float
    end_ms: float


def clip_of(samples: Samples) -> Clip:
    """Make a clip of 16 kHz samples; raises `SettingsError` for one without a voice."""
    step = RATE_HZ // 50
    whole = np.pad(samples, (0, -len(samples) % step)).astype(np.int16)
    voice = stretches(levels(whole), join_s=10.0)
    if not voice:
        raise SettingsError("a clip has no sound in it: record it louder")
    pcm = pcm_of(Resampler(RATE_HZ, OUTPUT_RATE_HZ).feed(whole))
    frames = tuple(pcm[at : at + OUTPUT_FRAME_BYTES] for at in range(0, len(pcm), OUTPUT_FRAME_BYTES))
    return Clip(frames, voice[0].begin_s * 1000, voice[-1].end_s * 1000)


def cough(seed: int = 7) -> Clip:
    """A quarter of a second of noise that dies away: loud, short, no voice."""
    count = int(RATE_HZ * _COUGH_S)
    noise = np.random.default_rng(seed).standard_normal(count) * np.exp(-np.linspace(0, 5, count))
    return clip_of(np.pad((9000 * noise).clip(-32767, 32767), (0, int(RATE_HZ * _TAIL_S))).astype(np.int16))


def tone() -> Clip:
    """100 ms of 1 kHz with sharp edges, to time an echo by."""
    at = np.arange(int(RATE_HZ * _TONE_S)) / RATE_HZ
    return clip_of(np.pad(12000 * np.sin(2 * np.pi * 1000 * at), (0, int(RATE_HZ * _TAIL_S))).astype(np.int16))


def read_wav(path: Path) -> Samples:
    """Read a mono PCM16 WAV as 16 kHz; raises `SettingsError` for another kind."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2 or file.getnchannels() != 1:
                raise SettingsError(f"{path}: a clip is mono PCM16")
            rate, data = file.getframerate(), file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise SettingsError(f"{path}: {error}") from error
    samples = np.frombuffer(data, "<i2")
    if rate == RATE_HZ:
        return samples
    from scipy.signal import resample_poly  # noqa: PLC0415  # slow to import, seldom needed

    return resample_poly(samples.astype(np.float64), RATE_HZ, rate).clip(-32767, 32767).astype(np.int16)


class ClipLibrary:
    """Finds what a plan's `user` names: a file of one of the folders, or the text that a manifest gives for it."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._files: dict[str, Path] = {}
        for folder in (SHIPPED, *reversed(folders)):
            self._index(folder)
        self._loaded: dict[str, Clip] = {"cough": cough(), "tone": tone()}

    def _index(self, folder: Path) -> None:
        for path in sorted(folder.glob("*.wav")):
            self._files[path.stem] = self._files[path.name] = path
        manifest = folder / "manifest.yaml"
        if manifest.is_file():
            try:
                entries: list[dict[str, Any]] = yaml.safe_load(manifest.read_text(encoding="utf-8"))["clips"]
                self._files.update({_key(entry["text"]): folder / str(entry["file"]) for entry in entries})
            except (UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
                raise SettingsError(f"{manifest}: write `clips:` and below it `- {{text: …, file: …}}`") from error

    def get(self, name: str) -> Clip:
        """Give a clip; raises `SettingsError` with what there is."""
        if name not in self._loaded:
            path = self._files.get(name) or self._files.get(_key(name))
            if path is None:
                known = ", ".join(sorted({path.stem for path in self._files.values()}))
                raise SettingsError(f"no clip says {name!r}; known: {known}; add a folder under `clips` of the plan")
            self._loaded[name] = clip_of(read_wav(path))
        return self._loaded[name]


def _key(text: str) -> str:
    return text.casefold().rstrip(".!?").strip()
