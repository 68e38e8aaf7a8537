"""espeak-ng says sentences: a process a core, each with an espeak-ng process of its own, since that one is GPL.

Clips are trimmed and levelled as `zeng finetune prepare` does it, at 24 kHz, and lie as int16 in one flat array with
200 ms of silence after each: crops for the codec need no more, and whole clips are slices of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import soxr

from finetune.data.loudness import levelled
from finetune.data.settings import TrimSettings
from finetune.demo.sentences import SPEAKERS, Sentence, read_sentences, write_sentences
from finetune.errors import CorpusError
from tts_engine.backend import espeak_process
from tts_engine.backend.espeak_process import AUDIO, END, READY, EspeakJob, read_frame

RATE_HZ = 24_000
_TRIM = TrimSettings()
_LUFS = -23.0
_TAIL = RATE_HZ // 5
_PROJECT = Path(espeak_process.__file__).parents[2]

Pcm = npt.NDArray[np.int16]
Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sentences, and where each is in the flat sound: [start, end) in samples, the silence after it left out.

    Those to train on come first, so that a crop of `training_sound` is never of one that is held out.
    """

    sentences: list[Sentence]
    places: npt.NDArray[np.int64]
    sound: Pcm

    @property
    def training_sound(self) -> Pcm:
        held_out = [n for n, row in enumerate(self.sentences) if row.split == "held_out"]
        return self.sound[: self.places[held_out[0], 0]] if held_out else self.sound

    def clip(self, index: int) -> Samples:
        """Give a clip as samples in -1..1."""
        start, end = self.places[index]
        return self.sound[start:end].astype(np.float32) / np.float32(32768)


def synthesise(rows: Sequence[Sentence], *, processes: int) -> Corpus:
    """Say all sentences; those that make no sound are left out."""
    parts = [rows[n :: processes * 4] for n in range(processes * 4)]
    with ProcessPoolExecutor(processes) as pool:
        said = [pair for part in pool.map(_say_all, parts) for pair in part]
    said = sorted((pair for pair in said if len(pair[1])), key=lambda pair: (pair[0].split != "train", pair[0].id))
    if not said:
        raise CorpusError("espeak-ng said nothing")
    silence = np.zeros(_TAIL, np.int16)
    lengths = np.array([len(pcm) for _, pcm in said], np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths + _TAIL)[:-1])).astype(np.int64)
    places = np.stack((starts, starts + lengths), 1)
    return Corpus([row for row, _ in said], places, np.concatenate([x for _, pcm in said for x in (pcm, silence)]))


def write_corpus(folder: Path, corpus: Corpus) -> None:
    """Write `sentences.jsonl`, `places.npy` and `sound.npy`; sentences last: with them it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "sound.npy", corpus.sound)
    np.save(folder / "places.npy", corpus.places)
    write_sentences(folder / "sentences.jsonl", corpus.sentences)


def read_corpus(folder: Path) -> Corpus:
    """Open a corpus; the sound stays on disk until it is used."""
    path = folder / "sentences.jsonl"
    if not path.exists():
        raise CorpusError(f"{path} is missing; `python -m finetune.demo corpus` makes it")
    return Corpus(read_sentences(path), np.load(folder / "places.npy"), np.load(folder / "sound.npy", mmap_mode="r"))


def banded(sound: Pcm, rate_hz: int) -> Pcm:
    """Leave of sound at 24 kHz what a lower rate carries."""
    low = soxr.resample(sound, RATE_HZ, rate_hz)
    made = np.asarray(soxr.resample(low, rate_hz, RATE_HZ), np.int16)
    return np.pad(made, (0, max(len(sound) - len(made), 0)))[: len(sound)]


def _say_all(rows: Sequence[Sentence]) -> list[tuple[Sentence, Pcm]]:
    espeak = _Espeak()
    try:
        return [(row, espeak.say(row)) for row in rows]
    finally:
        espeak.close()


class _Espeak:
    """One espeak-ng process, spoken to over its pipes."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(_PROJECT), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", espeak_process.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._jobs, self._answers = self._process.stdin, cast("BinaryIO", self._process.stdout)
        hello = read_frame(self._answers)
        if hello is None or hello[0] != READY:
            self.close()
            raise CorpusError(f"espeak-ng does not start: {hello}")
        self._rate_hz = int(json.loads(hello[1])["sample_rate_hz"])

    def say(self, row: Sentence) -> Pcm:
        speaker = SPEAKERS[row.speaker]
        voice = f"{row.language}+{speaker.variant}"
        self._jobs.write(EspeakJob(voice, speaker.words_per_minute, speaker.pitch, row.text).frame())
        self._jobs.flush()
        sound = bytearray()
        while (answer := read_frame(self._answers)) is not None:
            kind, payload = answer
            if kind == AUDIO:
                sound += payload
            elif kind == END:
                return _levelled(np.frombuffer(bytes(sound), np.int16), self._rate_hz)
            else:
                raise CorpusError(f"espeak-ng cannot say {row.text!r}: {payload.decode()}")
        raise CorpusError(f"espeak-ng ended at {row.text!r}")

    def close(self) -> None:
        self._jobs.close()  # which ends it
        self._answers.close()
        self._process.wait()


def _levelled(pcm: Pcm, rate_hz: int) -> Pcm:
    loud = np.flatnonzero(np.abs(pcm) > 100)
    if not len(loud):
        return np.zeros(0, np.int16)
    lead, tail = (rate_hz * ms // 1000 for ms in (_TRIM.lead_ms, _TRIM.tail_ms))
    pcm = pcm[max(loud[0] - lead, 0) : loud[-1] + tail]
    sound = np.asarray(soxr.resample(pcm.astype(np.float32) / 32768, rate_hz, RATE_HZ), np.float32)
    return (levelled(sound, lufs=_LUFS, peak_dbfs=-1.0) * 32767).astype(np.int16)
