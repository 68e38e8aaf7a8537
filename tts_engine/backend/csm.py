"""CSM behind the backend port: requests become prompts, an engine's events become audio. For either engine."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
import soxr

from tts_engine.backend.csm_engine import CsmEngine, EngineEvent, Failed, Finished, Job, Recalled, Refused, Spoke
from tts_engine.backend.head_start import HeadStart
from tts_engine.backend.port import (
    AudioChunk,
    BackendDescription,
    BackendHealth,
    CodecFormat,
    ContextHeard,
    PartBegins,
    SpokenTurn,
    Truncated,
    VoiceItem,
    VoiceRequest,
)
from tts_engine.backend.text_pieces import cut_text
from tts_engine.bell import Bell
from tts_engine.errors import SpeechCapacityError, SpeechEngineError, SpeechRequestError, SpeechUnavailableError
from tts_engine.model.config import CsmConfig
from tts_engine.model.errors import PromptError
from tts_engine.model.prompt import ContextTurn, Prompt, PromptBuilder
from tts_engine.model.sampling import Sampling
from tts_engine.model.speech import frame_cap, usual_frames
from tts_engine.model.voice import Encode, Voice
from tts_engine.protocol import BYTES_PER_SECOND, SAMPLE_RATE_HZ

HELD_BYTES = 2 * 1024 * 1024  # of a consumer that stalls: 43 s of audio
ENCODED_AT_ONCE = 2  # callers' turns, of up to two minutes; the voices need the processors or the GPU too
SEEDS = 1 << 63
RESERVE_GRAIN = 512  # frames; room is kept in steps, so that no text of up to 195 letters moves the cut of the context


class CsmBackend:
    """`voices` by name, the first is the default. `sampling` is what requests leave open, but for its seed.

    A text of more than `piece_chars` is said in pieces, cut where a voice would pause; None: no text is cut. One that
    does not hear conversations, since it was not taught to, hears its own pieces and samples only.
    """

    def __init__(  # noqa: PLR0913 - the parts and manners of a voice
        self,
        engine: CsmEngine,
        encode: Encode,
        prompts: PromptBuilder,
        config: CsmConfig,
        *,
        name: str,
        model: str,
        voices: Mapping[str, Voice],
        sampling: Sampling,
        piece_chars: int | None = None,
        hears_conversation: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._encode, self._prompts = engine, encode, prompts
        self._sampling, self._voices = sampling, voices
        self._frame_rate_hz, self._piece_chars = config.mimi.frame_rate_hz, piece_chars
        self._codec = CodecFormat(config.num_codebooks, config.mimi.frame_rate_hz)
        self._description = BackendDescription(
            name=name,
            model=model,
            voices=tuple(voices),
            languages=("az",),
            codec=self._codec if hears_conversation else None,
        )
        self._encoding = asyncio.Semaphore(ENCODED_AT_ONCE)
        self._to_encode = 0  # turns that are encoded or wait for it
        self._keys = itertools.count(1)
        self._inboxes: dict[int, _Inbox] = {}
        self._clock, self._head_start = clock, HeadStart()
        # what is made of a turn for a prompt, by who is speaker 0; it goes when the turn is forgotten
        self._quoted: WeakKeyDictionary[SpokenTurn, dict[int, tuple[_Part, ...]]] = WeakKeyDictionary()

    @property
    def description(self) -> BackendDescription:
        return self._description

    async def start(self) -> None:
        loop = asyncio.get_running_loop()

        def sink(events: Sequence[EngineEvent]) -> None:
            # a loop that is closed has no one left to hear
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._deliver, events)

        try:
            await asyncio.to_thread(self._engine.start, sink)
        except Exception as error:
            raise SpeechUnavailableError(f"the speech engine does not start: {error}") from error

    async def close(self) -> None:
        await asyncio.to_thread(self._engine.close)

    def health(self) -> BackendHealth:
        return BackendHealth(ready=not self._engine.failure, detail=self._engine.failure)

    def capacity(self) -> int:
        return self._engine.capacity

    def read_ahead(self, voice: str, context: tuple[SpokenTurn, ...]) -> None:
        if not self._engine.failure:
            text = "."  # the turns before it are what a request will share
            request = VoiceRequest("", text, voice, "az", 1.0, None, None, context)
            self._engine.read_ahead(self._prompt(request)[0])

    async def encode(self, pcm: bytes, sample_rate_hz: int) -> bytes:
        if not pcm or self._description.codec is None:  # nobody would hear it
            return b""
        if self._to_encode >= max(self._engine.capacity, ENCODED_AT_ONCE):
            raise SpeechCapacityError("more turns wait to be encoded than there are streams")
        self._to_encode += 1
        try:
            async with self._encoding:
                return await asyncio.to_thread(self._codes, pcm, sample_rate_hz)
        finally:
            self._to_encode -= 1

    def _codes(self, pcm: bytes, sample_rate_hz: int) -> bytes:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        if sample_rate_hz != SAMPLE_RATE_HZ:
            samples = soxr.resample(samples, sample_rate_hz, SAMPLE_RATE_HZ).astype(np.float32)
        return self._encode(samples).astype("<i2").tobytes()

    async def generate(self, request: VoiceRequest) -> AsyncGenerator[VoiceItem, None]:
        """Speak, a long text in pieces that hear those before them; whole, where `piece_chars` is None."""
        left, said = request.max_frames, list[SpokenTurn]()
        seed = secrets.randbelow(SEEDS) if request.seed is None else request.seed
        letter = 0
        for number, piece in enumerate(cut_text(request.text, max_chars=self._piece_chars or len(request.text))):
            letter = request.text.index(piece.text, letter)
            if number:
                yield PartBegins(letter)
            codes, cut_off = bytearray(), False
            part = replace(
                request,
                text=piece.text,
                max_frames=left,
                seed=(seed + 2 * number) % SEEDS,
                context=(*request.context, *said),
            )
            async with aclosing(self._speak(part, held=number == 0)) as items:
                async for item in items:
                    codes += item.codes if isinstance(item, AudioChunk) else b""
                    cut_off = cut_off or isinstance(item, Truncated)
                    if isinstance(item, AudioChunk) and self._description.codec is None:
                        yield AudioChunk(item.pcm)
                    elif number == 0 or not isinstance(item, ContextHeard):  # later ones hear what is no turn yet
                        yield item
            frames = len(codes) // self._codec.frame_bytes
            left = None if left is None else left - frames
            if cut_off or left == 0:
                return
            turn_id, seconds = f"{request.request_id}.{number}", frames / self._frame_rate_hz
            said.append(SpokenTurn(turn_id, "assistant", piece.text, seconds, bytes(codes)))

    async def _speak(self, request: VoiceRequest, *, held: bool) -> AsyncGenerator[VoiceItem, None]:
        """Speak one piece; `held` if its first sound is to have a head start, as nothing is heard before it."""
        job = self._job(request)
        kept = self._parts(request, self._voices[request.voice])[job.prompt.dropped :]
        heard = ContextHeard(turns=len({part.turn_id for part in kept}), seconds=sum(part.duration_s for part in kept))
        yield heard
        for attempt in self._attempts(job):
            silent = True
            with self._running(attempt) as inbox:
                while not inbox.ended:
                    match await inbox.get():
                        case Spoke(_, pcm, codes):
                            if silent and held and (hold_s := self._head_start.hold_s(now=self._clock())):
                                await asyncio.sleep(hold_s)
                            silent = False
                            yield AudioChunk(pcm, codes)
                        case Recalled(_, frames):
                            yield replace(heard, cached_frames=frames)
                        case Finished(_, reason):
                            if reason == "length":
                                yield Truncated()
            if not silent:
                return

    def _attempts(self, job: Job) -> Iterator[Job]:
        """Give a job, and then one that draws anew: the end may come as the very first frame, and is believed twice."""
        yield job
        anew = replace(job.sampling, seed=(job.sampling.seed + 1) % SEEDS)
        yield replace(job, key=next(self._keys), sampling=anew)

    @contextmanager
    def _running(self, job: Job) -> Generator[_Inbox, None, None]:
        """Have the engine run a job, as long as the context lasts."""
        if self._engine.failure:
            raise SpeechUnavailableError(f"the speech engine is down: {self._engine.failure}")
        inbox = self._inboxes[job.key] = _Inbox()
        submitted = False  # a job that was not taken is not aborted: the engine's queue has no room for that
        try:
            self._engine.submit(job)
            submitted = True
            yield inbox
        finally:
            del self._inboxes[job.key]
            if submitted and (not inbox.ended or inbox.full):
                self._engine.abort(job.key)

    def _deliver(self, events: Sequence[EngineEvent]) -> None:
        now = self._clock()
        for event in events:
            if (inbox := self._inboxes.get(event.key)) is not None:
                if isinstance(event, Spoke) and (late_s := inbox.late_s(len(event.pcm), now=now)) is not None:
                    self._head_start.note(late_s, now=now)
                inbox.put(event)

    def _job(self, request: VoiceRequest) -> Job:
        prompt, frames = self._prompt(request)
        assert request.seed is not None, "drawn before the text was cut"
        sampling = replace(self._sampling, seed=request.seed)
        if (temperature := request.temperature) is not None:
            sampling = replace(sampling, temperature=temperature, depth_temperature=temperature)
        if request.top_k is not None:
            sampling = replace(sampling, top_k=request.top_k)
        return Job(next(self._keys), prompt, sampling, frames)

    def _prompt(self, request: VoiceRequest) -> tuple[Prompt, int]:
        """Make the prompt, and say how many frames may follow.

        Half of the positions at most are kept for the cap, most of which is never used, but never fewer than the text
        takes at the usual pace: turns of the context make way for it, and a text that has no such room is refused.
        """
        voice = self._voices[request.voice]
        cap = frame_cap(request.text, frame_rate_hz=self._frame_rate_hz)
        frames = min(cap, request.max_frames or cap)
        room = min(-(-frames // RESERVE_GRAIN) * RESERVE_GRAIN, self._prompts.positions // 2)
        room = max(room, min(frames, usual_frames(request.text, frame_rate_hz=self._frame_rate_hz)))
        context = [*voice.sample, *(part.heard for part in self._parts(request, voice))]
        try:
            prompt = self._prompts.build(
                request.text, speaker=voice.speaker, context=context, pinned=len(voice.sample), reserve_frames=room
            )
        except PromptError as error:
            raise SpeechRequestError(str(error), field=error.field) from error
        return prompt, min(frames, self._prompts.positions - len(prompt))

    def _parts(self, request: VoiceRequest, voice: Voice) -> list[_Part]:
        return [part for turn in request.context for part in self._parts_of(turn, voice.speaker)]

    def _parts_of(self, turn: SpokenTurn, speaker: int) -> tuple[_Part, ...]:
        known = self._quoted.setdefault(turn, {})
        if speaker not in known:
            known[speaker] = tuple(
                _Part(part.turn_id, part.duration_s, self._heard(part, speaker)) for part in turn.parts(self._codec)
            )
        return known[speaker]

    def _heard(self, turn: SpokenTurn, speaker: int) -> ContextTurn:
        codec = self._codec
        if len(turn.codes) % codec.frame_bytes:
            raise SpeechRequestError(f"codes of turn {turn.turn_id} are not whole frames", field="context")
        codes = np.frombuffer(turn.codes, "<i2").reshape(-1, codec.codebooks) if turn.codes else None
        caller = 1 if speaker == 0 else 0
        return ContextTurn(speaker if turn.role == "assistant" else caller, turn.text, codes)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a turn, as a prompt has it. Holds no turn: it is kept for as long as the turn is."""

    turn_id: str
    duration_s: float
    heard: ContextTurn


