from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from tests.fakes.clock import FakeClock
from tests.fakes.speech import CODEC, FRAME_BYTES, FakeBackend, codes_of
from tts_engine.backend.port import SpokenTurn
from tts_engine.engine import recollection
from tts_engine.engine.engine import EngineLimits, SpeechEngine
from tts_engine.engine.memory_store import MemoryConversationStore
from tts_engine.engine.store import StoreUnavailableError
from tts_engine.metrics import SpeechMetrics
from tts_engine.protocol import ConversationContext, ConversationTurn, SpeechRequest, TurnAudio


class BrokenStore:
    async def load(self, conversation_id):
        raise StoreUnavailableError("Redis: gone")

    async def edit(self, conversation_id, edit):
        raise StoreUnavailableError("Redis: gone")

    forget = load

    async def ping(self):
        raise StoreUnavailableError("Redis: gone")

    async def close(self):
        pass


class Server:
    """An engine with its backend and store."""

    def __init__(self, *, store=None, **backend) -> None:
        clock = FakeClock()
        self.backend = FakeBackend(**backend)
        self.store = store or MemoryConversationStore(ttl_s=60, max_conversations=10, clock=clock)
        self.metrics = SpeechMetrics(CollectorRegistry())
        self.engine = SpeechEngine(self.backend, self.store, self.metrics, limits=EngineLimits(), clock=clock)

    async def say(self, text: str, turn_id: str | None = None, **context) -> bytes:
        conversation = ConversationContext(id="c", turn_id=turn_id, **context)
        async with self.engine.speak(SpeechRequest(text=text, conversation=conversation)) as utterance:
            return b"".join([pcm async for pcm in utterance.audio()])

    async def kept(self) -> tuple[SpokenTurn, ...]:
        await self.engine.conversations.close()
        return await self.store.load("c")

    @property
    def heard_before(self) -> list[tuple[str, str]]:
        return [(turn.role, turn.text) for turn in self.backend.asked[-1].context]


def codes(text: str, frames: int) -> bytes:
    return b"".join(codes_of(text.encode(), n) for n in range(frames))


async def test_a_voice_hears_what_was_said_before() -> None:
    server = Server()
    await server.engine.conversations.put_turn("c", ConversationTurn(turn_id="u1", text="Salam"))
    await server.say("Buyurun", "t1")

    await server.say("Davam", "t2")

    assert server.heard_before == [("user", "Salam"), ("assistant", "Buyurun")]
    assert server.backend.asked[-1].context[1].codes == codes("Buyurun", 7)


async def test_an_unknown_conversation_is_an_empty_context() -> None:
    server = Server()

    await server.say("Salam", "t1")

    assert server.heard_before == []


async def test_the_caller_s_audio_is_kept_as_codes() -> None:
    server = Server()
    audio = TurnAudio(data=b"ab" * 8000, sample_rate=8000)  # one second

    await server.engine.conversations.put_turn("c", ConversationTurn(turn_id="u1", text="Bəli", audio=audio))

    (turn,) = await server.kept()
    assert (turn.role, turn.duration_s, len(turn.codes)) == ("user", 1.0, 12 * 64)
    assert server.backend.encoded == [(16_000, 8000)]


async def test_pieces_under_one_turn_id_are_one_turn() -> None:
    server = Server()
    await server.say("Salam.", "t1")
    await server.say("Buyurun.", "t1")

    (turn,) = await server.kept()

    assert turn.text == "Salam. Buyurun."
    assert turn.codes == codes("Salam.", 6) + codes("Buyurun.", 8)
    assert [part.text for part in turn.parts(server.backend.codec)] == ["Salam.", "Buyurun."]
    assert server.heard_before == [("assistant", "Salam.")]


async def test_what_the_caller_did_not_hear_is_forgotten() -> None:
    server = Server()
    await server.say("bir iki", "t1")  # seven frames

    await server.engine.conversations.heard("c", "t1", 0.25)

    (turn,) = await server.kept()
    assert (turn.text, turn.codes) == ("bir", codes("bir iki", 3))


async def test_a_cancelled_utterance_is_kept_as_far_as_it_was_made() -> None:
    server = Server(hold_at=14)
    text = "bir iki üç dörd beş altı yeddi"  # 30 letters, over two seconds to say
    task = asyncio.create_task(server.say(text, "t1"))
    await server.backend.held.wait()

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    (turn,) = await server.kept()
    assert turn.duration_s == pytest.approx(14 * 0.08)
    assert turn.codes == codes(text, 14)
    assert turn.text == "bir iki üç dörd"


async def test_a_text_that_was_said_in_pieces_is_heard_later_as_it_was_said() -> None:
    server = Server(piece_at=7)
    await server.say("Salam, buyurun.", "t1")

    (turn,) = await server.kept()
    first, second = turn.parts(CODEC)
    assert (first.text, second.text) == ("Salam,", "buyurun.")
    assert (first.codes, second.codes) == (turn.codes[: 7 * 64], turn.codes[7 * 64 :])


