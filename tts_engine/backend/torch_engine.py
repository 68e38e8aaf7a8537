"""CSM in plain PyTorch with continuous batching: one thread owns the model, requests come and go between steps.

A step reads at most one chunk of a waiting prompt (so a long context does not stall those who speak), then makes one
frame for everyone else, but for those who may rest (`lead.py`). It is the reference for the vLLM engine, and the engine
for machines without it.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import structlog
import torch
from torch import Tensor

from tts_engine.backend.csm_engine import EngineEvent, Failed, Finished, Job, Sink, Spoke
from tts_engine.backend.lead import Leads
from tts_engine.errors import SpeechCapacityError
from tts_engine.model.backbone import KvCache
from tts_engine.model.csm import CsmModel
from tts_engine.model.frame import FrameState
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState
from tts_engine.model.prompt import Prompt
from tts_engine.model.speech import SpeechState, Spoken, speak

PREFILL_CHUNK = 256  # positions a step: bounds both the stall and the attention's memory
SPAN_GRAIN = 128  # keys are read up to a multiple of this, so that shapes repeat

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Stream:
    job: Job
    slot: int
    read: int = 0  # positions of the prompt in the cache
    frames: int = 0

    @property
    def position(self) -> int:
        """Where the next frame goes."""
        return len(self.job.prompt) + self.frames - 1


class TorchEngine:
    """`slots` streams at once, each of at most `positions` (prompt and speech)."""

    def __init__(
        self,
        model: CsmModel,
        decoder: MimiDecoder,
        *,
        slots: int,
        positions: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.failure = "the engine is not started"
        self._model, self._decoder = model, decoder
        self._slots, self._positions = slots, positions
        self._leads: Leads[int] = Leads(frame_s=1 / model.config.mimi.frame_rate_hz)
        self._clock = clock
        # what callers ask; the engine's thread takes it between steps. Each of the three holds at most `slots`
        self._asked = threading.Condition()
        self._live: set[int] = set()  # jobs that hold a place, until they end or are aborted
        self._begun: dict[int, Job] = {}
        self._dropped: set[int] = set()
        self._closing = False
        self._streams: dict[int, _Stream] = {}
        self._waiting: deque[_Stream] = deque()
        self._free: list[int] = []
        self._thread: threading.Thread | None = None

    @property
    def capacity(self) -> int:
        return self._slots

    def start(self, sink: Sink) -> None:
        """Allocate what streams carry and begin to serve."""
        self._reset()
        self.failure, self._closing = "", False
        self._thread = threading.Thread(target=self._serve, args=(sink,), name="csm-torch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after the step under way. Idempotent."""
        if self._thread is not None:
            with self._asked:
                self._closing = True
                self._asked.notify()
            self._thread.join()
            self._thread = None
            self.failure = "the engine is closed"

    def submit(self, job: Job) -> None:
        with self._asked:
            if len(self._live) >= self._slots:
                raise SpeechCapacityError(f"all {self._slots} streams are taken")
            self._live.add(job.key)
            self._begun[job.key] = job
            self._asked.notify()

    def abort(self, key: int) -> None:
        with self._asked:
            if key in self._live:
                self._live.remove(key)
                if self._begun.pop(key, None) is None:
                    self._dropped.add(key)
                    self._asked.notify()

    def read_ahead(self, prompt: Prompt) -> None:
        """Nothing: keys and values of a stream end with it."""

    @torch.inference_mode()
    def _reset(self) -> None:
        like = self._model.frames.audio_table
        frames = FrameState(self._model.config, slots=self._slots, like=like)
        mimi = MimiState(self._decoder, slots=self._slots, like=self._decoder.first.weight, max_frames=1)
        self._state = SpeechState(frames, mimi)
        self._cache = KvCache(self._model.config.backbone, slots=self._slots, positions=self._positions, like=like)
        self._free = list(range(self._slots))
        self._streams.clear()
        self._waiting.clear()

    @torch.inference_mode()
    def _serve(self, sink: Sink) -> None:
        while self._take_commands():
            try:
                events = self._step()
            except Exception as error:  # whatever broke, its streams fail and the next ones may work
                log.exception("speech_step_failed")
                sink(self._fail(f"{type(error).__name__}: {error}"))
                if not self._recovers():
                    self._take_commands()  # who came meanwhile is told as well
                    sink(self._fail(self.failure))
                    return
                continue
            if events:
                sink(events)

    def _take_commands(self) -> bool:
        """Do what is asked, waiting while there is nothing to say; False to stop."""
        with self._asked:
            self._asked.wait_for(lambda: self._streams or self._begun or self._dropped or self._closing or self.failure)
            dropped, begun = self._dropped & self._streams.keys(), list(self._begun.values())
            self._dropped.clear()
            self._begun.clear()
        for key in dropped:  # first, since a job that has begun may have its place
            self._release(self._streams[key])
        for job in begun:
            self._admit(job)
        return not self._closing

    def _admit(self, job: Job) -> None:
        stream = _Stream(job, heapq.heappop(self._free))
        self._streams[job.key] = stream
        self._waiting.append(stream)

    def _release(self, stream: _Stream) -> None:
        del self._streams[stream.job.key]
        if stream in self._waiting:
            self._waiting.remove(stream)
        heapq.heappush(self._free, stream.slot)
        with self._asked:
            self._live.discard(stream.job.key)

    def _fail(self, message: str) -> list[EngineEvent]:
        failed: list[EngineEvent] = [Failed(key, message) for key in self._streams]
        for stream in list(self._streams.values()):
            self._release(stream)
        return failed

    def _recovers(self) -> bool:
        """Begin with clean state; if not even that works, readiness says so, for a supervisor to begin anew."""
        try:
            self._reset()
        except Exception as error:
            log.exception("speech_engine_lost", remedy="start the server anew")
            self.failure = f"{type(error).__name__}: {error}"
            return False
        return True

    def _step(self) -> list[EngineEvent]:
        speaking = self._speaking(self._clock())
        parts: list[Tensor] = []
        if self._waiting:
            first = self._prefill(self._waiting[0])
            if first is not None:
                parts.append(first)
        if speaking:
            parts.append(self._decode(speaking))
        if not parts:
            return []
        streams = ([self._waiting.popleft()] if len(parts) > bool(speaking) else []) + speaking
        slots = self._tensor([stream.slot for stream in streams])
        spoken = speak(self._model.frames, self._decoder, torch.cat(parts), slots, self._state)
        return self._events(streams, spoken)

    def _speaking(self, now: float) -> list[_Stream]:
        """Who is to say a frame in this step."""
        begun = [stream for stream in self._streams.values() if stream.frames]
        resting = self._leads.resting(
            lambda: [(key, stream.frames) for key, stream in self._streams.items()],
            waiting=bool(self._waiting),
            now=now,
        )
        awake = [stream for stream in begun if stream.job.key not in resting]
        return awake if awake or self._waiting else begun  # nobody rests for somebody who has gone

    def _prefill(self, stream: _Stream) -> Tensor | None:
        """Read the next chunk of a prompt; the state [1, hidden] after its last position once it is all read."""
        prompt, device = stream.job.prompt, self._state.frames.codes.device
        if stream.read == 0:
            self._state.admit(stream.slot, stream.job.sampling)
        end = min(stream.read + PREFILL_CHUNK, len(prompt))
        tokens = torch.from_numpy(prompt.tokens[stream.read : end]).to(device).long()
        codes = torch.from_numpy(prompt.codes[stream.read : end]).to(device).long()
        x = self._model.frames.embed(tokens, codes)[None]
        slot, start = self._tensor([stream.slot]), self._tensor([stream.read])
        hidden = self._model.backbone(x, self._cache, slot, start, span=self._span(end))
        stream.read = end
        return hidden[:, -1] if end == len(prompt) else None

    def _decode(self, streams: list[_Stream]) -> Tensor:
        """Put the last frame of each in; the states [B, hidden] after them."""
        slots = self._tensor([stream.slot for stream in streams])
        start = self._tensor([stream.position for stream in streams])
        span = self._span(max(stream.position for stream in streams) + 1)
        x = self._state.frames.embedding[slots][:, None]
        return self._model.backbone(x, self._cache, slots, start, span=span)[:, 0]

    def _events(self, streams: list[_Stream], spoken: Spoken) -> list[EngineEvent]:
        codes = spoken.codes.to(torch.int16).cpu().numpy()
        ended, pcm = spoken.ended.tolist(), spoken.pcm.cpu().numpy()
        events: list[EngineEvent] = []
        for row, stream in enumerate(streams):
            key = stream.job.key
            if not ended[row]:
                stream.frames += 1
                events.append(Spoke(key, pcm[row].tobytes(), np.ascontiguousarray(codes[row]).tobytes()))
            if ended[row] or stream.frames == stream.job.max_frames or stream.position >= self._positions:
                events.append(Finished(key, "stop" if ended[row] else "length"))
                self._release(stream)
        return events

    def _span(self, positions: int) -> int:
        return min(-(-positions // SPAN_GRAIN) * SPAN_GRAIN, self._positions)

    def _tensor(self, values: list[int]) -> Tensor:
        return torch.tensor(values, device=self._state.frames.codes.device)
