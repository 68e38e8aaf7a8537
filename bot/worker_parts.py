"""Builds what all calls of a worker share, from settings."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.call import CallFlow, CallServices
from bot.context.redis_store import RedisConversationStore, connect
from bot.dialogue import FlowServices
from bot.flow_services import Understander, WorldServices
from bot.flows.engine import FlowEngine
from bot.flows.flow import Flow
from bot.flows.loader import LIBRARY, load_flow
from bot.flows.tools import ToolClient
from bot.metrics import CallMetrics
from bot.recognition.client import OpenAiRecogniser
from bot.services.prompt_cache import PromptCache
from bot.settings import Settings
from bot.speech_detector import SileroSession
from tts_engine.client import SpeechClient

_BAKU = ZoneInfo("Asia/Baku")


def flow_path(name: str) -> Path:
    """A flow file, or the name of a flow that ships."""
    shipped = LIBRARY / f"{name}.flow.yaml"
    return shipped if shipped.is_file() else Path(name)


async def call_services(
    settings: Settings, metrics: CallMetrics, stack: contextlib.AsyncExitStack
) -> CallServices:
    """Load and connect; everything opened is closed by `stack`. Raises `FlowFileError` and `ModelFileError`."""
    flow = load_flow(flow_path(settings.flow.path))
    redis = connect(settings.redis.url)
    stack.push_async_callback(redis.aclose)
    recogniser = OpenAiRecogniser(settings.recogniser)
    stack.push_async_callback(recogniser.close)
    return CallServices(
        flow_id=flow.id,
        new_flow=await _flow_maker(settings, flow, metrics, stack),
        recogniser=recogniser,
        other_recogniser=None,
        speech=await stack.enter_async_context(SpeechClient(settings.speech.url)),
        voice=settings.speech.voice,
        prompts=PromptCache(max_bytes=settings.speech.prompt_cache_bytes),
        store=RedisConversationStore(redis, ttl_s=settings.redis.ttl_s),
        voice_model=SileroSession(),
        metrics=metrics,
        turns=settings.turns,
    )


class _FlowTools:
    """The tools of one flow."""

    def __init__(self, client: ToolClient, flow: Flow) -> None:
        self._client, self._flow = client, flow

    async def call(self, request):
        return await self._client.call(self._flow, request)


async def _flow_maker(settings, flow, metrics, stack):
    tools = await stack.enter_async_context(
        ToolClient(secrets_by_name=os.environ, private_hosts=settings.flow.private_hosts)
    )
    understander: Understander | None = None
    services = WorldServices(understander=understander, tools=_FlowTools(tools, flow), llm=None, metrics=metrics)
    own = {"operator": settings.flow.operator} if "operator" in flow.variables else {}

    def new_flow(variables: Mapping[str, str]) -> tuple[CallFlow, FlowServices]:
        engine = FlowEngine(
            flow,
            variables={**own},
            opened=lambda: datetime.now(_BAKU),
            understanding=understander is not None,
        )
        return engine, services

    return new_flow
