from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.context.conversation import Conversation, Speaker, Turn
from bot.context.store import ConversationLimits


def turn(turn_id: str, text: str = "Salam") -> Turn:
    return Turn(turn_id, Speaker.BOT, text, 1_795_000_000.0, 2.0)


def test_the_newest_turns_are_kept() -> None:
    conversation = Conversation("c", tuple(turn(f"t{n}") for n in range(5)))

    kept = ConversationLimits(max_turns=2).applied_to(conversation)

    assert [t.turn_id for t in kept.turns] == ["t3", "t4"]


def test_bytes_are_counted_as_they_are_stored() -> None:
    conversation = Conversation("c", (turn("t1", "əəə"), turn("t2", "əə")))  # six and four bytes

    assert [t.turn_id for t in ConversationLimits(max_bytes=9).applied_to(conversation).turns] == ["t2"]
    assert len(ConversationLimits(max_bytes=10).applied_to(conversation).turns) == 2


@given(st.lists(st.text(max_size=20), max_size=20), st.integers(1, 10), st.integers(0, 60))
def test_what_is_kept_is_the_end_of_the_call_and_fits(texts: list[str], max_turns: int, max_bytes: int) -> None:
    conversation = Conversation("c", tuple(turn(f"t{n}", text) for n, text in enumerate(texts)))

    kept = ConversationLimits(max_turns, max_bytes).applied_to(conversation).turns

    assert len(kept) <= max_turns
    assert sum(len(t.text.encode()) for t in kept) <= max_bytes
    assert kept == conversation.turns[len(texts) - len(kept) :]
