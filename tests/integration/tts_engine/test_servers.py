"""Several speech servers as one, over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from tests.fakes.speech import FakeBackend, tone
from tests.fakes.speech_server import RunningServer, speech_server
from tests.waiting import HUNG_S, eventually
from tts_engine import servers
from tts_engine.backend.port import BackendDescription
from tts_engine.client import SpeechTimeouts
from tts_engine.engine.history import Turns
from tts_engine.engine.memory_store import MemoryConversationStore
from tts_engine.engine.store import Edit, StoreUnavailableError
from tts_engine.errors import (
    SpeechCapacityError,
    SpeechEngineError,
    SpeechRequestError,
    SpeechSilenceError,
    SpeechUnavailableError,
)
from tts_engine.homes import Homes
from tts_engine.protocol import ConversationContext, ConversationTurn, SpeechRequest, TurnAudio
from tts_engine.servers import SpeechServers

NOWHERE = "http://127.0.0.1:9"  # discard: nobody listens there


def request(text: str, call: str, turn_id: str | None = None) -> SpeechRequest:
    return SpeechRequest(text=text, conversation=ConversationContext(id=call, turn_id=turn_id))


async def spoken(speech: SpeechServers, request: SpeechRequest) -> bytes:
    return b"".join([pcm async for pcm in speech.speak(request)])


def said(text: str) -> bytes:
    return b"".join(tone(text, n) for n in range(len(text)))


def texts(voice: FakeBackend) -> list[str]:
    return [each.text for each in voice.asked]


def urls(*running: RunningServer) -> list[str]:
    return [server.url for server in running]


def memory() -> MemoryConversationStore:
    return MemoryConversationStore(ttl_s=60, max_conversations=9, clock=time.monotonic)


@asynccontextmanager
async def deaf_server() -> AsyncGenerator[str, None]:
    """Takes every connection and says nothing on it, as a stopped process does."""
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in taken:
            writer.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers alone for a moment only."""
    monkeypatch.setattr(servers, "PROBE_S", 0.01)
    monkeypatch.setattr(servers, "FAILED_REST_S", 0.01)


async def test_calls_are_shared_out_and_each_keeps_to_its_server() -> None:
    one, two = FakeBackend(), FakeBackend()
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        for text in ("bir", "iki"):
            for call in ("x", "y"):
                assert await spoken(speech, request(f"{text} {call}", call)) == said(f"{text} {call}")

    assert sorted([texts(one), texts(two)]) == [["bir x", "iki x"], ["bir y", "iki y"]]


async def test_what_a_caller_says_is_told_where_the_call_is_answered() -> None:
    one, two = FakeBackend(), FakeBackend()
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        for call in ("x", "y"):
            await speech.put_turn(call, ConversationTurn(turn_id="t1", role="user", text="Salam"))
            await spoken(speech, request(call, call))
            await speech.heard(call, "t1", 0.1)

    for voice in (one, two):
        (asked,) = voice.asked
        assert [turn.text for turn in asked.context] == ["Salam"]


async def test_a_server_that_is_away_costs_its_callers_nothing_but_the_context() -> None:
    voice = FakeBackend()
    async with speech_server(voice) as server, SpeechServers([NOWHERE, server.url, NOWHERE]) as speech:
        for call in ("x", "y", "z"):
            assert await spoken(speech, request(call, call)) == said(call)
        assert await speech.voices() == ("az", "az-low")
        assert await speech.hears_conversation()
        assert await speech.ready()


async def test_a_call_moves_when_its_server_goes_and_a_new_one_finds_it_back() -> None:
    one, two = FakeBackend(), FakeBackend()
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        await spoken(speech, request("bir", "x"))
        first, second = (one, two) if one.asked else (two, one)
        first.down = "resting"

        assert await spoken(speech, request("iki", "x")) == said("iki")
        assert texts(second) == ["iki"]

        first.down = ""
        await eventually(lambda: not speech.away)
        await spoken(speech, request("üç", "x"))  # it stays where it has moved to
        await spoken(speech, request("salam", "y"))
        assert (texts(first)[-1], texts(second)[-1]) == ("salam", "üç")


