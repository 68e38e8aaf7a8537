"""What goes wrong inside a call stays small: the call goes on, or ends, and is never left with nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from loguru import logger

from bot.call import Call
from bot.calls import Calls
from bot.flows.actions import FlowAction, HangUp, Say, Transfer
from telephony.leg import EndCause
from tests.integration.bot.call_stage import (
    ScriptedFlow,
    ScriptedRecogniser,
    SetStage,
    ToneSpeech,
    VolumeModel,
    flow_of,
    play_out,
    silence,
    voice,
)
from tts_engine.protocol import SpeechRequest


@pytest.mark.parametrize("interruptible", [False, True])
async def test_a_caller_is_handed_over_behind_speech_that_may_not_be_interrupted(
    stage: SetStage, interruptible: bool
) -> None:
    s = stage(Say("Sizi qoşuram", interruptible=interruptible), Transfer("sip:200@pbx.example"))
    running = s.begin()
    await s.until(lambda: s.leg.transferred)
    s.leg.end()
    await running

    assert s.leg.transferred == [("sip:200@pbx.example", 1000)]
    assert s.flow.log[0] == "said"


async def test_a_goodbye_that_may_not_be_interrupted_is_kept_in_the_record(stage: SetStage) -> None:
    s = stage(Say("Sağ olun", interruptible=False), HangUp())
    ended = await s.begin()

    assert ended.cause is EndCause.BOT_HUNG_UP
    assert [turn.text for turn in s.store.turns] == ["Sağ olun"]


class BrokenOnce(ScriptedFlow):
    """A fault in what a flow does with a caller's words, once."""

    def heard(self, text: str, *, now: float) -> None:
        if not self.heard_texts:
            self.heard_texts.append(text)
            raise OverflowError("a number in what the caller said")
        super().heard(text, now=now)


async def test_a_fault_in_one_step_of_a_dialogue_does_not_leave_the_caller_with_nobody(
    stage: SetStage, caplog: pytest.LogCaptureFixture
) -> None:
    s = stage(Say("Buyurun"), Say("Bəli"), Say("Beş"), texts=("994501234567 noyabr", "yetər"))
    flow = BrokenOnce(s.flow.lines)
    running = s.begin(replace(s.services, new_flow=flow_of(flow)))
    await s.until(lambda: "said" in flow.log)
    s.leg.speak(voice(600) + silence(600))
    await s.until(lambda: len(flow.heard_texts) == 1)
    s.leg.speak(voice(600) + silence(600))
    await s.until(lambda: len(s.told("turn.bot")) == 2)
    s.leg.press("5")
    await s.until(lambda: len(s.told("turn.bot")) == 3)
    s.leg.end()

    assert (await running).cause is EndCause.CALLER_HUNG_UP
    assert flow.heard_texts == ["994501234567 noyabr", "yetər"]


class Held(ScriptedRecogniser):
    """Answers when it is let."""

    def __init__(self, *texts: str) -> None:
        super().__init__(*texts)
        self.go = asyncio.Event()

    async def transcribe(self, pcm: bytes, *, hints: tuple[str, ...]) -> str:
        await self.go.wait()
        return await super().transcribe(pcm, hints=hints)


async def test_words_from_before_a_key_do_not_answer_what_is_asked_after_it(stage: SetStage) -> None:
    s = stage(Say("Bir deyin və ya basın"), Say("Neçə nəfər?"), Say("Oldu"))
    recogniser = Held("bir", "iki")
    running = s.begin(replace(s.services, recogniser=recogniser))
    await s.until(lambda: "said" in s.flow.log)
    s.leg.speak(voice(600) + silence(600))
    await s.until(lambda: "caller" in s.flow.log)
    await asyncio.sleep(0.1)  # until the words have ended
    s.leg.press("1")
    await s.until(lambda: "key 1" in s.flow.log)
    recogniser.go.set()
    await s.until(lambda: [one["on"] for one in s.told("caller.speaking")] == [True, False])
    await s.until(lambda: s.flow.log.count("said") == 2)
    assert s.flow.heard_texts == []

    await asyncio.sleep(0.8)  # what the leg speaks comes at once, so that its silence reaches back in time
    s.leg.speak(voice(600) + silence(600))
    await s.until(lambda: s.flow.heard_texts)
    assert s.flow.heard_texts == ["iki"]
    s.leg.end()
    await running


