"""Several speech servers as one, over real sockets."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from tests.fakes.speech import FakeBackend, tone
from tests.fakes.speech_server import RunningServer, speech_server
from tests.waiting import eventually
from tts_engine.engine.memory_store import MemoryConversationStore
from tts_engine.errors import SpeechCapacityError, SpeechEngineError, SpeechRequestError, SpeechUnavailableError
from tts_engine.protocol import ConversationContext, ConversationTurn, SpeechRequest
from tts_engine.servers import SpeechServers

NOWHERE = "http://127.0.0.1:9"  # discard: nobody listens there


def request(text: str, call: str) -> SpeechRequest:
    return SpeechRequest(text=text, conversation=ConversationContext(id=call))


async def spoken(speech: SpeechServers, request: SpeechRequest) -> bytes:
    return b"".join([pcm async for pcm in speech.speak(request)])


def said(text: str) -> bytes:
    return b"".join(tone(text, n) for n in range(len(text)))


def texts(voice: FakeBackend) -> list[str]:
    return [each.text for each in voice.asked]


def urls(*servers: RunningServer) -> list[str]:
    return [server.url for server in servers]


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
        with pytest.raises(SpeechEngineError):
            await spoken(speech, request("salam", "x"))

    assert len(one.asked) + len(two.asked) == 1


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
    stores = [MemoryConversationStore(ttl_s=60, max_conversations=9, clock=time.monotonic) for _ in range(2)]
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