async def test_a_full_server_sends_a_call_to_the_next_and_is_not_taken_for_gone() -> None:
    one, two = FakeBackend(streams=1, hold_at=1), FakeBackend(streams=1, hold_at=1)
    async with (
        speech_server(one) as a,
        speech_server(two) as b,
        SpeechServers(urls(a, b)) as speech,
        aclosing(speech.speak(request("bir", "x"))) as first,
        aclosing(speech.speak(request("iki", "x"))) as more,
    ):
        await anext(first)
        assert await anext(more) == tone("iki", 0)
        with pytest.raises(SpeechCapacityError):
            await spoken(speech, request("salam", "z"))
        assert not speech.away


async def test_what_breaks_off_midway_is_not_said_again() -> None:
    one, two = FakeBackend(fail_at=1), FakeBackend(fail_at=1)
    one.fault = two.fault = SpeechUnavailableError("gone")
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        with pytest.raises(SpeechUnavailableError):
            await spoken(speech, request("salam", "x"))

    assert len(one.asked) + len(two.asked) == 1


async def test_what_is_wrong_with_a_request_is_asked_of_nobody_else() -> None:
    one, two = FakeBackend(), FakeBackend()
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        with pytest.raises(SpeechRequestError):
            await spoken(speech, SpeechRequest(text="salam", voice="nobody"))
        one.fail_at = two.fail_at = 0
        one.fault = two.fault = SpeechRequestError("no letter that the voice can say")
        with pytest.raises(SpeechRequestError):
            await spoken(speech, request("salam", "x"))

    assert len(one.asked) + len(two.asked) == 1


async def test_what_an_engine_fails_on_before_its_first_sound_another_says_and_the_call_stays_there() -> None:
    store = memory()
    one, two = FakeBackend(), FakeBackend()
    async with (
        speech_server(one, store=store) as a,
        speech_server(two, store=store) as b,
        SpeechServers(urls(a, b)) as speech,
    ):
        speech._homes = Homes(2)
        await spoken(speech, request("bir", "x", "t1"))
        await a.engine.conversations.close()  # once it has written it
        one.fail_at = 0

        assert await spoken(speech, request("iki", "x", "t2")) == said("iki")
        assert await spoken(speech, request("üç", "x", "t3")) == said("üç")

        assert (texts(one), texts(two)) == (["bir", "iki"], ["iki", "üç"])
        assert [[turn.text for turn in asked.context] for asked in two.asked] == [["bir"], ["bir", "iki"]]
        assert not speech.away


async def test_what_two_engines_fail_on_is_given_to_no_third() -> None:
    voices = [FakeBackend(fail_at=0), FakeBackend(fail_at=0), FakeBackend()]
    async with (
        speech_server(voices[0]) as a,
        speech_server(voices[1]) as b,
        speech_server(voices[2]) as c,
        SpeechServers([a.url, NOWHERE, b.url, c.url]) as speech,
    ):
        speech._homes = Homes(4)
        with pytest.raises(SpeechEngineError):
            await spoken(speech, request("salam", "x"))

    assert [len(voice.asked) for voice in voices] == [1, 1, 0]


async def test_where_nobody_answers_the_last_says_so() -> None:
    async with SpeechServers([NOWHERE, NOWHERE]) as speech:
        with pytest.raises(SpeechUnavailableError):
            await spoken(speech, request("salam", "x"))
        with pytest.raises(SpeechUnavailableError):
            await speech.put_turn("x", ConversationTurn(turn_id="t1", role="user", text="Salam"))
        with pytest.raises(SpeechUnavailableError):
            await speech.voices()
        with pytest.raises(SpeechUnavailableError):
            await speech.forget("x")
        assert not await speech.ready()


async def test_every_server_that_knew_of_a_call_forgets_it() -> None:
    stores = [memory() for _ in range(2)]
    one, two = FakeBackend(), FakeBackend()
    async with (
        speech_server(one, store=stores[0]) as a,
        speech_server(two, store=stores[1]) as b,
        SpeechServers(urls(a, b)) as speech,
    ):
        await spoken(speech, request("bir", "x"))
        (one if one.asked else two).down = "resting"
        await spoken(speech, request("iki", "x"))
        one.down = two.down = ""
        await asyncio.gather(*(server.engine.conversations.close() for server in (a, b)))
        assert all([await store.load("x") for store in stores])

        await speech.forget("x")

        assert [await store.load("x") for store in stores] == [(), ()]


