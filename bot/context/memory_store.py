"""Calls in this process's memory: for tests, and for one call typed at a terminal."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from bot.context.conversation import Conversation, Turn
from bot.context.store import ConversationLimits, with_heard


class MemoryConversationStore:
    """Forgets a call `ttl_s` after its last change, and the oldest beyond `max_calls`."""

    def __init__(
        self,
        *,
        ttl_s: float,
        clock: Callable[[], float],
        limits: ConversationLimits | None = None,
        max_calls: int = 1024,
    ) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._limits = limits or ConversationLimits()
        self._max_calls = max_calls
        self._kept: OrderedDict[str, tuple[float, Conversation]] = OrderedDict()  # by time of expiry

    async def append(self, call_id: str, turn: Turn) -> None:
        """Add a turn at the end; one of the same `turn_id` is replaced."""
        self._keep(self._limits.applied_to((await self.load(call_id)).with_turn(turn)))

    async def heard(self, call_id: str, turn_id: str, heard_s: float) -> None:
        """Note how much of a turn the caller heard."""
        self._keep(with_heard(await self.load(call_id), turn_id, heard_s))

    async def load(self, call_id: str) -> Conversation:
        """Read a call."""
        now = self._clock()
        while self._kept and next(iter(self._kept.values()))[0] <= now:
            self._kept.popitem(last=False)
        _, conversation = self._kept.get(call_id, (0.0, Conversation(call_id)))
        return conversation

    async def forget(self, call_id: str) -> None:
        """Remove a call."""
        self._kept.pop(call_id, None)

    def _keep(self, conversation: Conversation) -> None:
        self._kept.pop(conversation.call_id, None)
        if conversation.turns:
            self._kept[conversation.call_id] = (self._clock() + self._ttl_s, conversation)
        if len(self._kept) > self._max_calls:
            self._kept.popitem(last=False)
