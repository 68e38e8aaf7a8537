"""Sound files to 24 kHz mono float32, and what can be measured of them before that."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from finetune.data.container import is_uncounted_mp3, missing_bytes, piped
from finetune.data.reasons import Reason, Rejected

RATE_HZ = 24_000
Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recording:
    """samples [N] float32 in -1..1 at 24 kHz; what was measured before resampling."""

    samples: Samples
    clipped_share: float

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE_HZ


def decode(
    sound: Path | bytes, *, start_s: float | None, end_s: float | None, rate_min_hz: int, seconds_max: float
) -> Recording:
    """Read a file or a part of it; raises Rejected. A long file is refused by its header, before it fills memory."""
    try:
        if isinstance(sound, Path):
            _check_file(sound)
        elif not sound:
            raise Rejected(Reason.AUDIO_EMPTY)
        with sound.open("rb") if isinstance(sound, Path) else io.BytesIO(sound) as raw:
            if missing := missing_bytes(raw):
                raise Rejected(Reason.AUDIO_TRUNCATED, f"{missing} bytes are missing")
            uncounted = is_uncounted_mp3(raw)
            known = sound if isinstance(sound, Path) else io.BytesIO(sound)
            with piped(raw) if uncounted else soundfile.SoundFile(known) as file:
                rate = int(file.samplerate)
                if rate < rate_min_hz:
                    raise Rejected(Reason.AUDIO_RATE_LOW, f"{rate} Hz")
                if uncounted:
                    until_s = (start_s or 0.0) + seconds_max if end_s is None else end_s
                    data, frames = _read_on(file, round((start_s or 0.0) * rate), round((until_s + 1.0) * rate))
                    _, count = _part(frames, rate, start_s, end_s, seconds_max)
                    data = data[:count]
                else:
                    first, count = _part(file.frames, rate, start_s, end_s, seconds_max)
                    file.seek(first)
                    data = np.asarray(file.read(count, dtype="float32", always_2d=True), np.float32)
    except (soundfile.SoundFileError, OSError, TypeError) as error:  # the last of a .raw file, which has no header
        raise Rejected(Reason.AUDIO_UNREADABLE, str(error)) from error
    if len(data) < count:
        raise Rejected(Reason.AUDIO_TRUNCATED, f"{len(data)} of {count} samples")
    return _recording(data, rate)


def _read_on(file: soundfile.SoundFile, first: int, last: int) -> tuple[npt.NDArray[np.float32], int]:
    """Read sound of unknown length: samples [N, channels] from `first` on, and how many there are up to `last`."""
    blocks = [np.zeros((0, file.channels), np.float32)]
    at = 0
    while at < last and len(block := file.read(min(last - at, 65_536), dtype="float32", always_2d=True)):
        blocks.append(np.asarray(block[max(first - at, 0) :], np.float32))
        at += len(block)
    return np.concatenate(blocks), at


def read_clip(path: Path) -> Samples:
    """Read a clip that `prepare` wrote: 24 kHz mono."""
    return np.asarray(soundfile.read(path, dtype="float32")[0], np.float32)


def write_flac(path: Path, samples: Samples | npt.NDArray[np.int16]) -> None:
    """Write 24 kHz mono as FLAC of 16 bits; raises OSError.

    Made in memory first: on a full disk libsndfile names no reason, and of the last block it says nothing at all.
    """
    made = io.BytesIO()
    soundfile.write(made, samples, RATE_HZ, format="FLAC", subtype="PCM_16")
    path.write_bytes(made.getbuffer())


def _check_file(path: Path) -> None:
    if not path.exists():
        raise Rejected(Reason.AUDIO_MISSING, path.name)
    if not path.is_file():
        raise Rejected(Reason.AUDIO_NOT_A_FILE, path.name)
    if not path.stat().st_size:
        raise Rejected(Reason.AUDIO_EMPTY, path.name)


def _part(frames: int, rate: int, start_s: float | None, end_s: float | None, seconds_max: float) -> tuple[int, int]:
    if frames == 0:
        raise Rejected(Reason.AUDIO_EMPTY)
    first = round((start_s or 0.0) * rate)
    last = frames if end_s is None else round(end_s * rate)
    slack = rate // 20  # manifests round to hundredths
    if not 0 <= first < last or last > frames + slack:
        raise Rejected(Reason.SEGMENT_INVALID, f"{start_s} to {end_s} s of {frames / rate:.2f} s")
    last = min(last, frames)
    if (last - first) / rate > seconds_max:
        raise Rejected(Reason.RECORDING_TOO_LONG, f"{(last - first) / rate:.0f} s")
    return first, last - first


def _recording(data: npt.NDArray[np.float32], rate: int) -> Recording:
    if not np.isfinite(data).all():
        raise Rejected(Reason.AUDIO_NOT_FINITE)
    mono = _mono(data)
    if np.abs(mono).max() < 1e-4:
        raise Rejected(Reason.AUDIO_SILENT)
    clipped = _clipped_share(mono)
    mono = mono - mono.mean(dtype=np.float64).astype(np.float32)
    if rate != RATE_HZ:
        mono = soxr.resample(mono, rate, RATE_HZ, quality="VHQ")
    return Recording(np.ascontiguousarray(mono, np.float32), clipped)


def _mono(data: npt.NDArray[np.float32]) -> Samples:
    """Mix channels; if they cancel out (one has its wires crossed), take the loudest."""
    mixed = data.mean(axis=1)
    levels = np.sqrt((data.astype(np.float64) ** 2).mean(axis=0))
    if np.sqrt((mixed.astype(np.float64) ** 2).mean()) < 0.3 * levels.max():
        return data[:, levels.argmax()]
    return mixed


def _clipped_share(samples: Samples) -> float:
    """Share of samples in flat tops: three or more neighbours at the very peak, which is near full scale."""
    peak = float(np.abs(samples).max())
    if peak < 0.9:
        return 0.0
    top = np.abs(samples) >= 0.999 * peak
    runs = top[:-2] & top[1:-1] & top[2:]
    return float(runs.mean()) if len(runs) else 0.0


def bandwidth_hz(samples: Samples) -> float:
    """Find the highest frequency within 60 dB of the strongest: it tells telephone sound in a 24 kHz file."""
    size = 1024
    if len(samples) < size:
        return 0.0
    blocks = samples[: len(samples) // size * size].reshape(-1, size) * np.hanning(size)
    power = (np.abs(np.fft.rfft(blocks, axis=1)) ** 2).mean(axis=0)
    return float(np.flatnonzero(power > power.max() * 1e-6)[-1] * RATE_HZ / size)
