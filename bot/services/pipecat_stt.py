"""Any Pipecat speech recognition service, by its name in the settings."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.stt_service import STTService

from bot.errors import SettingsError
from bot.recognition.settings import RecogniserSettings


def pipecat_service(settings: RecogniserSettings) -> Callable[[], FrameProcessor] | None:
    """Give what makes the service for one call, or None where none is set. Raises `SettingsError` with the remedy."""
    if not settings.pipecat:
        return None
    module, _, name = settings.pipecat.partition(":")
    try:
        service = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(
            f"[recogniser] pipecat = {settings.pipecat!r} cannot be loaded ({error}); write module:Class and install "
            "the extra that the service needs, such as pipecat-ai[deepgram]"
        ) from error
    if not (isinstance(service, type) and issubclass(service, STTService)):
        raise SettingsError(f"[recogniser] pipecat = {settings.pipecat!r} is not a Pipecat STT service")
    make = cast("Callable[..., FrameProcessor]", service)
    return lambda: make(**settings.pipecat_arguments)