async def test_a_second_request_of_a_turn_keeps_its_pieces_apart_too() -> None:
    server = Server(piece_at=7)
    await server.say("Salam, buyurun.", "t1")
    await server.say("Hə, ola, bilər.", "t1")

    (turn,) = await server.kept()
    assert [part.text for part in turn.parts(CODEC)] == ["Salam,", "buyurun.", "Hə, ol", ", bilər."]


async def test_an_utterance_cancelled_in_its_second_piece_keeps_the_first_whole() -> None:
    server = Server(piece_at=7, hold_at=14)
    text = "Salam, bir iki üç dörd beş altı yeddi səkkiz"
    task = asyncio.create_task(server.say(text, "t1"))
    await server.backend.held.wait()

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    (turn,) = await server.kept()
    first, second = turn.parts(CODEC)
    assert (first.text, second.text) == ("Salam,", "bir iki")
    assert turn.codes == codes(text, 14)
    assert turn.duration_s == pytest.approx(14 * 0.08)


async def test_nothing_is_kept_of_an_utterance_cancelled_before_its_first_audio() -> None:
    server = Server(hold_at=0)
    task = asyncio.create_task(server.say("Salam", "t1"))
    await server.backend.held.wait()

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await server.kept() == ()


async def test_news_of_a_barge_in_that_overtakes_the_cancel_waits_for_it() -> None:
    server = Server(hold_at=5)
    task = asyncio.create_task(server.say("bir iki", "t1"))
    await server.backend.held.wait()

    heard = asyncio.create_task(server.engine.conversations.heard("c", "t1", 0.25))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await heard

    (turn,) = await server.kept()
    assert turn.codes == codes("bir iki", 3)


async def test_news_of_a_barge_in_does_not_wait_for_ever(monkeypatch) -> None:
    monkeypatch.setattr("tts_engine.engine.recollection._CANCEL_WAIT_S", 0.01)
    server = Server(hold_at=5)
    task = asyncio.create_task(server.say("bir iki", "t1"))
    await server.backend.held.wait()

    await server.engine.conversations.heard("c", "t1", 0.25)

    assert not task.done()
    server.backend.go_on.set()
    assert len(await task) == 7 * FRAME_BYTES
    (turn,) = await server.kept()
    assert (turn.text, turn.codes) == ("bir", codes("bir iki", 3))  # it is not forgotten either


async def test_a_turn_forgotten_while_it_is_said_leaves_nothing() -> None:
    server = Server(hold_at=3)
    first = asyncio.create_task(server.say("Buyurun", "t1"))
    await server.backend.held.wait()
    other = asyncio.create_task(server.say("Davam", "t2"))

    await server.engine.conversations.forget_turn("c", "t1")
    server.backend.go_on.set()
    await asyncio.gather(first, other)

    assert [turn.turn_id for turn in await server.kept()] == ["t2"]


async def test_a_turn_forgotten_while_it_is_written_leaves_nothing() -> None:
    server = Server()
    await server.say("Buyurun", "t1")  # its writing has begun

    await server.engine.conversations.forget_turn("c", "t1")

    assert await server.kept() == ()


async def test_an_assistant_s_turn_put_again_is_the_same_turn() -> None:
    server = Server()
    audio = TurnAudio(data=b"ab" * 16_000)
    turn = ConversationTurn(turn_id="b1", role="assistant", text="Salam", audio=audio)
    for _ in range(2):
        await server.engine.conversations.put_turn("c", turn)

    (kept,) = await server.kept()
    assert (kept.text, len(kept.codes)) == ("Salam", 12 * 64)


async def test_a_turn_is_heard_in_the_words_and_the_role_that_quote_it() -> None:
    server = Server()
    await server.say("bir iki", "t1")
    await server.say("üç", "t1")

    quoted = (ConversationTurn(turn_id="t1", role="user", text="bir"),)
    await server.say("Davam", "t2", mode="explicit", turns=quoted)

    assert server.heard_before == [("user", "bir")]
    (turn,) = server.backend.asked[-1].context
    assert turn.codes == codes("bir iki", 7) + codes("üç", 2)
    assert turn.parts(server.backend.codec) == (turn,)


async def test_forgetting_leaves_nothing_not_even_of_what_is_being_said() -> None:
    server = Server(hold_at=3)
    await server.engine.conversations.put_turn("c", ConversationTurn(turn_id="u1", text="Salam"))
    task = asyncio.create_task(server.say("Buyurun", "t1"))
    await server.backend.held.wait()

    await server.engine.conversations.forget("c")
    server.backend.go_on.set()
    await task

    assert await server.kept() == ()


async def test_two_voices_at_once_are_told_apart() -> None:
    server = Server(hold_at=1)
    first = asyncio.create_task(server.say("bir", "t1"))
    second = asyncio.create_task(server.say("iki", "t2"))
    await server.backend.held.wait()
    server.backend.go_on.set()

    await asyncio.gather(first, second)

    assert sorted(turn.turn_id for turn in await server.kept()) == ["t1", "t2"]


async def test_mode_none_hears_nothing_and_leaves_nothing() -> None:
    server = Server()
    await server.say("Salam", "t1")

    await server.say("Sirr", "t2", mode="none")

    assert server.heard_before == []
    assert [turn.turn_id for turn in await server.kept()] == ["t1"]


