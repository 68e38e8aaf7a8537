"""How much a store keeps of a call."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.context.conversation import Conversation, Turn


@dataclass(frozen=True, slots=True)
class ConversationLimits:
    """How much of a call is kept: the newest turns, the oldest go first."""

    max_turns: int = 200
    max_bytes: int = 64 * 1024  # of text

    def applied_to(self, conversation: Conversation) -> Conversation:
        """Drop the oldest turns that do not fit."""
        kept: list[Turn] = []
        size = 0
        for turn in reversed(conversation.turns[-self.max_turns :]):
            size += len(turn.text.encode())
            if size > self.max_bytes:
                break
            kept.append(turn)
        return replace(conversation, turns=tuple(reversed(kept)))