async def test_calls_that_begin_at_the_same_moment_are_shared_out() -> None:
    one, two = FakeBackend(streams=20), FakeBackend(streams=20)
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        await asyncio.gather(*(spoken(speech, request("bir", f"call-{n}")) for n in range(20)))

    assert (len(one.asked), len(two.asked)) == (10, 10)


async def test_a_server_that_takes_connections_and_does_nothing_costs_a_caller_a_connections_time_once() -> None:
    voice = FakeBackend()
    timeouts = SpeechTimeouts(connect_s=0.1, request_s=HUNG_S)
    async with (
        deaf_server() as deaf,
        speech_server(voice) as server,
        SpeechServers([deaf, server.url], timeouts=timeouts) as speech,
    ):
        for call in ("x", "y", "z"):
            assert await spoken(speech, request(call, call)) == said(call)

        assert speech.away == (deaf,)


async def test_a_voice_that_is_silent_is_given_up_for_another_in_time_and_then_let_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "FAILED_REST_S", HUNG_S)  # its /readyz says yes all the while
    one, two = FakeBackend(hold_at=0), FakeBackend()
    timeouts = SpeechTimeouts(first_audio_s=HUNG_S, next_server_s=0.1)
    async with (
        speech_server(one) as a,
        speech_server(two) as b,
        SpeechServers(urls(a, b), timeouts=timeouts) as speech,
    ):
        for call in ("w", "x", "y", "z"):  # every second one begins with the silent one, and then none
            assert await spoken(speech, request(call, call)) == said(call)
        await asyncio.wait_for(a.engine.drained(), HUNG_S)

        assert (len(one.asked), len(one.aborted)) == (2, 2)
        assert speech.away == (a.url,)


@pytest.mark.parametrize(
    "fault", [RuntimeError("cuda died"), SpeechUnavailableError("gone")], ids=["its engine", "its link"]
)
async def test_a_server_that_fails_midway_on_whatever_it_is_asked_is_left_though_it_says_that_it_is_ready(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr(servers, "FAILED_REST_S", HUNG_S)
    one, two = FakeBackend(fail_at=1, fault=fault), FakeBackend()
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        speech._homes = Homes(2)
        for _ in range(2):
            with pytest.raises((SpeechEngineError, SpeechUnavailableError)):
                await spoken(speech, request("salam", "x"))

        assert await spoken(speech, request("salam", "x")) == said("salam")
        assert await spoken(speech, request("salam", "y")) == said("salam")
        assert (len(one.asked), speech.away) == (2, (a.url,))


async def test_a_server_that_fails_on_whatever_it_is_asked_is_left_after_two_calls_that_another_spoke_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "FAILED_REST_S", HUNG_S)
    one, two = FakeBackend(fail_at=0), FakeBackend()
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        speech._homes = Homes(2)
        for call in ("w", "x", "y", "z"):  # every second one begins with the broken one, and then none
            assert await spoken(speech, request(call, call)) == said(call)

        assert (len(one.asked), speech.away) == (2, (a.url,))


async def test_all_servers_together_have_the_time_that_one_has() -> None:
    voices = [FakeBackend(hold_at=0) for _ in range(3)]
    timeouts = SpeechTimeouts(first_audio_s=0.3, next_server_s=0.25)
    async with (
        speech_server(voices[0]) as a,
        speech_server(voices[1]) as b,
        speech_server(voices[2]) as c,
        SpeechServers(urls(a, b, c), timeouts=timeouts) as speech,
    ):
        for asked in (2, 4):
            with pytest.raises(SpeechSilenceError):
                await spoken(speech, request("salam", "x"))
            assert sum(len(voice.asked) for voice in voices) == asked

        assert not speech.away  # whose silence it is, with so little time left for the second, nobody knows


async def test_a_server_that_is_alone_there_has_all_the_time() -> None:
    voice = FakeBackend(hold_at=0)
    timeouts = SpeechTimeouts(first_audio_s=HUNG_S, next_server_s=0.01)
    async with speech_server(voice) as server, SpeechServers([NOWHERE, server.url], timeouts=timeouts) as speech:
        speech._homes = Homes(2)
        speaking = asyncio.create_task(spoken(speech, request("salam", "x")))
        await voice.held.wait()
        await asyncio.wait([speaking], timeout=0.05)
        voice.go_on.set()

        assert await speaking == said("salam")


