"""`Journal`: writes a call's turns to the conversation store and the speech server, off the call's path.

Everything goes through one bounded queue a call. When Redis or the speech server is away, turns are
dropped and counted; the call never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from bot.context.conversation import Speaker, Turn
from bot.errors import ConversationError
from bot.events import BotTurn, BotTurnHeard, CallerTurn, CallEvent
from tts_engine.errors import SpeechError
from tts_engine.protocol import MAX_TURN_AUDIO_BYTES, ConversationTurn, TurnAudio

_MAX_PENDING = 64


class TurnStore(Protocol):
    """The one thing the journal needs of `bot.context.store`."""

    async def append(self, call_id: str, turn: Turn) -> None: ...


class SpeechMemory(Protocol):
    """What the journal needs of `tts_engine.client`."""

    async def put_turn(self, conversation_id: str, turn: ConversationTurn) -> None: ...
    async def heard(self, conversation_id: str, turn_id: str, heard_s: float) -> None: ...
    async def forget(self, conversation_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class CallerAudio:
    """Audio of one caller turn: PCM16 at 16 kHz."""

    pcm: bytes

    @property
    def duration_s(self) -> float:
        """Length of the audio."""
        return len(self.pcm) / 32_000


class Journal:
    """One call's record as it happens."""

    def __init__(
        self,
        call_id: str,
        *,
        store: TurnStore,
        speech: SpeechMemory,
        voice_hears: bool,
        wall_clock: Callable[[], float],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._call_id = call_id
        self._store = store
        self._speech = speech
        self._voice_hears = voice_hears
        self._wall_clock = wall_clock
        self._on_failure = on_failure
        self._bot_texts: dict[str, tuple[str, float]] = {}
        self._work: asyncio.Queue[Callable[[], Awaitable[None]] | None] = asyncio.Queue(_MAX_PENDING)
        self.dropped = 0

    def note(self, event: CallEvent, *, caller_audio: CallerAudio | None = None) -> None:
        """Take one event; returns at once."""
        match event:
            case CallerTurn(turn_id=turn_id, text=text):
                audio = caller_audio or CallerAudio(b"")
                turn = Turn(turn_id, Speaker.CALLER, text, self._wall_clock(), audio.duration_s)
                self._put(lambda: self._store.append(self._call_id, turn))
                if self._voice_hears and audio.pcm:
                    spoken = ConversationTurn(
                        turn_id=turn_id, role="user", text=text, audio=TurnAudio(data=audio.pcm, sample_rate=16_000)
                    )
                    self._put(lambda: self._speech.put_turn(self._call_id, spoken))
            case BotTurn(turn_id=turn_id, text=text):
                self._bot_texts[turn_id] = (text, self._wall_clock())
            case BotTurnHeard(turn_id=turn_id, heard_s=heard_s, duration_s=duration_s):
                self._note_heard(turn_id, heard_s, duration_s)
            case _:
                pass

    def said_from_cache(self, turn_id: str, text: str, pcm24k: bytes) -> None:
        """Let the voice hear a bot turn that it did not make in this call."""
        if self._voice_hears and len(pcm24k) <= MAX_TURN_AUDIO_BYTES:
            audio = TurnAudio(data=pcm24k, sample_rate=24_000)
            turn = ConversationTurn(turn_id=turn_id, role="assistant", text=text, audio=audio)
            self._put(lambda: self._speech.put_turn(self._call_id, turn))

    def _note_heard(self, turn_id: str, heard_s: float, duration_s: float) -> None:
        text, started_at = self._bot_texts.pop(turn_id, ("", self._wall_clock()))
        cut = heard_s < duration_s
        turn = Turn(turn_id, Speaker.BOT, text, started_at, duration_s, heard_s if cut else None)
        self._put(lambda: self._store.append(self._call_id, turn))
        if cut:
            self._put(lambda: self._speech.heard(self._call_id, turn_id, heard_s))

    async def run(self) -> None:
        """Write until `close()`; then let the speech server forget the call's audio."""
        while (work := await self._work.get()) is not None:
            await self._do(work)
        if self.dropped:
            self._on_failure(
                ConversationError(f"{self.dropped} writes of the call were dropped: the stores are too slow")
            )
        await self._do(lambda: self._speech.forget(self._call_id))

    async def close(self) -> None:
        """Finish what is queued."""
        await self._work.put(None)

    async def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (ConversationError, SpeechError) as error:
            self._on_failure(error)
        except Exception as error:  # noqa: BLE001 - a turn that cannot be written must not cost the call its end
            self._on_failure(ConversationError(f"a turn could not be written: {type(error).__name__}"))

    def _put(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            self._work.put_nowait(work)
        except asyncio.QueueFull:
            self.dropped += 1
