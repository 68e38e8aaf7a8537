"""One training sample: the server's own prompt, with what is to be learned marked in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tts_engine.model.prompt import AUDIO, Codes, ContextTurn, PromptBuilder

Mask = npt.NDArray[np.bool_]
Part = tuple[npt.NDArray[np.int32], Codes]


@dataclass(frozen=True, slots=True)
class TrainingTurn:
    """A turn with its sound; context turns are only read, the loss is on `target` turns."""

    speaker: int
    text: str
    codes: Codes
    target: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """tokens [P] int32 (AUDIO for a frame), codes [P, codebooks] int16, target [P] and end [P] bool.

    `target` marks the frames to be predicted, end frames among them; `end` marks all end frames.
    """

    tokens: npt.NDArray[np.int32]
    codes: Codes
    target: Mask
    end: Mask

    def __len__(self) -> int:
        return len(self.tokens)


def build_sample(builder: PromptBuilder, turns: Sequence[TrainingTurn]) -> Sample:
    """Lay turns one after the other as `PromptBuilder` does for the server; raises PromptError for bad codes."""
    return joined([laid(builder, turn) for turn in turns], [turn.target for turn in turns])


def laid(builder: PromptBuilder, turn: TrainingTurn) -> Part:
    """Lay one turn: tokens [P], codes [P, codebooks]."""
    return builder.turn(ContextTurn(turn.speaker, turn.text, turn.codes))


def joined(parts: Sequence[Part], targets: Sequence[bool]) -> Sample:
    """Join laid turns; the loss is on those that are targets."""
    if len(parts) == 1:  # as most are
        (tokens, codes), (wanted,) = parts[0], targets
        end = np.zeros(len(tokens), np.bool_)
        end[-1] = tokens[-1] == AUDIO
        return Sample(tokens, codes, (tokens == AUDIO) & wanted, end)
    tokens = np.concatenate([tokens for tokens, _ in parts])
    target = np.concatenate([(t == AUDIO) & wanted for (t, _), wanted in zip(parts, targets, strict=True)])
    end = np.zeros(len(tokens), np.bool_)
    # a turn with sound ends with its end frame
    end[np.cumsum([len(t) for t, _ in parts])[[t[-1] == AUDIO for t, _ in parts]] - 1] = True
    return Sample(tokens, np.concatenate([codes for _, codes in parts]), target, end)


def without_ends(sample: Sample) -> Sample:
    """Leave the ends out of what is predicted, as transformers before 4.53 did."""
    return replace(sample, target=sample.target & ~sample.end)


def depth_masks(samples: Sequence[Sample], *, share: float, rng: np.random.Generator) -> list[Mask]:
    """[P] bool each: the target frames whose codebooks from 1 on are trained: a share of them, and every end frame.

    How many there are depends on the sample and the share alone, never on the draw (`depth_count`). All samples of a
    batch are drawn for at once: a generator for each would take longer than all the rest of making the batch.
    """
    target = np.concatenate([sample.target for sample in samples])
    end = np.concatenate([sample.end for sample in samples])
    ends = np.cumsum([len(sample) for sample in samples])
    sound = np.flatnonzero(target & ~end)
    owner = np.searchsorted(ends, sound, side="right")
    frames = np.bincount(owner, minlength=len(samples))
    # the first few of each sample's frames in a random order
    order = np.argsort(owner + rng.random(len(sound)))
    place = np.arange(len(sound)) - np.repeat(np.cumsum(frames) - frames, frames)
    wanted = np.array([_drawn(int(count), share) for count in frames], np.int64)
    chosen = target & end
    chosen[sound[order[place < np.repeat(wanted, frames)]]] = True
    return np.split(chosen, ends[:-1])


def depth_count(*, sound: int, ends: int, share: float) -> int:
    """How many frames `depth_masks` marks in a sample of so many target frames of sound and ends."""
    return ends + _drawn(sound, share)


def _drawn(frames: int, share: float) -> int:
    return min(frames, max(1, round(frames * share))) if frames else 0
