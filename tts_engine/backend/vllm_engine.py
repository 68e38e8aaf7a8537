"""CSM in vLLM: requests go to its engine in a process of their own, frames come back over a socket.

vLLM's front end does no work a frame: it is asked for the final output only, and what is heard comes past it. Nothing
of vLLM is imported before `start`.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tts_engine.backend.chunking import Chunking
from tts_engine.backend.csm_engine import EngineEvent, Failed, Finished, Job, Recalled, Sink, Spoke
from tts_engine.backend.silence import Silence, Verdict
from tts_engine.backend.vllm_plugin.ids import STOP_ID, FrameIds, prompt_ids
from tts_engine.backend.vllm_plugin.runners import runner_arguments
from tts_engine.backend.vllm_plugin.wire import ENDED, LOST, REFUSED, SPOKE, Keys, RowFormat, Rows, row_bytes
from tts_engine.backend.vllm_process import VllmProcess
from tts_engine.errors import SpeechCapacityError
from tts_engine.model.config import CsmConfig
from tts_engine.model.prompt import Passage, Prompt
from tts_engine.model.sampling import Sampling

READ_AHEAD_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class VllmSettings:
    """`streams` at once; vLLM may take `memory` of the GPU's; `more` goes to vLLM's engine as it is."""

    streams: int = 256
    positions: int = 2048
    memory: float = 0.85
    dtype: str = "bfloat16"
    codec_dtype: str = ""  # of the codec; empty: float16 on a GPU, if it is as good there, else float32
    adapter: Path | None = None
    depth_alone: bool = True  # kernels of their own for a single stream
    codec_fused: bool = True  # kernels of its own for the codec
    hung_after_s: float = 30.0  # without a step while somebody waits for one; then it is started anew
    more: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class _Stream:
    frames_left: int
    chunking: Chunking
    pcm: list[bytes] = field(default_factory=list[bytes])  # of frames that are made, and not passed on yet
    codes: list[bytes] = field(default_factory=list[bytes])
    recalled: Recalled | None = None  # and not told yet
    task: asyncio.Task[None] | None = None

    def take(self, key: int) -> list[EngineEvent]:
        """Return what is to be passed on now."""
        events = list[EngineEvent]()
        if self.recalled is not None:
            events.append(self.recalled)
            self.recalled = None
        if self.pcm:
            events.append(Spoke(key, b"".join(self.pcm), b"".join(self.codes)))
            self.pcm.clear()
            self.codes.clear()
        return events


class VllmEngine:
    """See `CsmEngine`. A vLLM that dies is started anew."""

    def __init__(self, folder: Path, config: CsmConfig, settings: VllmSettings) -> None:
        self._folder, self._config, self._settings = folder, config, settings
        self._format = RowFormat(config.mimi.frame_samples, config.num_codebooks)
        self._frame_ids = FrameIds(config.num_codebooks)
        self._frame_s = 1 / config.mimi.frame_rate_hz
        self._ahead = itertools.count(-(1 << 40), -1)  # keys of prompts that are only read; negative: nobody's
        self._reading: set[asyncio.Task[None]] = set()  # prompts ahead of their requests
        self._lock = threading.Lock()
        self._streams: dict[int, _Stream] = {}
        self._silence = Silence(hung_after_s=settings.hung_after_s)
        self._process = VllmProcess(self._arguments, take=self._take, lost=self._fail_all, hung=self._hung)
        self._sink: Sink = lambda _: None

    @property
    def capacity(self) -> int:
        return self._settings.streams

    @property
    def failure(self) -> str:
        return self._process.failure

    def start(self, sink: Sink) -> None:
        """Start vLLM's process; returns when it can speak, raises what it raises."""
        self._sink = sink
        self._process.start()

    def close(self) -> None:
        """Stop vLLM's process. Idempotent."""
        self._process.close()

    def submit(self, job: Job) -> None:
        with self._lock:
            if len(self._streams) >= self._settings.streams:
                raise SpeechCapacityError(f"all {self._settings.streams} streams are taken")
            self._streams[job.key] = _Stream(job.max_frames, Chunking(frame_s=self._frame_s))
        self._silence.asked(now=time.monotonic())
        self._process.call_soon(self._begin_stream, job)

    def abort(self, key: int) -> None:
        if (stream := self._forget(key)) is not None:  # its place is free at once; vLLM hears of it a little later
            self._process.call_soon(_leave, stream)

    def read_ahead(self, prompt: Prompt) -> None:
        """Let vLLM's prefix cache have the prompt; the one frame that comes of it is nobody's.

        What comes while as many are read as may be is not read: it would take steps from those who speak.
        """
        job = Job(next(self._ahead), prompt, Sampling(), 1)
        self._process.call_soon(self._read, job)

    def _arguments(self, socket: Path) -> dict[str, Any]:
        settings = self._settings
        plugin = {
            "socket": str(socket),
            "codec_dtype": settings.codec_dtype,
            "adapter": str(settings.adapter or ""),
            "depth_alone": settings.depth_alone,
            "codec_fused": settings.codec_fused,
            "frame_s": self._frame_s,
        }
        return {
            "model": str(self._folder),
            "skip_tokenizer_init": True,
            "dtype": settings.dtype,
            "max_model_len": settings.positions,
            "max_num_seqs": settings.streams,
            "gpu_memory_utilization": settings.memory,
            "additional_config": {"csm": plugin},
            "scheduler_cls": "tts_engine.backend.vllm_plugin.scheduler.LeadAwareScheduler",
            "disable_log_stats": True,
            **runner_arguments(settings.streams),
            **settings.more,
        }

    # on the loop's thread

    def _begin_stream(self, job: Job) -> None:
        stream = self._streams.get(job.key)
        if stream is not None:  # its task outlives it: vLLM is done a little after the last frame
            stream.task = self._process.spawn(self._run(job))

    def _read(self, job: Job) -> None:
        if len(self._reading) < READ_AHEAD_AT_ONCE:
            task = self._process.spawn(self._run(job))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)

    async def _run(self, job: Job) -> None:
        """Hold the request in vLLM until it ends; what it says comes through `_take`."""
        # by the module's name: `vllm` looks its names up anew each time
        from vllm.sampling_params import (  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - see above
            RequestOutputKind,
            SamplingParams,
        )

        sampling = {
            "temperature": job.sampling.temperature,
            "depth_temperature": job.sampling.depth_temperature,
            "top_k": job.sampling.top_k,
            "seed": job.sampling.seed,
        }
        parameters = SamplingParams(
            temperature=0.0,  # ours are in extra_args
            max_tokens=job.max_frames,
            stop_token_ids=[STOP_ID],
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,  # the scheduler passes on the first and the last only
            extra_args={"csm": {"key": job.key, "sampling": sampling, "frames": job.prompt.frame_bytes()}},
        )
        if hasattr(parameters, "skip_clone"):  # nobody else has them, so vLLM need make no deep copy: 24 us
            parameters.skip_clone = True
        # with its type, as vLLM's own renderers give it: else another thread looks at it first
        prompt = {"type": "token", "prompt_token_ids": prompt_ids(job.prompt, self._frame_ids)}
        try:
            first = True
            async for output in self._process.generate(prompt, parameters, str(job.key)):
                if first:
                    first = False
                    self._note_recalled(job, output.num_cached_tokens or 0)
        except Exception as error:  # noqa: BLE001 - whatever broke in vLLM, its streams are told
            self._process.look()
            if self._forget(job.key):
                self._sink([Failed(job.key, f"{type(error).__name__}: {error}")])

    def _note_recalled(self, job: Job, cached: int) -> None:
        """Note how much of the prompt was cached; in a frame of its own: that of `_run` must not know its stream.

        An abort leaves its error in the task, the error the frame, the frame a stream and that the task: a cycle.
        """
        if (stream := self._streams.get(job.key)) is not None:
            # told along with the next frames: by itself it would wake the loop for nothing
            stream.recalled = Recalled(job.key, job.prompt.frames_within(cached))

    def _hung(self) -> bool:
        verdict = self._silence.look(now=time.monotonic())
        if verdict is Verdict.PROBE:
            nothing = Prompt((Passage(np.ones(1, np.int32)),), self._config.num_codebooks)
            probe = Job(next(self._ahead), nothing, Sampling(), 1)
            self._process.spawn(self._run(probe))
        return verdict is Verdict.HUNG

    # on the inlet's thread

    def _take(self, keys: Keys, rows: Rows) -> None:
        now, streams, data = time.monotonic(), self._streams, row_bytes(rows)  # numpy's slices cost twice as much
        ours = [
            (number, key, flags, stream)
            for number, (key, flags) in enumerate(zip(keys.tolist(), rows[:, -1].tolist(), strict=True))
            if (stream := streams.get(key)) is not None
        ]
        # to pass on all of a step takes tens of milliseconds with 2,000 streams: first what is wanted by then
        urgent = [each for each in ours if each[-1].chunking.short]
        others = [each for each in ours if not each[-1].chunking.short]
        for some in (urgent, others):
            if events := self._heard(some, data, now):
                self._sink(events)
        self._silence.heard(owes=bool(streams), now=now)

    def _heard(self, ours: list[tuple[int, int, int, _Stream]], data: memoryview, now: float) -> list[EngineEvent]:
        """Take rows of a step, each with its place in `data`, key and flags; return what is to be passed on."""
        events, (sound, codes, width) = list[EngineEvent](), self._format.cuts
        # what is done here is done for every frame of every stream: it is most of what the thread does
        for number, key, flags, stream in ours:
            if flags & SPOKE:
                start = number * width
                stream.pcm.append(bytes(data[start : start + sound]))
                stream.codes.append(bytes(data[start + sound : start + codes]))
                stream.frames_left -= 1
            if flags > SPOKE or not stream.frames_left:
                events += (*stream.take(key), _end(key, flags))
                self._forget(key)
            elif stream.chunking.due(len(stream.pcm), now=now):
                events += stream.take(key)
        return events

    def _fail_all(self) -> None:
        self._silence.forget()
        with self._lock:
            keys = list(self._streams)
            self._streams.clear()
        if keys:
            self._sink([Failed(key, self.failure) for key in keys])

    def _forget(self, key: int) -> _Stream | None:
        with self._lock:
            return self._streams.pop(key, None)


def _end(key: int, flags: int) -> Finished | Failed:
    if flags & REFUSED:
        return Failed(key, "the engine could not take the request; its log says why")
    if flags & LOST:
        return Failed(key, "the request was set aside for too long; the engine is overloaded")
    return Finished(key, "stop" if flags & ENDED else "length")


def _leave(stream: _Stream) -> None:
    task, stream.task = stream.task, None  # else its error would lead back to it, by whoever knows the stream
    if task is not None:
        task.cancel()  # vLLM aborts a request whose generator is left
