"""A compiled flow and its handlers in Pipecat's FlowManager, with Pipecat's OpenAI service before our server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipecat.flows import FlowManager
from pipecat.frames.frames import Frame, LLMMessagesAppendFrame, LLMTextFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.workers.runner import WorkerRunner

from bot.flows.actions import CallTool, ToolAnswered
from bot.flows.loader import LIBRARY, load_flow
from bot.flows.pipecat_handlers import CompiledCall
from tests.fakes.flows import MONDAY_NOON
from tests.fakes.llm_server import Answer, LlmServer, llm_server
from tests.waiting import HUNG_S


class _Voice(FrameProcessor):
    """Hears what would be spoken."""

    def __init__(self) -> None:
        super().__init__()
        self.said = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, (TTSSpeakFrame, LLMTextFrame)):
            self.said += f" {frame.text}"
        await self.push_frame(frame, direction)


class _Call:
    """A caller of the compiled flow."""

    def __init__(self, name: str, server: LlmServer, tools: dict[str, ToolAnswered]) -> None:
        self.transferred: list[str] = []
        self.sent: list[CallTool] = []
        self.voice = _Voice()
        self.compiled = CompiledCall(
            load_flow(LIBRARY / f"{name}.flow.yaml"),
            variables={"operator": "sip:200@pbx.example"},
            opened=lambda: MONDAY_NOON,
            call_tool=self._call_tool,
            transfer=self._transfer,
        )
        self._tools = tools
        context = LLMContextAggregatorPair(LLMContext())
        settings = OpenAILLMService.Settings(model="scripted")
        self.llm = OpenAILLMService(api_key="k", base_url=server.url, settings=settings)
        pipeline = Pipeline([context.user(), self.llm, self.voice, context.assistant()])
        self.worker = PipelineWorker(pipeline, cancel_on_idle_timeout=False, enable_rtvi=False)
        self.manager = FlowManager(
            llm=self.llm,
            context_aggregator=context,
            worker=self.worker,
            global_functions=self.compiled.flow.global_functions,
        )

    async def _call_tool(self, call: CallTool) -> ToolAnswered:
        self.sent.append(call)
        return self._tools[call.tool]

    async def _transfer(self, target: str) -> None:
        self.transferred.append(target)

    async def until(self, node: str, *, said: str = "") -> str:
        """Wait for a node, and for words."""
        async with asyncio.timeout(HUNG_S):
            while self.manager.current_node != node or said not in self.voice.said:
                await asyncio.sleep(0.01)
        heard, self.voice.said = self.voice.said, ""
        return heard

    async def say(self, text: str) -> None:
        message = {"role": "user", "content": text}
        await self.worker.queue_frames([LLMMessagesAppendFrame([message], run_llm=True)])


@asynccontextmanager
async def _calling(name: str, tools: dict[str, ToolAnswered], *answers: Answer) -> AsyncIterator[_Call]:
    async with llm_server(*answers) as server:
        call = _Call(name, server, tools)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(call.worker)
        running = asyncio.create_task(runner.run())
        await call.compiled.start(call.manager)
        yield call
        await call.worker.cancel()
        await running
        await call.llm._client.close()  # Pipecat leaves it open


async def test_a_compiled_flow_holds_a_call_in_pipecat() -> None:
    tools = {"create_booking": ToolAnswered("ok", {"id": "A17"})}
    async with _calling(
        "klinika",
        tools,
        Answer(calls=[("choose_hours", {})]),
        Answer(calls=[("choose_book", {})]),
        Answer(["Hansı günə?"]),  # Pipecat lets the model ask for a slot
        Answer(calls=[("set_day", {"value": "bazar"})]),
        Answer(["Bazar günü qəbul yoxdur."]),
        Answer(calls=[("set_day", {"value": "sabah"})]),
        Answer(["Saat neçəyə?"]),
        Answer(calls=[("set_time", {"value": "14:00"})]),
        Answer(["Uyğundur?"]),
        Answer(calls=[("set_agreed", {"value": "true"})]),
        Answer(["Nömrəniz?"]),
        Answer(calls=[("set_phone", {"value": "050 123 45 67"})]),
        Answer(calls=[("global_human", {})]),
    ) as call:
        assert "süni intellekt" in await call.until("menu", said="istəyinizi deyin")
        await call.say("nə vaxt açıqsınız")
        assert "9:00-18:00" in await call.until("more", said="sualınız")
        await call.say("onda yazın məni")
        await call.until("ask_day", said="Hansı günə?")
        await call.say("bazar günü")
        await call.until("ask_day", said="qəbul yoxdur")
        await call.say("sabah")
        await call.until("ask_time", said="Saat neçəyə?")
        await call.say("ikidə")
        await call.until("ask_agreed", said="Uyğundur?")
        await call.say("hə")
        await call.until("ask_phone", said="Nömrəniz?")
        await call.say("sıfır əlli yüz iyirmi üç qırx beş altmış yeddi")
        assert "24 noyabr" in await call.until("more", said="sualınız")
        assert call.sent == [
            CallTool(0, "create_booking", {"day": "2026-11-24", "time": "14:00", "phone": "+994501234567"})
        ]
        await call.say("operator")
        await call.until("transfer", said="qoşuram")
        assert call.transferred == ["sip:200@pbx.example"]