class _Inbox:
    """Events of one job between the loop's callback and its consumer, bounded by bytes."""

    def __init__(self) -> None:
        self._events: deque[EngineEvent] = deque()
        self._held_bytes = 0
        self._arrived = Bell()
        self.full = False
        self.ended = False  # the last event was taken
        self._plays_to: float | None = None  # what has come, by who plays it from its arrival on

    def late_s(self, pcm_bytes: int, *, now: float) -> float | None:
        """Note that so much sound has come; says how late for who plays from the first of it, which itself is not."""
        late_s = None if self._plays_to is None else now - self._plays_to
        self._plays_to = (now if self._plays_to is None else self._plays_to) + pcm_bytes / BYTES_PER_SECOND
        return late_s

    def put(self, event: EngineEvent) -> None:
        if self.full:
            return
        self._held_bytes += len(event.pcm) if isinstance(event, Spoke) else 0
        if self._held_bytes > HELD_BYTES:
            self.full = True
            self._events.clear()
            event = Failed(event.key, f"the listener is {HELD_BYTES} bytes behind; read faster")
        self._events.append(event)
        self._arrived.ring()

    async def get(self) -> Spoke | Recalled | Finished:
        """Wait for the next event; raises `SpeechEngineError` or `SpeechCapacityError` if the job has no other."""
        while not self._events:
            await self._arrived.wait()
        event = self._events.popleft()
        if isinstance(event, Spoke):
            self._held_bytes -= len(event.pcm)
        elif not isinstance(event, Recalled):
            self.ended = True
        if isinstance(event, Failed):
            raise SpeechEngineError(event.message)
        if isinstance(event, Refused):
            raise SpeechCapacityError(event.message)
        return event
