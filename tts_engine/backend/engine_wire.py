"""What speech servers and an engine in a process of its own say to each other over a Unix socket.

Each message is a header, little-endian, of its body's bytes u32, its kind u8 and its job's key i64, and the body. The
engine introduces itself and says whether it can speak; a server submits jobs, aborts them, and has prompts read; the
engine answers with events. Nothing is pickled: whoever may connect may speak, and no more.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from tts_engine.backend.csm_engine import EngineEvent, Failed, Finished, Job, Recalled, Refused, Spoke
from tts_engine.model.prompt import Passage, Prompt
from tts_engine.model.sampling import Sampling

_HEADER = struct.Struct("<IBq")
_JOB = struct.Struct("<IddIQ")  # frames at most, temperature, depth temperature, top k, seed
_COUNT = struct.Struct("<I")
MAX_BODY_BYTES = 1 << 24  # half a minute of sound is 1.4 MB, the longest prompt 139 kB
_ROOM_BYTES = 1 << 20  # of which half is always free
_REASONS: Final = ("stop", "length")


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What an engine is: who sends it prompts must have made them for the same model."""

    model: str
    adapter: str
    streams: int
    positions: int
    codebooks: int
    frame_samples: int


@dataclass(frozen=True, slots=True)
class EngineState:
    """Why the engine cannot speak now; empty if it can."""

    failure: str


@dataclass(frozen=True, slots=True)
class Submit:
    job: Job


@dataclass(frozen=True, slots=True)
class Abort:
    key: int


@dataclass(frozen=True, slots=True)
class ReadAhead:
    prompt: Prompt


ToEngine: TypeAlias = Submit | Abort | ReadAhead
FromEngine: TypeAlias = EngineDescription | EngineState | EngineEvent
EngineMessage: TypeAlias = ToEngine | FromEngine


def buffers(message: EngineMessage, key: int = 0) -> tuple[bytes, ...]:
    """Make a message, in buffers, so that sound is not copied; `key` names its job to the other side, not its own."""
    kind = _KINDS[type(message)]
    body = _WRITERS[kind](message)
    return _HEADER.pack(sum(map(len, body)), kind, key), *body


def pack(message: EngineMessage, key: int = 0) -> bytes:
    """Make a message's bytes."""
    return b"".join(buffers(message, key))


class EngineUnpacker:
    """Messages from a stream of bytes cut anywhere, put in place as they are received: sound is copied once."""

    def __init__(self, num_codebooks: int) -> None:
        self._num_codebooks = num_codebooks
        self._buffer = bytearray(_ROOM_BYTES)
        self._filled = 0

    def room(self) -> memoryview:
        """Return where the next bytes go; never empty."""
        if len(self._buffer) - self._filled < _ROOM_BYTES // 2:  # another one: who receives may still hold this
            self._buffer = self._buffer.ljust(2 * len(self._buffer))
        return memoryview(self._buffer)[self._filled :]

    def received(self, count: int) -> list[EngineMessage]:
        """Note that `count` bytes were put into `room()`; return the messages that are whole by them.

        Raises ValueError if the bytes are none.
        """
        self._filled += count
        messages, at = list[EngineMessage](), 0
        held = memoryview(self._buffer)[: self._filled]
        while len(held) - at >= _HEADER.size:
            size, kind, key = _HEADER.unpack_from(held, at)
            if size > MAX_BODY_BYTES or kind >= len(_READERS):
                raise ValueError(f"no message of an engine: kind {kind}, {size} bytes")
            begin = at + _HEADER.size
            if begin + size > len(held):
                break
            at = begin + size
            messages.append(self._read(kind, key, held[begin:at]))
        if at:
            left = bytes(held[at:])
            self._buffer[: len(left)] = left
            self._filled = len(left)
        return messages

    def _read(self, kind: int, key: int, body: memoryview) -> EngineMessage:
        try:
            return _READERS[kind](key, body, self._num_codebooks)
        except (struct.error, TypeError, IndexError) as error:
            raise ValueError(f"a message of kind {kind} cannot be read: {error}") from error


