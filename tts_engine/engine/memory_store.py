"""Conversations in this process's memory: for one server, or where no Redis is configured."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from tts_engine.engine.history import Turns
from tts_engine.engine.store import Edit


class MemoryConversationStore:
    """Forgets a conversation `ttl_s` after its last change, and the oldest beyond `max_conversations`."""

    def __init__(self, *, ttl_s: float, max_conversations: int, clock: Callable[[], float]) -> None:
        self._ttl_s = ttl_s
        self._max_conversations = max_conversations
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Turns]] = OrderedDict()  # by time of expiry

    async def load(self, conversation_id: str) -> Turns:
        """Read a conversation."""
        self._expire()
        _, turns = self._kept.get(conversation_id, (0.0, ()))
        return turns

    async def edit(self, conversation_id: str, edit: Edit) -> None:
        """Replace a conversation by `edit` of itself."""
        turns = edit(await self.load(conversation_id))
        self._kept.pop(conversation_id, None)
        if turns:
            self._kept[conversation_id] = (self._clock() + self._ttl_s, turns)
        if len(self._kept) > self._max_conversations:
            self._kept.popitem(last=False)

    async def forget(self, conversation_id: str) -> None:
        """Remove a conversation."""
        self._kept.pop(conversation_id, None)

    async def ping(self) -> None:
        """Memory is always there."""

    async def close(self) -> None:
        """Forget everything."""
        self._kept.clear()

    def _expire(self) -> None:
        now = self._clock()
        while self._kept and next(iter(self._kept.values()))[0] <= now:
            self._kept.popitem(last=False)
