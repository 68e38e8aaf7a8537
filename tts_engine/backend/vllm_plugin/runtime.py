"""CSM beside vLLM's backbone, on the device: what goes in at each position, and what is said after it.

One table holds the codes of every position of every request, quoted or generated, so a prefill, a chunk of one, a
decode step and a prefill after preemption read their input the same way. Everything of a step has static shapes and
addresses and nothing waits for the device.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
import torch
from torch import Tensor

from tts_engine.backend.vllm_plugin.ids import FRAME_BASE, STOP_ID, TEXT_BASE, FrameIds
from tts_engine.backend.vllm_plugin.outlet import Outlet, Send
from tts_engine.backend.vllm_plugin.slots import Slots
from tts_engine.backend.vllm_plugin.wire import ENDED, LOST, REFUSED, SPOKE, RowFormat
from tts_engine.model.frame import FrameDecoder, FrameState
from tts_engine.model.mimi.decoder import Decode, MimiDecoder, MimiState
from tts_engine.model.mimi.paths import fused
from tts_engine.model.sampling import Sampling
from tts_engine.model.speech import SpeechState, speak

log = structlog.get_logger(__name__)

KEPT_S = 5.0  # a preempted request comes back within a second or two, or its listener has long heard silence


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests in a batch, positions of each, tokens in a step; `spare_slots` are for the preempted."""

    requests: int
    positions: int
    tokens: int
    spare_slots: int

    @property
    def slots(self) -> int:
        return self.requests + self.spare_slots


@dataclass(frozen=True, slots=True)
class Said:
    """By row: ids [B] int64, and out [B, width] int16, see `wire`."""

    ids: Tensor
    out: Tensor