def _prompt_bytes(prompt: Prompt) -> bytes:
    """Its passages' numbers of tokens and of frames, all tokens, all frames."""
    counts = [number for each in prompt.passages for number in (len(each.tokens), each.frame_count)]
    tokens = [each.tokens.astype("<i4").tobytes() for each in prompt.passages]
    return b"".join((struct.pack(f"<{1 + len(counts)}I", len(counts), *counts), *tokens, prompt.frame_bytes()))


def _prompt(body: memoryview, num_codebooks: int) -> Prompt:
    (numbers,) = _COUNT.unpack_from(body)
    counts = np.frombuffer(body, "<u4", numbers, _COUNT.size).reshape(-1, 2)
    begin = _COUNT.size * (1 + numbers)
    tokens = np.frombuffer(body, "<i4", int(counts[:, 0].sum()), begin).astype(np.int32)
    frames = np.frombuffer(body, "<i2", offset=begin + 4 * len(tokens)).reshape(-1, num_codebooks).astype(np.int16)
    if len(frames) != counts[:, 1].sum():
        raise ValueError(f"a prompt of {counts[:, 1].sum()} frames has {len(frames)}")
    ends = counts.cumsum(0, np.int64)
    passages = [
        Passage(tokens[text_end - text : text_end], (frames[sound_end - sound : sound_end],) if sound else ())
        for (text, sound), (text_end, sound_end) in zip(counts.tolist(), ends.tolist(), strict=True)
    ]
    return Prompt(tuple(passages), num_codebooks)


def _job(key: int, body: memoryview, num_codebooks: int) -> Submit:
    frames, temperature, depth_temperature, top_k, seed = _JOB.unpack_from(body)
    prompt = _prompt(body[_JOB.size :], num_codebooks)
    return Submit(Job(key, prompt, Sampling(temperature, depth_temperature, top_k, seed), frames))


def _description(_key: int, body: memoryview, _: int) -> EngineDescription:
    return EngineDescription(**json.loads(bytes(body)))


def _spoke(key: int, body: memoryview, _: int) -> Spoke:
    end = _COUNT.size + _COUNT.unpack_from(body)[0]
    if end > len(body):
        raise ValueError(f"sound that ends at {end} in a message of {len(body)} bytes")
    return Spoke(key, bytes(body[_COUNT.size : end]), bytes(body[end:]))


def _job_bytes(job: Job) -> bytes:
    sampling = job.sampling
    numbers = (job.max_frames, sampling.temperature, sampling.depth_temperature, sampling.top_k, sampling.seed)
    return _JOB.pack(*numbers) + _prompt_bytes(job.prompt)


_TABLE: tuple[tuple[type, Callable[[Any], tuple[bytes, ...]], Callable[[int, memoryview, int], EngineMessage]], ...] = (
    # by kind: what is written of a message, and how it is read: key, body, codebooks
    (EngineDescription, lambda m: (json.dumps(asdict(m)).encode(),), _description),
    (EngineState, lambda m: (m.failure.encode(),), lambda _k, b, _n: EngineState(str(b, "utf-8"))),
    (Submit, lambda m: (_job_bytes(m.job),), _job),
    (Abort, lambda _: (), lambda k, _b, _n: Abort(k)),
    (ReadAhead, lambda m: (_prompt_bytes(m.prompt),), lambda _k, b, n: ReadAhead(_prompt(b, n))),
    (Spoke, lambda m: (_COUNT.pack(len(m.pcm)), m.pcm, m.codes), _spoke),
    (Recalled, lambda m: (_COUNT.pack(m.frames),), lambda k, b, _n: Recalled(k, *_COUNT.unpack(b))),
    (Finished, lambda m: (bytes([_REASONS.index(m.reason)]),), lambda k, b, _n: Finished(k, _REASONS[b[0]])),
    (Failed, lambda m: (m.message.encode(),), lambda k, b, _n: Failed(k, str(b, "utf-8"))),
    (Refused, lambda m: (m.message.encode(),), lambda k, b, _n: Refused(k, str(b, "utf-8"))),
)
_KINDS = {kind: number for number, (kind, _, _) in enumerate(_TABLE)}
_WRITERS = [write for _, write, _ in _TABLE]
_READERS = [read for _, _, read in _TABLE]
