"""Builds what all calls of a worker share, from settings."""

from __future__ import annotations

import contextlib

from bot.call import CallServices
from bot.context.redis_store import RedisConversationStore
from bot.flow_services import Understander, WorldServices
from bot.flows.live import LiveFlow
from bot.flows.tools import ToolClient
from bot.metrics import CallMetrics
from bot.recognition.client import OpenAiRecogniser
from bot.services.prompt_cache import PromptCache
from bot.settings import Settings
from bot.speech_detector import SileroSession
from tts_engine.client import SpeechClient
