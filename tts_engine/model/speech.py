"""A frame from state to sound: codes, is it the end, 80 ms of PCM. All that an engine runs after the backbone.

Nothing here waits for the device and every shape is static for a given number of rows and slots, so that one step can
be one CUDA graph. The guard against runaway speech (a third to a half of CSM's sampled runs never say that they end)
counts silence on the device: a stream that has been silent for `silence_frames` ends at its next frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from tts_engine.model.frame import FrameDecoder, FrameState
from tts_engine.model.mimi.decoder import Decode, MimiState
from tts_engine.model.sampling import Sampling

SILENCE_RMS = 1e-3  # -60 dBFS: below the noise of any recording that CSM was trained on
SILENCE_FRAMES = 38  # 3 s; pauses inside speech stay well under 2 s


def usual_frames(text: str, *, frame_rate_hz: float) -> int:
    """Return how many frames saying `text` takes at 14 letters a second; speech runs at 12 to 16."""
    return ceil(frame_rate_hz * len(text) / 14)


def frame_cap(text: str, *, frame_rate_hz: float) -> int:
    """Return how many frames saying `text` may take: 2 s, and 5 letters a second, a third of the usual pace."""
    return round(frame_rate_hz * (2 + len(text) / 5))


class SpeechState:
    """What streams carry, by slot, over frames, codec and guard."""

    def __init__(self, frames: FrameState, mimi: MimiState, *, silence_frames: int = SILENCE_FRAMES) -> None:
        assert frames.scratch == mimi.scratch
        self.frames, self.mimi = frames, mimi
        self.silence_frames = silence_frames
        self.silent = torch.zeros_like(frames.frame)
        self.over = torch.zeros_like(frames.frame, dtype=torch.bool)

    def admit(self, slot: int, sampling: Sampling) -> None:
        """Prepare a slot for a new request; waits for nothing, see `FrameState.admit`."""
        self.frames.admit(slot, sampling)
        self.over[slot].fill_(False)
        self.silent[slot].fill_(0)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One frame: codes [B, codebooks] int64, ended [B] bool, finished [B], pcm [B, 1920] int16.

    Finished is ended for the first time; the sound of a row that has ended means nothing.
    """

    codes: Tensor
    ended: Tensor
    finished: Tensor
    pcm: Tensor


def speak(frames: FrameDecoder, mimi: Decode, hidden: Tensor, slots: Tensor, state: SpeechState) -> Spoken:
    """Make one frame for backbone states [B, hidden] of the requests in slots [B] int64.

    An ended row makes no sound, and neither does any later one of its request: an engine that looks ahead asks for one
    frame more.
    """
    frame = frames(hidden, slots, state.frames)
    over = state.over[slots]
    ended = frame.ended | over | (state.silent[slots] >= state.silence_frames)
    state.over[slots] = ended
    fresh = state.frames.frame[slots] == 1
    samples = mimi(frame.codes[:, None], state.mimi, slots=slots, active=~ended, fresh=fresh)
    quiet = samples.square().mean(-1) < SILENCE_RMS**2
    silent = state.silent[slots]
    state.silent[slots] = torch.where(ended, silent, (silent + 1).masked_fill(~quiet, 0))
    return Spoken(frame.codes, ended, ended & ~over, (samples.clamp(-1, 1) * 32767).round().to(torch.int16))