async def test_mode_explicit_hears_the_turns_that_it_quotes_with_the_codes_kept_of_them() -> None:
    server = Server()
    await server.say("Salam", "t1")
    await server.say("Başqa", "t2")
    audio = TurnAudio(data=b"ab" * 16_000)
    quoted = (
        ConversationTurn(turn_id="t1", role="assistant", text="Salam"),
        ConversationTurn(turn_id="new", text="Bəli", audio=audio),
        ConversationTurn(turn_id="t9", text="Nə?"),
    )

    await server.say("Davam", "t3", mode="explicit", turns=quoted)

    context = server.backend.asked[-1].context
    assert [turn.text for turn in context] == ["Salam", "Bəli", "Nə?"]
    assert [len(turn.codes) // 64 for turn in context] == [5, 12, 0]


async def test_a_context_is_cut_to_what_the_request_allows() -> None:
    server = Server()
    for n in range(4):
        await server.say("x" * 25, f"t{n}")  # two seconds

    await server.say("Davam", "t9", max_context_s=4.0)

    assert len(server.heard_before) == 1  # of the eight seconds the oldest six, three at a time


async def test_a_voice_without_codec_is_not_kept_waiting_for_context() -> None:
    server = Server(codec=None)
    await server.say("Salam", "t1")

    await server.say("Davam", "t2")

    assert server.heard_before == []
    assert [turn.text for turn in await server.kept()] == ["Salam", "Davam"]


async def test_a_store_that_is_away_costs_context_not_speech() -> None:
    server = Server(store=BrokenStore())

    assert await server.say("Salam", "t1")
    await server.engine.conversations.close()

    assert server.metrics.registry.get_sample_value("zeng_tts_store_errors_total") == 2


async def test_a_turn_that_cannot_be_kept_is_said_so() -> None:
    conversations = Server(store=BrokenStore()).engine.conversations

    for work in (
        conversations.put_turn("c", ConversationTurn(turn_id="u1", text="Salam")),
        conversations.heard("c", "t1", 1.0),
        conversations.forget("c"),
    ):
        with pytest.raises(StoreUnavailableError):
            await work


async def test_a_server_starts_without_its_store() -> None:
    server = Server(store=BrokenStore())

    await server.engine.start()

    assert server.engine.health.ready


async def test_one_turn_can_be_forgotten_alone() -> None:
    server = Server()
    await server.say("bir", "t1")
    await server.say("iki", "t2")

    await server.engine.conversations.forget_turn("c", "t1")

    assert [turn.turn_id for turn in await server.kept()] == ["t2"]


async def test_a_turn_that_comes_is_read_ahead_for_the_voice_that_speaks_in_the_conversation():
    server = Server()
    audio = TurnAudio(data=bytes(32_000))
    await server.engine.conversations.put_turn("c", ConversationTurn(turn_id="1", text="Salam", audio=audio))
    request = SpeechRequest(text="Buyurun", voice="az-low", conversation=ConversationContext(id="c", turn_id="2"))
    async with server.engine.speak(request) as utterance:
        assert [pcm async for pcm in utterance.audio()]
    await server.kept()
    await server.engine.conversations.put_turn("c", ConversationTurn(turn_id="3", text="Hə", audio=audio))
    assert server.backend.read == [("az", ("1",)), ("az-low", ("1", "2", "3"))]


async def test_as_much_is_read_ahead_as_the_conversation_quotes():
    server = Server()
    for n in range(4):
        await server.say("x" * 25, f"t{n}", max_context_s=4.0)  # two seconds
    await server.say("gizli", "t9", mode="none")  # what is said aside changes nothing of that
    await server.kept()
    sound = TurnAudio(data=bytes(32_000))  # one second

    await server.engine.conversations.put_turn("c", ConversationTurn(turn_id="u1", text="Hə", audio=sound))
    await server.say("Davam", "t10", max_context_s=4.0)

    [(_, read)] = server.backend.read
    assert read == tuple(turn.turn_id for turn in server.backend.asked[-1].context)
    assert read == ("t3", "u1")


async def test_nothing_is_read_ahead_for_requests_that_name_their_turns_themselves():
    server = Server()
    await server.say("Salam", "t1", mode="explicit")
    await server.kept()
    await server.engine.conversations.put_turn("c", ConversationTurn(turn_id="u1", text="Hə"))
    assert server.backend.read == []


async def test_of_many_conversations_the_voices_of_the_newest_are_known(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recollection, "_MAX_MANNERS", 1)
    server = Server()
    for name in ("a", "b"):
        request = SpeechRequest(text="Hə", voice="az-low", conversation=ConversationContext(id=name, turn_id="1"))
        async with server.engine.speak(request) as utterance:
            assert [pcm async for pcm in utterance.audio()]
        await server.kept()
    for name in ("a", "b"):
        await server.engine.conversations.put_turn(name, ConversationTurn(turn_id="2", text="Hə"))
    assert [voice for voice, _ in server.backend.read] == ["az", "az-low"]
