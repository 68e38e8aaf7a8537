"""`Recollection`: what the voice hears of a conversation before it speaks, and what is kept of it after."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import reduce

import structlog

from tts_engine.backend.port import Backend, SpokenTurn
from tts_engine.engine.history import (
    HistoryLimits,
    Turns,
    continued,
    cut_to_heard,
    heard_part,
    newest_within,
    remember,
    repeats,
)
from tts_engine.engine.store import ConversationStore, StoreUnavailableError
from tts_engine.engine.utterance import Utterance
from tts_engine.metrics import SpeechMetrics
from tts_engine.protocol import DEFAULT_CONTEXT_S, ConversationContext, ConversationTurn

log = structlog.get_logger(__name__)

# Speech runs at 12 to 16 letters a second; used only for an utterance that was cut before its length was known.
_CHARS_PER_SECOND = 14.0
_MAX_MANNERS = 4096
_CANCEL_WAIT_S = 1.0  # for an utterance whose cancel comes on another connection than its `heard`


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a conversation is spoken in: what of it the next request is likely to quote, and in which voice."""

    voice: str
    context_s: float = DEFAULT_CONTEXT_S


class Recollection:
    """Reads and writes conversations for the engine; a store that is away costs context, never speech."""

    def __init__(
        self,
        backend: Backend,
        store: ConversationStore,
        metrics: SpeechMetrics,
        limits: HistoryLimits,
        *,
        default_voice: str,
    ) -> None:
        self._backend = backend
        self._store = store
        self._metrics = metrics
        self._limits = limits
        self._default_voice = default_voice
        self._manners: OrderedDict[str, _Manner] = OrderedDict()  # the last of each conversation
        self._speaking: dict[str, set[Utterance]] = {}
        self._recordings: dict[str, asyncio.Task[None]] = {}  # the last of each conversation, done or not

    async def context(self, conversation: ConversationContext | None) -> Turns:
        """Choose what the voice hears."""
        if conversation is None or conversation.mode == "none" or self._backend.description.codec is None:
            return ()
        try:
            kept = await self._settled_turns(conversation.id)
            if conversation.mode == "explicit":
                kept = await self._quoted(conversation.turns, kept)
        except StoreUnavailableError as error:
            self._store_failed(error)
            return ()
        return newest_within(kept, conversation.max_context_s)

    def begin(self, conversation_id: str, utterance: Utterance, *, voice: str) -> None:
        """Note that an utterance of this conversation is being spoken."""
        before = self._manners.pop(conversation_id, _Manner(voice))
        self._manners[conversation_id] = _Manner(voice, _context_s(utterance.request.conversation, before))
        if len(self._manners) > _MAX_MANNERS:
            self._manners.popitem(last=False)
        self._speaking.setdefault(conversation_id, set()).add(utterance)

    def end(self, conversation_id: str, utterance: Utterance) -> None:
        """Keep what was said of an utterance that has ended; returns at once."""
        speaking = self._speaking[conversation_id]
        speaking.discard(utterance)
        if not speaking:
            del self._speaking[conversation_id]
        turn = _spoken_turn(utterance, self._backend)
        if turn is not None:
            before = self._recordings.get(conversation_id)
            task = asyncio.create_task(self._record(conversation_id, turn, before, heard_s=utterance.heard_s))
            self._recordings[conversation_id] = task
            task.add_done_callback(lambda done: self._forget_recording(conversation_id, done))

    async def put_turn(self, conversation_id: str, turn: ConversationTurn) -> None:
        """Keep a turn as it was said; raises `StoreUnavailableError` and what encoding raises.

        The same again changes nothing: a client that got no answer may repeat it.
        """
        spoken = await self._encoded(turn)
        kept: Turns = ()

        def edit(turns: Turns) -> Turns:
            nonlocal kept
            kept = turns if repeats(turns, spoken) else remember(turns, spoken, self._limits)
            return kept

        await self._store.edit(conversation_id, edit)
        if self._backend.description.codec is not None:  # it is read while the answer is being thought of
            default = _Manner(self._default_voice or self._backend.description.voices[0])
            manner = self._manners.get(conversation_id, default)
            if quoted := newest_within(kept, manner.context_s):
                self._backend.read_ahead(manner.voice, quoted)

    async def heard(self, conversation_id: str, turn_id: str, heard_s: float) -> None:
        """Forget what the caller did not hear of a turn; raises `StoreUnavailableError`.

        The news of a barge-in may overtake the cancel that ends the utterance: then it is waited for. If that does
        not come, what is said meanwhile is cut when it ends.
        """
        running = self._running(conversation_id, turn_id)
        for utterance in running:
            utterance.heard_s = heard_s
        if running:
            ends = [asyncio.create_task(utterance.ended.wait()) for utterance in running]
            await asyncio.wait(ends, timeout=_CANCEL_WAIT_S)
            for end in ends:
                end.cancel()
        await self._recorded(conversation_id)
        codec = self._backend.description.codec
        await self._store.edit(conversation_id, lambda turns: cut_to_heard(turns, turn_id, heard_s, codec))

    async def forget_turn(self, conversation_id: str, turn_id: str) -> None:
        """Forget one turn, and what is being said of it; raises `StoreUnavailableError`."""
        for utterance in self._running(conversation_id, turn_id):
            utterance.remembered = False
        await self._recorded(conversation_id)
        await self._store.edit(conversation_id, lambda turns: tuple(t for t in turns if t.turn_id != turn_id))

    async def forget(self, conversation_id: str) -> None:
        """Forget a conversation and what is being said in it; raises `StoreUnavailableError`."""
        for utterance in self._speaking.get(conversation_id, ()):
            utterance.remembered = False
        await self._recorded(conversation_id)
        await self._store.forget(conversation_id)

    async def close(self) -> None:
        """Finish what is being written."""
        await asyncio.gather(*self._recordings.values())

    def _running(self, conversation_id: str, turn_id: str) -> list[Utterance]:
        return [u for u in self._speaking.get(conversation_id, ()) if u.turn_id == turn_id]

    async def _settled_turns(self, conversation_id: str) -> Turns:
        await self._recorded(conversation_id)
        return await self._store.load(conversation_id)

    async def _recorded(self, conversation_id: str) -> None:
        if recording := self._recordings.get(conversation_id):
            await asyncio.shield(recording)

    async def _record(
        self, conversation_id: str, turn: SpokenTurn, before: asyncio.Task[None] | None, *, heard_s: float | None
    ) -> None:
        if before is not None:
            await before

        def edit(turns: Turns) -> Turns:
            turns = remember(turns, turn, self._limits)
            codec = self._backend.description.codec
            return turns if heard_s is None else cut_to_heard(turns, turn.turn_id, heard_s, codec)

        try:
            await self._store.edit(conversation_id, edit)
        except StoreUnavailableError as error:
            self._store_failed(error)

    def _forget_recording(self, conversation_id: str, done: asyncio.Task[None]) -> None:
        if self._recordings.get(conversation_id) is done:
            del self._recordings[conversation_id]

    async def _quoted(self, turns: tuple[ConversationTurn, ...], kept: Turns) -> Turns:
        """Take turns as a request quotes them, with the codes kept under their names."""
        known = {turn.turn_id: turn for turn in kept}
        quoted: list[SpokenTurn] = []
        for turn in turns:
            said = known.get(turn.turn_id) if turn.audio is None else None
            if said is not None:
                quoted.append(replace(said, role=turn.role, text=turn.text, joints=()))
            else:
                quoted.append(await self._encoded(turn))
        return tuple(quoted)

    async def _encoded(self, turn: ConversationTurn) -> SpokenTurn:
        codes = b""
        if turn.audio is not None:
            codes = await self._backend.encode(turn.audio.data, turn.audio.sample_rate)
        duration_s = turn.audio.duration_s if turn.audio is not None else len(turn.text) / _CHARS_PER_SECOND
        return SpokenTurn(turn.turn_id, turn.role, turn.text, duration_s, codes)

    def _store_failed(self, error: StoreUnavailableError) -> None:
        self._metrics.store_errors.inc()
        log.warning("conversation_store_unavailable", error=str(error))


def _context_s(asked: ConversationContext | None, before: _Manner) -> float:
    """How much the next request will quote, by what this one does: `explicit` names its turns itself."""
    if asked is None or asked.mode == "none":
        return before.context_s
    return asked.max_context_s if asked.mode == "auto" else 0.0


def _spoken_turn(utterance: Utterance, backend: Backend) -> SpokenTurn | None:
    """Say what is kept of an utterance: all of it, what was made before a cancel, or nothing."""
    if not utterance.remembered or not utterance.made_bytes:
        return None
    turn = SpokenTurn(
        utterance.turn_id,
        "assistant",
        utterance.request.text,
        utterance.duration_s,
        utterance.codes,
        joints=utterance.joints,
    )
    if utterance.complete:
        return turn
    codec = backend.description.codec
    *said, last = turn.parts(codec)
    begun_s = max(turn.duration_s - sum(part.duration_s for part in said), 0.0)
    whole = replace(last, duration_s=max(begun_s, len(last.text) / _CHARS_PER_SECOND))
    begun = heard_part(whole, begun_s, codec)
    parts = said if begun is None else [*said, begun]
    return reduce(continued, parts) if parts else None
