"""The stage of tests of whole calls: a fake leg, a scripted flow and scripted speech around Pipecat's real pipeline."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest_asyncio
from prometheus_client import CollectorRegistry

from bot.call import Call, CallServices, ChosenFlow
from bot.context.conversation import Turn
from bot.flows.actions import (
    Answerer,
    AskLlm,
    CallTool,
    FlowAction,
    FlowTone,
    HangUp,
    LlmAnswered,
    Say,
    ToolAnswered,
    Transfer,
    Understand,
    Understood,
)
from bot.flows.sufficiency import Sufficiency
from bot.metrics import CallMetrics
from bot.services.prompt_cache import PromptCache
from bot.settings import TurnSettings
from telephony.leg import LegEnded
from tests.fakes.leg import FakeLeg
from tests.waiting import HUNG_S
from tts_engine.protocol import ConversationTurn, SpeechRequest

LOUD = 0.99


class VolumeModel:
    """Voice where there is volume."""

    async def score(self, window, state):
        return (LOUD if float(np.abs(window[0, 64:]).mean()) > 0.05 else 0.01), state


@dataclass
class ScriptedFlow:
    """Says its lines one after the other, one for each thing the caller does."""

    lines: deque[FlowAction]
    heard_texts: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    signs: list[Answerer | FlowTone] = field(default_factory=list)
    hints: tuple[str, ...] = ("salam",)
    _out: deque[FlowAction] = field(default_factory=deque)

    def _next(self) -> None:
        while self.lines:
            self._out.append(self.lines.popleft())
            if not (self.lines and isinstance(self.lines[0], HangUp | Transfer)):
                return

    def start(self, *, now: float) -> None:
        self._next()

    def heard(self, text: str, *, now: float) -> None:
        self.heard_texts.append(text)
        self._next()

    def suffices(self, text: str) -> Sufficiency:
        return {"yetər": Sufficiency.ENOUGH, "tam cavab": Sufficiency.WHOLE}.get(text, Sufficiency.OPEN)

    def pressed(self, digit: str, *, now: float) -> None:
        self.log.append(f"key {digit}")
        self._next()

    def caller_started(self, *, now: float) -> None:
        self.log.append("caller")

    def said(self, *, now: float) -> None:
        self.log.append("said")

    def understood(self, request_id: int, answer: Understood, *, now: float) -> None:
        self.log.append(f"understood {answer.intent}")
        self._next()

    def tool_answered(self, request_id: int, answer: ToolAnswered, *, now: float) -> None:
        self.log.append(f"tool {answer.status}")
        self._next()

    def llm_said(self, request_id: int, clause: str) -> None: ...
    def llm_answered(self, request_id: int, answer: LlmAnswered, *, now: float) -> None: ...
    def is_personal(self, text: str) -> bool:
        return text == "gizli"

    def transfer_failed(self, *, now: float) -> None:
        self.log.append("transfer failed")
        self._next()

    def noticed(self, sign: Answerer | FlowTone, *, now: float) -> bool:
        self.signs.append(sign)
        return False

    def timer_at(self) -> float | None:
        return None

    def handle_timer(self, *, now: float) -> None: ...
    def poll(self) -> FlowAction | None:
        return self._out.popleft() if self._out else None


class ScriptedServices:
    async def understand(self, request: Understand) -> Understood:
        return Understood(request.candidates[0].name if request.candidates else None)

    async def call_tool(self, request: CallTool) -> ToolAnswered:
        return ToolAnswered("ok")

    async def ask_llm(self, request: AskLlm, said: Callable[[str], None]) -> LlmAnswered:
        return LlmAnswered("", failed=True)


class ToneSpeech:
    """One second of loud samples for every sentence, in pieces of 80 ms."""

    def __init__(self) -> None:
        self.requests: list[SpeechRequest] = []
        self.closed_early = 0
        self.turns: list[ConversationTurn] = []
        self.heard_calls: list[tuple[str, float]] = []
        self.forgotten: list[str] = []

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        self.requests.append(request)
        done = 0
        try:
            for _ in range(25):
                yield np.full(960, 8000, np.int16).tobytes()
                done += 1
                await asyncio.sleep(0)
        finally:
            self.closed_early += done < 25

    async def put_turn(self, conversation_id: str, turn: ConversationTurn) -> None:
        self.turns.append(turn)

    async def heard(self, conversation_id: str, turn_id: str, heard_s: float) -> None:
        self.heard_calls.append((turn_id, heard_s))

    async def forget(self, conversation_id: str) -> None:
        self.forgotten.append(conversation_id)


class ScriptedRecogniser:
    idle = True

    def __init__(self, *texts: str) -> None:
        self.texts = deque(texts)
        self.asked: list[int] = []

    async def transcribe(self, pcm: bytes, *, hints: tuple[str, ...]) -> str:
        self.asked.append(len(pcm))
        return self.texts.popleft()


class ListStore:
    def __init__(self) -> None:
        self.turns: list[Turn] = []

    async def append(self, call_id: str, turn: Turn) -> None:
        self.turns.append(turn)


@dataclass
class Stage:
    leg: FakeLeg
    flow: ScriptedFlow
    speech: ToneSpeech
    recogniser: ScriptedRecogniser
    store: ListStore
    services: CallServices
    calls: list[asyncio.Task[LegEnded]] = field(default_factory=list)

    def begin(self, services: CallServices | None = None) -> asyncio.Task[LegEnded]:
        self.calls.append(asyncio.create_task(Call(self.leg, services or self.services).run()))
        return self.calls[-1]

    def told(self, kind: str) -> list[Mapping[str, object]]:
        return [m for m in map(json.loads, self.leg.told) if m["type"] == kind]

    async def until(self, condition) -> None:
        async with asyncio.timeout(HUNG_S):
            while not condition():
                await asyncio.sleep(0.005)


def flow_of(flow: ScriptedFlow, services: ScriptedServices | None = None):
    """`CallServices.new_flow` of a call whose flow is this one."""

    async def new_flow(_: Mapping[str, str]) -> ChosenFlow:
        return ChosenFlow(flow, services or ScriptedServices(), id="test", version="1")

    return new_flow


def set_stage(*lines: FlowAction, texts: tuple[str, ...] = (), paced: bool = False) -> Stage:
    leg = FakeLeg(paced=paced)
    flow = ScriptedFlow(deque(lines))
    speech, recogniser, store = ToneSpeech(), ScriptedRecogniser(*texts), ListStore()
    services = CallServices(
        new_flow=flow_of(flow),
        recogniser=recogniser,
        other_recogniser=None,
        speech=speech,
        voice="az",
        voice_hears=True,
        prompts=PromptCache(max_bytes=10_000_000),
        store=store,
        voice_model=VolumeModel(),
        metrics=CallMetrics(CollectorRegistry()),
        turns=TurnSettings(end_of_turn_ms=300),
    )
    return Stage(leg, flow, speech, recogniser, store, services)


SetStage = Callable[..., Stage]


@pytest_asyncio.fixture
async def stage() -> AsyncGenerator[SetStage, None]:
    """Give `set_stage`, and end what a failed test left running: Pipecat's tasks, cancelled all at once, never end."""
    stages: list[Stage] = []

    def set_one(*lines: FlowAction, **kinds: Any) -> Stage:
        stages.append(set_stage(*lines, **kinds))
        return stages[-1]

    yield set_one
    for call in (call for one in stages for call in one.calls if not call.done()):
        call.cancel()
        await asyncio.wait((call,), timeout=5)


def voice(ms: int) -> bytes:
    return np.full(ms * 16, 9000, np.int16).tobytes()


def silence(ms: int) -> bytes:
    return bytes(ms * 32)


class DisclosingFlow(ScriptedFlow):
    """Says two things at once, as flows do: the disclosure and the first question."""

    def start(self, *, now: float) -> None:
        self._out.extend((Say("Mən robotam", interruptible=False), Say("Buyurun")))


async def play_out(s: Stage, *, until: Callable[[], bool]) -> None:
    """Let the leg play at ten times its pace."""
    async with asyncio.timeout(HUNG_S):
        while not until():
            await s.leg.advance(100)
            await asyncio.sleep(0.01)
