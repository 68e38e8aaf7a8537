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


@dataclass(frozen=True, slots=True)
class Prompt:
    """tokens [positions] int32, AUDIO where the position is a frame; codes [positions, codebooks] int16, else zeros.

    `dropped` turns were left out at the front to make room.
    """

    tokens: npt.NDArray[np.int32]
    codes: Codes
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.tokens)


class PromptBuilder:
    """Builds prompts for one checkpoint.

    `positions` is what the model has; of these `reserve_frames` stay free for what is to be generated. Turns are left
    out whole, oldest first, and when one must go so many go that a quarter of the room is free: every trim makes the
    engine read the rest anew, so a trim a turn would cost a prefill a turn.
    """

    def __init__(self, tokenizer: Tokenizer, *, num_codebooks: int, codebook_size: int, positions: int) -> None:
        self._tokenizer = tokenizer
        self._num_codebooks, self._codebook_size = num_codebooks, codebook_size
        self._read: WeakKeyDictionary[ContextTurn, npt.NDArray[np.int32]] = WeakKeyDictionary()  # tokens of turns
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
        turns = [self._tokens(turn) for turn in context]
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
        dropped = _to_drop([len(tokens) for tokens in turns[pinned:]], quotable)
        kept = [*context[:pinned], *context[pinned + dropped :]]
        tokens = np.concatenate([*turns[:pinned], *turns[pinned + dropped :], last])
        return Prompt(tokens, self._codes(tokens, kept), dropped)

    def turn(self, turn: ContextTurn) -> tuple[npt.NDArray[np.int32], Codes]:
        """Tokens [n] and codes [n, codebooks] of one earlier turn."""
        tokens = self._tokens(turn)
        return tokens, self._codes(tokens, [turn])

    def _tokens(self, turn: ContextTurn) -> npt.NDArray[np.int32]:
        tokens = self._read.get(turn)
        if tokens is None:
            tokens = self._text(turn.speaker, turn.text)
            if turn.codes is not None and len(turn.codes):
                self._check(turn.codes)
                tokens = np.concatenate([tokens, np.full(len(turn.codes) + 1, AUDIO, np.int32)])
            self._read[turn] = tokens
        return tokens

    def _codes(self, tokens: npt.NDArray[np.int32], turns: Sequence[ContextTurn]) -> Codes:
        """Put the turns' frames where the tokens have room for them."""
        codes = np.zeros((len(tokens), self._num_codebooks), np.int16)
        spoken = [turn.codes for turn in turns if turn.codes is not None and len(turn.codes)]
        if spoken:
            codes[tokens == AUDIO] = np.concatenate([part for frames in spoken for part in (frames, self._end)])
        return codes

    def _text(self, speaker: int, text: str) -> npt.NDArray[np.int32]:
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