async def test_where_all_are_away_none_is_waited_for_until_it_is_too_late_to_ask_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "PROBE_S", HUNG_S)
    one, two = FakeBackend(down="starting"), FakeBackend(down="starting")
    timeouts = SpeechTimeouts(first_audio_s=HUNG_S, next_server_s=0.1)
    async with (
        speech_server(one) as a,
        speech_server(two) as b,
        SpeechServers(urls(a, b), timeouts=timeouts) as speech,
    ):
        speech._homes = Homes(2)
        with pytest.raises(SpeechUnavailableError):
            await spoken(speech, request("bir", "x"))
        assert len(speech.away) == 2
        one.down, two.down = "", ""
        one.hold_at = two.hold_at = 0
        speaking = asyncio.create_task(spoken(speech, request("iki", "x")))
        await asyncio.wait(
            [asyncio.create_task(each.held.wait()) for each in (one, two)], return_when="FIRST_COMPLETED"
        )
        (two if one.asked else one).go_on.set()

        assert await speaking == said("iki")


@dataclass
class SlowEncoder(FakeBackend):
    encoding: asyncio.Event = field(default_factory=asyncio.Event)

    async def encode(self, pcm: bytes, sample_rate_hz: int) -> bytes:
        self.encoding.set()
        await self.go_on.wait()
        return await super().encode(pcm, sample_rate_hz)


@dataclass
class LostStore:
    """A store that is away."""

    store: MemoryConversationStore = field(default_factory=memory)

    async def load(self, conversation_id: str) -> Turns:
        raise StoreUnavailableError("Redis: gone")

    async def edit(self, conversation_id: str, edit: Edit) -> None:
        raise StoreUnavailableError("Redis: gone")

    async def forget(self, conversation_id: str) -> None:
        raise StoreUnavailableError("Redis: gone")

    async def ping(self) -> None: ...
    async def close(self) -> None: ...


async def test_a_store_that_is_away_sends_no_call_to_another_server() -> None:
    one, two = FakeBackend(), FakeBackend()
    async with (
        speech_server(one, store=LostStore()) as a,
        speech_server(two, store=LostStore()) as b,
        SpeechServers(urls(a, b)) as speech,
    ):
        await spoken(speech, request("bir", "x"))
        with pytest.raises(SpeechUnavailableError):
            await speech.put_turn("x", ConversationTurn(turn_id="t1", role="user", text="Salam"))
        with pytest.raises(SpeechUnavailableError):
            await speech.heard("x", "t1", 0.5)
        await spoken(speech, request("iki", "x"))

        assert not speech.away
        assert sorted(map(texts, (one, two))) == [[], ["bir", "iki"]]
        with pytest.raises(SpeechUnavailableError):
            await speech.forget("x")


async def test_what_a_caller_says_as_his_server_goes_is_heard_by_the_next() -> None:
    one, two = FakeBackend(), FakeBackend()
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        await spoken(speech, request("bir", "x"))
        home, other = (a, two) if one.asked else (b, one)
        await home.stop()

        await speech.put_turn("x", ConversationTurn(turn_id="t1", role="user", text="Salam"))
        await spoken(speech, request("iki", "x"))

    (asked,) = other.asked
    assert [turn.text for turn in asked.context] == ["Salam"]


async def test_one_link_that_breaks_midway_sends_no_call_to_another_server() -> None:
    one, two = FakeBackend(fail_at=1), FakeBackend(fail_at=1)
    one.fault = two.fault = SpeechUnavailableError("gone")
    changes: list[tuple[str, bool]] = []
    async with (
        speech_server(one) as a,
        speech_server(two) as b,
        SpeechServers(urls(a, b), on_change=lambda url, up: changes.append((url, up))) as speech,
    ):
        with pytest.raises(SpeechUnavailableError):
            await spoken(speech, request("bir", "x"))
        one.fail_at = two.fail_at = None
        await spoken(speech, request("iki", "x"))

    assert sorted(map(texts, (one, two))) == [[], ["bir", "iki"]]
    assert changes == []


async def test_a_server_that_dies_in_the_middle_of_a_sentence_is_known_to_be_away_before_the_next(
    impatient: None,
) -> None:
    one, two = FakeBackend(hold_at=1), FakeBackend(hold_at=1)
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        async with aclosing(speech.speak(request("bir", "x"))) as audio:
            await anext(audio)
            home = a if one.asked else b
            home.server.force_exit = True
            await home.stop()
            with pytest.raises(SpeechUnavailableError):
                [pcm async for pcm in audio]

        await eventually(lambda: speech.away == (home.url,))


