"""Commands of packages that know nothing of the whole service's settings."""

from __future__ import annotations

from bot.models.settings import ModelSettings
from bot.recognition.cli import make_cli
from bot.recognition.settings import RecogniserServerSettings
from bot.settings import load_settings


def _recogniser_settings() -> tuple[RecogniserServerSettings, ModelSettings]:
    settings = load_settings(None)
    return settings.recogniser_server, settings.models


stt_app = make_cli(_recogniser_settings)
