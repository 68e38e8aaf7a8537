from __future__ import annotations

from bot.context.conversation import Conversation, Speaker, Turn
from bot.context.memory_store import MemoryConversationStore
from bot.context.store import ConversationLimits
from tests.fakes.clock import FakeClock


def turn(turn_id: str) -> Turn:
    return Turn(turn_id, Speaker.CALLER, "Salam", 1_795_000_000.0, 2.0)


def names(conversation: Conversation) -> list[str]:
    return [turn.turn_id for turn in conversation.turns]


async def test_a_call_is_remembered_turn_by_turn() -> None:
    store = MemoryConversationStore(ttl_s=60, clock=FakeClock())

    await store.append("c", turn("t1"))
    await store.append("c", turn("t2"))
    await store.heard("c", "t1", 0.5)

    assert [(t.turn_id, t.heard_s) for t in (await store.load("c")).turns] == [("t1", 0.5), ("t2", None)]


async def test_a_call_expires_after_its_last_change() -> None:
    clock = FakeClock()
    store = MemoryConversationStore(ttl_s=60, clock=clock)
    await store.append("c", turn("t1"))
    clock.pass_(59)
    await store.append("c", turn("t2"))
    clock.pass_(59)
    assert names(await store.load("c")) == ["t1", "t2"]

    clock.pass_(1)

    assert await store.load("c") == Conversation("c")


async def test_a_call_does_not_grow_beyond_its_limits() -> None:
    store = MemoryConversationStore(ttl_s=60, clock=FakeClock(), limits=ConversationLimits(max_turns=2))

    for n in range(4):
        await store.append("c", turn(f"t{n}"))

    assert names(await store.load("c")) == ["t2", "t3"]


async def test_the_call_changed_longest_ago_makes_room() -> None:
    store = MemoryConversationStore(ttl_s=60, clock=FakeClock(), max_calls=2)

    for call in ("a", "b", "a", "c"):
        await store.append(call, turn("t1"))

    assert [names(await store.load(call)) for call in "abc"] == [["t1"], [], ["t1"]]


async def test_a_call_that_is_not_known_is_empty_however_it_is_asked() -> None:
    store = MemoryConversationStore(ttl_s=60, clock=FakeClock())

    await store.heard("nobody", "t1", 0.5)
    await store.forget("nobody")

    assert await store.load("nobody") == Conversation("nobody")


async def test_a_call_that_is_forgotten_is_gone() -> None:
    store = MemoryConversationStore(ttl_s=60, clock=FakeClock())
    await store.append("c", turn("t1"))

    await store.forget("c")

    assert await store.load("c") == Conversation("c")