@pytest.mark.parametrize("where", ["first", "midway", "next", "connecting"])
async def test_a_barge_in_ends_an_utterance_wherever_it_stands(where: str) -> None:
    held = FakeBackend(hold_at=1 if where == "midway" else 0)
    full = FakeBackend(streams=0)
    timeouts = SpeechTimeouts(connect_s=HUNG_S, first_audio_s=HUNG_S, next_server_s=HUNG_S)
    async with AsyncExitStack() as stack:
        voice = await stack.enter_async_context(speech_server(held))
        first = (await stack.enter_async_context(speech_server(full))).url if where == "next" else NOWHERE
        if where == "connecting":
            first = await stack.enter_async_context(deaf_server())
        order = [voice.url] if where in {"first", "midway"} else [first, voice.url]
        speech = SpeechServers(order, timeouts=timeouts, warm_links=0)
        speech._homes = Homes(len(order))
        await stack.enter_async_context(speech)
        came = asyncio.Event()

        async def say() -> None:
            async with aclosing(speech.speak(request("salam", "x"))) as audio:
                async for _ in audio:
                    came.set()

        speaking = asyncio.create_task(say())
        if where == "connecting":
            await asyncio.wait([speaking], timeout=0.05)
        else:
            await held.held.wait()
        if where == "midway":
            await came.wait()
        speaking.cancel()
        await asyncio.wait([speaking], timeout=HUNG_S)

        assert speaking.cancelled()
        await asyncio.wait_for(voice.engine.drained(), HUNG_S)
        assert len(held.aborted) == len(held.asked) == (where != "connecting")
        assert not speech.away
        held.hold_at = None
        if where != "connecting":
            assert await spoken(speech, request("yox", "x")) == said("yox")
            await speech.forget("x")


async def test_closing_in_the_middle_of_speech_leaves_nothing_running() -> None:
    one, two = FakeBackend(hold_at=0), FakeBackend(hold_at=0)
    before = asyncio.all_tasks()
    async with speech_server(one) as a, speech_server(two) as b:
        serving = asyncio.all_tasks()
        async with SpeechServers([*urls(a, b), NOWHERE]) as speech:
            speaking = [asyncio.create_task(spoken(speech, request("salam", call))) for call in "xyz"]
            await asyncio.gather(one.held.wait(), two.held.wait())
        ended = await asyncio.gather(*speaking, return_exceptions=True)

        assert [type(each) for each in ended] == [SpeechUnavailableError] * 3
        await asyncio.gather(a.engine.drained(), b.engine.drained())
        await eventually(lambda: not _looks(asyncio.all_tasks() - serving))
        assert len(one.asked) + len(two.asked) == 3
    assert not _looks(asyncio.all_tasks() - before)


def _looks(tasks: set[asyncio.Task[object]]) -> list[str]:
    names = [getattr(task.get_coro(), "__qualname__", "") for task in tasks]
    return [name for name in names if name.startswith(("SpeechServers", "SpeechClient"))]


async def test_servers_restarted_one_after_the_other_cost_no_call_a_word(impatient: None) -> None:
    voices = [FakeBackend(hold_at=1), FakeBackend()]
    changes: list[tuple[str, bool]] = []
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(speech_server(voice)) for voice in voices]
        speech = SpeechServers(urls(*running), on_change=lambda url, up: changes.append((url, up)))
        await stack.enter_async_context(speech)
        for turn, (server, voice) in enumerate(zip(running, voices, strict=True)):
            voice.hold_at = 1
            talks = [speech.speak(request("salam", f"{call}{turn}")) for call in "xy"]
            heard = [[await anext(talk)] for talk in talks]
            server.engine.begin_drain()
            for call in ("x0", "y0", "z"):
                assert await spoken(speech, request("bir", call)) == said("bir")
            voice.go_on.set()
            for talk, pcm in zip(talks, heard, strict=True):
                assert b"".join([*pcm, *[each async for each in talk]]) == said("salam")
            await server.stop()
            assert await spoken(speech, request("iki", "x0")) == said("iki")
            voice.hold_at = None
            await stack.enter_async_context(speech_server(voice, port=int(server.url.rpartition(":")[2])))
            await eventually(lambda: not speech.away)

    assert changes == [(server.url, up) for server in running for up in (False, True)]