async def test_a_voice_that_began_before_a_key_is_not_awaited_after_it(stage: SetStage) -> None:
    s = stage(Say("Bir deyin və ya basın"), Say("Neçə nəfər?"), texts=("bir",))
    running = s.begin()
    await s.until(lambda: "said" in s.flow.log)
    s.leg.press("1")
    await s.until(lambda: "key 1" in s.flow.log)
    s.leg.speak(voice(600) + silence(600))  # which comes at once, so it began before the key
    await s.until(lambda: [one["on"] for one in s.told("caller.speaking")] == [True, False])
    s.leg.end()
    await running

    assert "caller" not in s.flow.log
    assert s.flow.heard_texts == []


class FaultyModel(VolumeModel):
    """A voice model that breaks once it hears a voice."""

    async def score(self, window, state):
        score, state = await super().score(window, state)
        if score > 0.5:
            raise RuntimeError("out of memory")
        return score, state


async def test_a_call_whose_ear_breaks_ends_and_gives_its_place_back(stage: SetStage) -> None:
    s = stage(Say("Salam"))
    services = replace(s.services, voice_model=FaultyModel())
    calls = Calls(capacity=1, limit_s=60, run=lambda leg: Call(leg, services).run())
    calls.take(s.leg)
    await s.until(lambda: "said" in s.flow.log)
    s.leg.speak(voice(600))

    await s.until(lambda: calls.free == 1)
    assert s.leg.hung_up


class Eager(ToneSpeech):
    """A server that is faster than real time, and has much to say first."""

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        self.requests.append(request)
        for _ in range(400 if request.text == "birinci" else 12):
            yield np.full(960, 8000, np.int16).tobytes()
            await asyncio.sleep(0)


async def test_sound_that_comes_after_a_barge_in_changes_no_record(stage: SetStage) -> None:
    s = stage(Say("birinci"), Say("ikinci"), paced=True)
    running = s.begin(replace(s.services, speech=Eager()))
    await s.until(lambda: bool(s.told("bot.speaking")))
    s.leg.press("1")
    await play_out(s, until=lambda: "said" in s.flow.log)
    s.leg.end()
    await running

    heard = [(one["turn_id"], one["heard_s"] == one["duration_s"]) for one in s.told("turn.bot.heard")]
    assert heard == [("t1", False), ("t3", True)]
    assert [(turn.turn_id, turn.heard_s) for turn in s.store.turns if turn.turn_id == "t3"] == [("t3", None)]


class EmptyOnce(ToneSpeech):
    """Says nothing to the first request, and calls that a success."""

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        if not self.requests:
            self.requests.append(request)
            return
        async for piece in super().speak(request):
            yield piece


async def test_a_prompt_that_once_came_out_empty_is_made_again(stage: SetStage) -> None:
    speech, heard = EmptyOnce(), list[int]()
    prompts = None
    for _ in range(3):
        s = stage(Say("Salam", cacheable=True), HangUp())
        services = replace(s.services, speech=speech, prompts=prompts or s.services.prompts)
        prompts = services.prompts
        await s.begin(services)
        heard.append(len(bytes(s.leg.sent).rstrip(b"\0")))

    assert (heard[0], len(speech.requests)) == (0, 2)
    assert heard[1] == heard[2] > 40_000


@dataclass
class AtOnce(ScriptedFlow):
    """Says two things in one breath."""

    first: tuple[FlowAction, ...] = field(default=())

    def start(self, *, now: float) -> None:
        self._out.extend(self.first)


@pytest.mark.parametrize("text", ["\N{GRINNING FACE}", "4169 7388 1234 5678 " * 250])
async def test_what_cannot_be_said_is_passed_over_at_once_and_not_logged(stage: SetStage, text: str) -> None:
    s = stage()
    lines: list[str] = []
    sink = logger.add(lines.append, level="INFO")  # Pipecat's; what it says to developers is not logged
    flow = AtOnce(s.flow.lines, first=(Say("Salam"), Say(text), HangUp()))
    began = asyncio.get_running_loop().time()
    ended = await s.begin(replace(s.services, new_flow=flow_of(flow)))

    logger.remove(sink)
    assert ended.cause is EndCause.BOT_HUNG_UP
    assert len(s.speech.requests) == 1
    assert asyncio.get_running_loop().time() - began < 2.5  # Pipecat would wait for three seconds
    logged = "".join(lines)
    assert "speech: " in logged  # the fault is
    assert not any(word in logged for word in ("qırx bir", "4169", "\N{GRINNING FACE}"))
