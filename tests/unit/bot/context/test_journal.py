from __future__ import annotations

import asyncio

from bot.context.conversation import Speaker, Turn
from bot.context.journal import CallerAudio, Journal
from bot.errors import ConversationError
from bot.events import BotSpeaking, BotTurn, BotTurnHeard, CallerTurn
from tts_engine.errors import SpeechUnavailableError
from tts_engine.protocol import ConversationTurn


class Store:
    def __init__(self, error: Exception | None = None) -> None:
        self.turns: list[Turn] = []
        self.error = error

    async def append(self, call_id: str, turn: Turn) -> None:
        if self.error is not None:
            raise self.error
        self.turns.append(turn)


class Memory:
    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    async def put_turn(self, conversation_id: str, turn: ConversationTurn) -> None:
        self.calls.append(("put", turn.turn_id))

    async def heard(self, conversation_id: str, turn_id: str, heard_s: float) -> None:
        self.calls.append(("heard", turn_id, str(heard_s)))

    async def forget(self, conversation_id: str) -> None:
        self.calls.append(("forget", conversation_id))
        raise SpeechUnavailableError("away")


async def write(store: Store, memory: Memory, *events: object) -> tuple[Journal, list[Exception]]:
    failures: list[Exception] = []
    journal = Journal(
        "call", store=store, speech=memory, voice_hears=True, wall_clock=lambda: 100.0, on_failure=failures.append
    )
    running = asyncio.create_task(journal.run())
    for event in events:
        journal.note(event, caller_audio=CallerAudio(bytes(32_000)) if isinstance(event, CallerTurn) else None)
    await journal.close()
    await running
    return journal, failures


async def test_both_sides_are_kept_with_what_was_heard() -> None:
    store, memory = Store(), Memory()

    await write(
        store,
        memory,
        BotTurn(turn_id="t1", text="Salam"),
        BotSpeaking(on=True),
        BotTurnHeard(turn_id="t1", heard_s=0.5, duration_s=2.0),
        CallerTurn(turn_id="t2", text="Bəli"),
        BotTurn(turn_id="t3", text="Sağ olun"),
        BotTurnHeard(turn_id="t3", heard_s=1.0, duration_s=1.0),
    )

    assert store.turns == [
        Turn("t1", Speaker.BOT, "Salam", 100.0, 2.0, 0.5),
        Turn("t2", Speaker.CALLER, "Bəli", 100.0, 1.0),
        Turn("t3", Speaker.BOT, "Sağ olun", 100.0, 1.0, None),
    ]
    assert memory.calls == [("heard", "t1", "0.5"), ("put", "t2"), ("forget", "call")]


async def test_a_prompt_from_the_cache_is_told_before_how_much_of_it_was_heard() -> None:
    memory = Memory()
    journal = Journal(
        "call", store=Store(), speech=memory, voice_hears=True, wall_clock=float, on_failure=lambda _: None
    )
    running = asyncio.create_task(journal.run())

    journal.note(BotTurn(turn_id="t1", text="Salam"))
    journal.said_from_cache("t1", "salam", bytes(48_000))
    journal.note(BotTurnHeard(turn_id="t1", heard_s=0.5, duration_s=1.0))
    await journal.close()
    await running

    assert memory.calls == [("put", "t1"), ("heard", "t1", "0.5"), ("forget", "call")]


async def test_a_voice_that_hears_nothing_is_sent_no_audio() -> None:
    memory = Memory()
    journal = Journal(
        "call", store=Store(), speech=memory, voice_hears=False, wall_clock=float, on_failure=lambda _: None
    )
    running = asyncio.create_task(journal.run())

    journal.said_from_cache("t1", "salam", bytes(48_000))
    journal.note(CallerTurn(turn_id="t2", text="Bəli"), caller_audio=CallerAudio(bytes(32_000)))
    await journal.close()
    await running

    assert memory.calls == [("forget", "call")]


async def test_a_store_that_is_away_is_counted_and_nothing_waits() -> None:
    _, failures = await write(Store(ConversationError("away")), Memory(), CallerTurn(turn_id="t1", text="a"))

    assert [type(f) for f in failures] == [ConversationError, SpeechUnavailableError]


async def test_a_turn_that_cannot_be_written_is_told_without_its_text_and_the_journal_goes_on() -> None:
    store, memory = Store(ValueError("Əli")), Memory()

    _, failures = await write(store, memory, *(CallerTurn(turn_id=f"t{n}", text="Əli") for n in range(70)))

    assert str(failures[0]) == "a turn could not be written: ValueError"
    assert memory.calls[-1] == ("forget", "call")


async def test_what_does_not_fit_the_queue_is_dropped_and_told_at_the_end() -> None:
    failures: list[Exception] = []
    journal = Journal(
        "call", store=Store(), speech=Memory(), voice_hears=True, wall_clock=lambda: 0.0, on_failure=failures.append
    )

    for n in range(100):
        journal.note(CallerTurn(turn_id=f"t{n}", text="a"))
    running = asyncio.create_task(journal.run())
    await journal.close()
    await running

    assert journal.dropped == 36
    assert str(failures[0]) == "36 writes of the call were dropped: the stores are too slow"