async def test_a_caller_whose_words_are_still_being_put_to_his_old_server_stays_where_he_has_moved_to() -> None:
    one, two = SlowEncoder(), SlowEncoder()
    async with speech_server(one) as a, speech_server(two) as b, SpeechServers(urls(a, b)) as speech:
        await spoken(speech, request("bir", "x"))
        home, other = (one, two) if one.asked else (two, one)
        audio = TurnAudio(data=bytes(3200), sample_rate=16_000)
        turn = ConversationTurn(turn_id="t1", role="user", text="Salam", audio=audio)
        putting = asyncio.create_task(speech.put_turn("x", turn))
        await home.encoding.wait()
        home.streams = 0
        await spoken(speech, request("iki", "x"))
        home.streams = 8
        home.go_on.set()
        await putting
        await spoken(speech, request("üç", "x"))

    assert (texts(home), texts(other)) == (["bir"], ["iki", "üç"])


async def test_who_is_told_of_a_server_that_goes_is_told_once_and_once_more_when_it_is_back(impatient: None) -> None:
    one, two = FakeBackend(down="resting"), FakeBackend()
    changes: list[tuple[str, bool]] = []
    async with (
        speech_server(one) as a,
        speech_server(two) as b,
        SpeechServers(urls(a, b), on_change=lambda url, up: changes.append((url, up))) as speech,
    ):
        await asyncio.gather(*(spoken(speech, request("salam", f"call-{n}")) for n in range(5)))
        assert changes == [(a.url, False)]
        one.down = ""
        await eventually(lambda: not speech.away)

        assert changes == [(a.url, False), (a.url, True)]


async def test_what_was_not_heard_of_a_turn_is_forgotten_by_all_who_said_parts_of_it() -> None:
    stores = [memory() for _ in range(2)]
    one, two = FakeBackend(), FakeBackend()
    async with (
        speech_server(one, store=stores[0]) as a,
        speech_server(two, store=stores[1]) as b,
        SpeechServers(urls(a, b)) as speech,
    ):
        await spoken(speech, request("bir iki", "x", "t1"))
        (one if one.asked else two).streams = 0
        await spoken(speech, request("beş altı", "x", "t1"))

        await speech.heard("x", "t1", 0.16)

        for server, store in zip((a, b), stores, strict=True):
            await server.engine.conversations.close()
            (turn,) = await store.load("x")
            assert turn.duration_s == 0.16


async def test_a_call_whose_server_is_gone_is_forgotten_by_the_store_that_it_shared() -> None:
    store = memory()
    one, two = FakeBackend(), FakeBackend()
    async with (
        speech_server(one, store=store) as a,
        speech_server(two, store=store) as b,
        SpeechServers(urls(a, b)) as speech,
    ):
        await spoken(speech, request("bir", "x"))
        home = a if one.asked else b
        await home.engine.conversations.close()
        home.server.should_exit = True
        await home.running
        assert await store.load("x")

        await speech.forget("x")

        assert await store.load("x") == ()


@dataclass
class OtherVoices(FakeBackend):
    voices: tuple[str, ...] = ("az",)

    @property
    def description(self) -> BackendDescription:
        return replace(super().description, voices=self.voices)


async def test_of_servers_with_different_voices_those_that_all_have_can_be_asked_for() -> None:
    one, two = OtherVoices(codec=None, voices=("ru", "az")), OtherVoices(voices=("az", "en"))
    async with speech_server(one) as a, speech_server(two) as b:
        for order in (urls(a, b), urls(b, a), [NOWHERE, *urls(a, b)]):
            async with SpeechServers(order) as speech:
                assert await speech.voices() == ("az",)
                assert await speech.hears_conversation()


async def test_a_server_that_is_away_may_have_a_voice_that_hears() -> None:
    async with speech_server(FakeBackend(codec=None)) as deaf:
        async with SpeechServers([deaf.url, deaf.url]) as speech:
            assert not await speech.hears_conversation()
        async with SpeechServers([deaf.url, NOWHERE]) as speech:
            with pytest.raises(SpeechUnavailableError):
                await speech.hears_conversation()
