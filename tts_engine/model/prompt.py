"""What CSM is given: turns of text and audio codes, then the text to be said. Shared by serving and training.

A turn is `bos "[speaker]text" eos`, then its frames of codes and one frame of zeros (audio end) if it has audio. The
last turn has text only and the model goes on with its frames. Each id or frame takes one of the 2,048 positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from tts_engine.model.errors import PromptError

Codes = npt.NDArray[np.int16]
"""Frames of codes, [frames, codebooks]."""

Tokens = npt.NDArray[np.int32]

AUDIO = -1
"""In `Prompt.tokens`: this position is a frame, its codes are in the same row of `Prompt.codes`."""


class Tokenizer(Protocol):
    bos_id: int
    eos_id: int

    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ContextTurn:
    """An earlier turn. `codes` None is a turn of which only the text is known.

    Who quotes the same one again has it read once: its ids are kept for as long as it is, and no longer.
    """

    speaker: int
    text: str
    codes: Codes | None


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Passage:
    """Text, then the frames of its sound: a turn, as a prompt has it. Whoever quotes the turn again has the same one.

    So what an engine makes of it can be kept beside it, weakly, and a prompt put together of what is known.
    """

    tokens: Tokens  # [positions] int32, of the text
    frames: tuple[Codes, ...] = ()  # one after another, contiguous; the last of them is the frame of zeros

    def __len__(self) -> int:
        return len(self.tokens) + self.frame_count

    @property
    def frame_count(self) -> int:
        """How many positions are frames."""
        return sum(map(len, self.frames))


@dataclass(frozen=True, slots=True)
class Prompt:
    """Passages of one turn each, then the text to be said. `dropped` turns were left out at the front to make room."""

    passages: tuple[Passage, ...]
    num_codebooks: int
    dropped: int = 0

    @classmethod
    def of(cls, tokens: Tokens, codes: Codes) -> Prompt:
        """Make the prompt whose `tokens` and `codes` these are."""
        audio = tokens == AUDIO
        begins = np.flatnonzero(~audio & np.concatenate([[False], audio[:-1]]))  # a text after frames
        passages = [
            Passage(part[part != AUDIO], (np.ascontiguousarray(frames[part == AUDIO]),))
            for part, frames in zip(np.split(tokens, begins), np.split(codes, begins), strict=True)
        ]
        return cls(tuple(passages), codes.shape[1])

    def __len__(self) -> int:
        return sum(map(len, self.passages))

    @property
    def tokens(self) -> Tokens:
        """Tokens [positions] int32, AUDIO where the position is a frame; made anew each time."""
        parts: list[Tokens] = []
        for passage in self.passages:
            parts += (passage.tokens, np.full(passage.frame_count, AUDIO, np.int32))
        return np.concatenate(parts)

    @property
    def codes(self) -> Codes:
        """Codes [positions, codebooks] int16, zeros where the position is text; made anew each time."""
        parts: list[Codes] = []
        for passage in self.passages:
            parts += (np.zeros((len(passage.tokens), self.num_codebooks), np.int16), *passage.frames)
        return np.concatenate(parts)

    def frame_bytes(self) -> bytes:
        """Return the codes of all frames, one frame after another: little-endian int16."""
        return b"".join(frames.data for passage in self.passages for frames in passage.frames)

    def frames_within(self, positions: int) -> int:
        """How many of the first `positions` are frames."""
        count = 0
        for passage in self.passages:
            count += min(max(positions - len(passage.tokens), 0), passage.frame_count)
            positions -= len(passage)
        return count


class PromptBuilder:
    """Builds prompts for one checkpoint.

    `positions` is what the model has; of these `reserve_frames` stay free for what is to be generated. Turns are left
    out whole, oldest first, and when one must go so many go that a quarter of the room is free: every trim makes the
    engine read the rest anew, so a trim a turn would cost a prefill a turn.
    """

    def __init__(self, tokenizer: Tokenizer, *, num_codebooks: int, codebook_size: int, positions: int) -> None:
        self._tokenizer = tokenizer
        self._num_codebooks, self._codebook_size = num_codebooks, codebook_size
        self._read: WeakKeyDictionary[ContextTurn, Passage] = WeakKeyDictionary()  # holds codes, which are the turn's
        self._end = np.zeros((1, num_codebooks), np.int16)
        self.positions = positions

    def build(
        self, text: str, *, speaker: int, context: Sequence[ContextTurn] = (), pinned: int = 0, reserve_frames: int
    ) -> Prompt:
        """Build the prompt for saying `text`; the first `pinned` turns (the voice's own sample) are never left out.

        Raises PromptError if text is empty, codes are not codes, or text and pinned turns alone do not fit.
        """
        if not text.strip():
            raise PromptError("there is no text to say", field="text")
        last = self._text(speaker, text)
        turns = [self._passage(turn) for turn in context]
        room = self.positions - reserve_frames - len(last)
        fixed = sum(map(len, turns[:pinned]))
        if fixed > room:
            raise PromptError(
                f"the text takes {len(last)} positions and the voice's sample {fixed}, but of {self.positions} "
                f"{reserve_frames} are kept for speech: split the text",
                field="text",
            )
        grain = max(self.positions // 8, 1)  # so that a text a little longer does not move the cut
        asked = -(-len(last) // grain) * grain
        quotable = max(self.positions - reserve_frames - asked - fixed, 0)
        dropped = _to_drop([len(turn) for turn in turns[pinned:]], quotable)
        passages = (*turns[:pinned], *turns[pinned + dropped :], Passage(last))
        return Prompt(passages, self._num_codebooks, dropped)

    def turn(self, turn: ContextTurn) -> tuple[Tokens, Codes]:
        """Tokens [n] and codes [n, codebooks] of one earlier turn."""
        alone = Prompt((self._passage(turn),), self._num_codebooks)
        return alone.tokens, alone.codes

    def _passage(self, turn: ContextTurn) -> Passage:
        passage = self._read.get(turn)
        if passage is None:
            frames: tuple[Codes, ...] = ()
            if turn.codes is not None and len(turn.codes):
                self._check(turn.codes)
                frames = (np.ascontiguousarray(turn.codes), self._end)
            passage = self._read[turn] = Passage(self._text(turn.speaker, turn.text), frames)
        return passage

    def _text(self, speaker: int, text: str) -> Tokens:
        ids = self._tokenizer.encode(f"[{speaker}]{text}")
        return np.array([self._tokenizer.bos_id, *ids, self._tokenizer.eos_id], np.int32)

    def _check(self, codes: Codes) -> None:
        if codes.ndim != 2 or codes.shape[1] != self._num_codebooks or codes.dtype != np.int16:
            raise PromptError(
                f"codes are {codes.dtype} {codes.shape}, not int16 (frames, {self._num_codebooks})", field="codes"
            )
        if codes.min() < 0 or codes.max() >= self._codebook_size:
            raise PromptError(f"codes must be 0 to {self._codebook_size - 1}", field="codes")


def _to_drop(lengths: Sequence[int], room: int) -> int:
    """How many of the oldest turns to leave out so that the rest fit in `room`, in hops of a quarter of the room.

    The number is a function of the turns from the first on, not of the last trim, so it stays the same from one turn
    to the next until the next hop is due, and the cached beginning stays good.
    """
    total, hop = sum(lengths), max(room // 4, 1)
    if total <= room:
        return 0
    excess = -(-(total - room) // hop) * hop
    dropped = 0
    while dropped < len(lengths) and excess > 0:
        excess -= lengths[dropped]
        dropped += 1
    return dropped
