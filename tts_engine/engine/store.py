"""`ConversationStore`: where the speech server keeps what was said, by conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from tts_engine.engine.history import Turns
from tts_engine.errors import SpeechUnavailableError

Edit: TypeAlias = Callable[[Turns], Turns]


class StoreUnavailableError(SpeechUnavailableError):
    """The store is away or refused; the voice goes on without context."""


class ConversationStore(Protocol):
    """Keeps the turns of every conversation for a while. Everything raises `StoreUnavailableError`."""

    async def load(self, conversation_id: str) -> Turns:
        """Read a conversation; one that is not known is empty."""
        ...

    async def edit(self, conversation_id: str, edit: Edit) -> None:
        """Replace a conversation by `edit` of itself, atomically; `edit` may run more than once."""
        ...

    async def forget(self, conversation_id: str) -> None:
        """Remove a conversation."""
        ...

    async def ping(self) -> None:
        """Say by not raising that it is there."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
