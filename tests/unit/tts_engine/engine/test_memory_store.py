from __future__ import annotations

from tests.fakes.clock import FakeClock
from tts_engine.backend.port import SpokenTurn
from tts_engine.engine.history import Turns
from tts_engine.engine.memory_store import MemoryConversationStore


def adding(turn_id: str):
    def edit(turns: Turns) -> Turns:
        return (*turns, SpokenTurn(turn_id, "user", "Bəli", 1.0))

    return edit


def store_with(clock: FakeClock, *, max_conversations: int = 10) -> MemoryConversationStore:
    return MemoryConversationStore(ttl_s=60.0, max_conversations=max_conversations, clock=clock)


async def names(store: MemoryConversationStore, conversation_id: str) -> list[str]:
    return [turn.turn_id for turn in await store.load(conversation_id)]


async def test_what_is_edited_is_there_afterwards() -> None:
    store = store_with(FakeClock())

    await store.edit("c", adding("t1"))
    await store.edit("c", adding("t2"))

    assert await names(store, "c") == ["t1", "t2"]


async def test_an_unknown_conversation_is_empty() -> None:
    store = store_with(FakeClock())

    assert await store.load("nobody") == ()


async def test_a_conversation_expires_after_its_last_change() -> None:
    clock = FakeClock()
    store = store_with(clock)
    await store.edit("c", adding("t1"))
    clock.pass_(59.0)
    await store.edit("c", adding("t2"))

    clock.pass_(59.0)
    assert await names(store, "c") == ["t1", "t2"]
    clock.pass_(1.0)
    assert await names(store, "c") == []


async def test_the_conversation_changed_longest_ago_makes_room() -> None:
    store = store_with(FakeClock(), max_conversations=2)
    for conversation in ("a", "b"):
        await store.edit(conversation, adding("t1"))
    await store.edit("a", adding("t2"))

    await store.edit("c", adding("t1"))

    assert await names(store, "b") == []
    assert await names(store, "a") == ["t1", "t2"]


async def test_a_conversation_edited_to_nothing_is_gone() -> None:
    store = store_with(FakeClock(), max_conversations=1)
    await store.edit("a", adding("t1"))
    await store.edit("a", lambda _: ())
    await store.edit("b", adding("t1"))

    assert await names(store, "b") == ["t1"]


async def test_forgetting_leaves_nothing() -> None:
    store = store_with(FakeClock())
    await store.edit("a", adding("t1"))

    await store.forget("a")
    await store.forget("nobody")
    await store.ping()

    assert await store.load("a") == ()


async def test_a_closed_store_has_forgotten_everything() -> None:
    store = store_with(FakeClock())
    await store.edit("a", adding("t1"))

    await store.close()

    assert await store.load("a") == ()
