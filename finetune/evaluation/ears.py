"""What hears a sentence beside the ruler: a recogniser, DNSMOS and a speaker encoder, each if it is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from finetune.data.audio import Samples
from finetune.data.dnsmos import dnsmos, dnsmos_path
from finetune.data.recognition import Recognise, error_rate
from finetune.evaluation.speaker import Embedding, SpeakerEncoder, centroid, speaker_path


@dataclass(frozen=True, slots=True)
class Heard:
    """Character error rate, DNSMOS of the whole (1 to 5), similarity to the voice (0 to 1); None is not measured."""

    error_rate: float | None = None
    mos: float | None = None
    speaker_similarity: float | None = None


NAMES = tuple(Heard.__slots__)


@dataclass(frozen=True, slots=True)
class Ears:
    """All that can hear, and the voice it compares with."""

    recognise: Recognise | None = None
    mos_path: Path | None = None
    speaker: SpeakerEncoder | None = None
    voice: Embedding | None = None

    def hear(self, samples: Samples, text: str) -> Heard:
        """Judge a sound at 24 kHz that is meant to say the text."""
        embedding = self.speaker.embed(samples) if self.speaker and self.voice is not None and len(samples) else None
        return Heard(
            error_rate=error_rate(self.recognise(samples), text) if self.recognise else None,
            mos=dnsmos(samples, self.mos_path).overall if self.mos_path and len(samples) else None,
            speaker_similarity=None if embedding is None or self.voice is None else float(embedding @ self.voice),
        )


def open_ears(recognise: Recognise | None, recordings: Iterable[Samples]) -> Ears:
    """Open what is installed; the recordings are those of the voice to be compared with."""
    path = speaker_path()
    speaker = SpeakerEncoder(path) if path else None
    found = [vector for sound in recordings if speaker and (vector := speaker.embed(sound)) is not None]
    return Ears(recognise, dnsmos_path(), speaker, centroid(found) if found else None)


def means(heard: Iterable[Heard], suffix: str = "") -> dict[str, float]:
    """Give the mean of each measure that was taken, by its name."""
    kept = list(heard)
    values = {name: [v for one in kept if (v := getattr(one, name)) is not None] for name in NAMES}
    return {f"{name}{suffix}": fmean(own) for name, own in values.items() if own}