class CsmRuntime:
    """`send` takes what the outlet does not: that a request is lost."""

    def __init__(
        self,
        frames: FrameDecoder,
        mimi: MimiDecoder,
        limits: Limits,
        outlet: Outlet,
        send: Send,
        *,
        depth_alone: bool = True,
        codec_fused: bool = True,
    ) -> None:
        config, like = frames.config, frames.audio_table
        frames.prepare()
        self.depth = self.codec = "plain PyTorch"
        self.decode: Decode = mimi
        if like.is_cuda:
            self.depth = frames.fuse(max_batch=limits.slots, alone=depth_alone)
            if codec_fused:
                self.decode, self.codec = fused(mimi)
        self.limits, self.scratch = limits, limits.slots
        self._frames, self._outlet, self._send = frames, outlet, send
        self._format = RowFormat(config.mimi.frame_samples, config.num_codebooks)
        codec = MimiState(mimi, slots=limits.slots, like=mimi.first.weight, max_frames=1)
        self.state = SpeechState(FrameState(config, slots=limits.slots, like=like), codec)
        # the last slot and the last position take what is to be dropped
        shape = (limits.slots + 1, limits.positions + 1, config.num_codebooks)
        self._table = torch.zeros(shape, dtype=torch.int16, device=like.device)
        self.embeddings = torch.zeros(limits.tokens, config.backbone.hidden_size, dtype=like.dtype, device=like.device)
        self._ids = FrameIds(config.num_codebooks, like.device)
        self._slots = Slots(limits.slots, kept_s=KEPT_S)
        self._key_of: dict[str, int] = {}
        self._nameless = itertools.count(-1, -1)

    # requests, from the host

    def add(self, request_id: str, extra: Mapping[str, Any], prompt_ids: Sequence[int], *, known: int) -> int:
        """Give a request its slot. `extra` is what `VllmEngine` sent along, `known` how many ids it has by now.

        vLLM's own warm-up sends nothing along; such requests have negative keys, which nobody hears.
        """
        key = self._key_of[request_id] = int(extra.get("key", next(self._nameless)))
        for ended in self._outlet.ended():
            self._slots.ended(ended)
        place = self._slots.add(key, now=time.monotonic())
        if place.fresh:
            try:
                self.state.admit(place.slot, Sampling(**extra.get("sampling", {})))
                if "key" in extra:
                    self._quote(place.slot, prompt_ids, extra["frames"])
            except ValueError as error:  # of one request: raised in vLLM's step it would end them all
                log.error("request_refused", key=key, error=str(error))  # noqa: TRY400 - no traceback: it says all
                self._give_up(place.slot, key, REFUSED)
            if known > len(prompt_ids):  # it was preempted for so long that its slot went to another
                self._give_up(place.slot, key, LOST)
        return place.slot

    def remove(self, request_id: str, *, finished: bool = False) -> None:
        """Take a request out; `finished` if it is known not to come back."""
        key = self._key_of.pop(request_id, None)
        if key is not None:
            if finished or key < 0:  # nobody preempts a warm-up
                self._slots.ended(key)
            self._slots.remove(key, now=time.monotonic())

    def slot(self, request_id: str) -> int:
        return self._slots[self._key_of[request_id]]

    # a step, on the device

    def embed(self, ids: Tensor, positions: Tensor, slots: Tensor) -> None:
        """Put in what stands at positions [n] of the requests in slots [n], for ids [n]."""
        tokens = (ids.long() - TEXT_BASE).masked_fill(ids >= FRAME_BASE, -1)
        codes = self._table[slots, positions].long()
        self.embeddings[: len(ids)] = self._frames.embed(tokens, codes)

    def embed_last(self, slots: Tensor) -> None:
        """Put in the last frame of the requests in slots [n]: a step in which every row decodes."""
        self.embeddings[: len(slots)] = self.state.frames.embedding[slots]

    def say(self, hidden: Tensor, slots: Tensor, positions: Tensor) -> Said:
        """Make a frame for states [B, hidden] of slots [B], to stand at positions [B]; pure device work."""
        spoken = speak(self._frames, self.decode, hidden, slots, self.state)
        codes = spoken.codes.to(torch.int16)
        self._table[slots, positions.clamp(max=self.limits.positions)] = codes
        flags = (~spoken.ended * SPOKE + spoken.finished * ENDED).masked_fill(slots == self.scratch, 0)
        tail = torch.stack((self.state.frames.frame[slots], flags), dim=-1).to(torch.int16)
        out = torch.cat((spoken.pcm, codes, tail), dim=-1)
        return Said(self._ids(spoken.codes, spoken.ended), out)

    def emit(self, request_ids: Sequence[str], out: Tensor) -> None:
        """Let the rows of a step out, one a request; those of a dry run are nobody's."""
        keys = np.fromiter((self._key_of.get(name, -1) for name in request_ids), np.int64, len(request_ids))
        self._outlet.emit(keys, out)

    def close(self) -> None:
        self._outlet.close()

    def _quote(self, slot: int, prompt_ids: Sequence[int], frames: bytes) -> None:
        ids = np.asarray(prompt_ids)
        (positions,) = np.nonzero((ids >= FRAME_BASE) | (ids == STOP_ID))
        codes = np.frombuffer(frames, np.int16).reshape(-1, self._table.shape[-1])
        if len(codes) != len(positions):
            raise ValueError(f"the prompt has {len(positions)} frames, but codes of {len(codes)} were sent along")
        if len(codes):
            self._table[slot, self._upload(positions)] = self._upload(codes)

    def _upload(self, values: np.ndarray[Any, np.dtype[Any]]) -> Tensor:
        """Copy to the device; from pinned memory, so that it waits for no step under way."""
        tensor = torch.from_numpy(np.array(values))
        return tensor.pin_memory().to(self._table.device, non_blocking=True) if self._table.is_cuda else tensor

    def _give_up(self, slot: int, key: int, why: int) -> None:
        self.state.over[slot].fill_(True)
        row = np.zeros((1, self._format.width), np.int16)
        row[0, -1] = why
        self._send(np.array([key]), row)
