"""`zeng serve` and `zeng demo`."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.edge.service import Service
from bot.log import set_up_bot_logging
from bot.settings import Settings, load_settings, settings_file
from tts_engine.log import LogLevel
from tts_engine.settings import CsmSettings
from tts_engine.shipped import shipped_voice

Config = Annotated[Path | None, typer.Option(help="TOML file; see docs/configuration.md")]
Voice = Annotated[str | None, typer.Option(help="CSM checkpoint: a folder or a hub id; or espeak, for espeak-ng")]
Level = Annotated[LogLevel, typer.Option(case_sensitive=False, help="the least that is logged")]


def serve(config: Config = None, voice: Voice = None, log_level: Level = "INFO") -> None:
    r"""Serve calls with the settings of a file.

    Without --voice, the voice that ships speaks if it passed its gate, torch is installed and nothing of \[tts] is set.
    """
    _run(config, voice, log_level, demo=False)


def demo(config: Config = None, voice: Voice = None, log_level: Level = "WARNING") -> None:
    """Serve the bot on this machine with everything it needs, the services of the demo flows too.

    The voice is as of `zeng serve`.
    """
    _run(config, voice, log_level, demo=True)


def _with_voice(settings: Settings, checkpoint: str) -> dict[str, Any]:
    """Overrides that speak by a CSM checkpoint, by vLLM where it is installed, else by PyTorch; or by espeak-ng."""
    backend = settings.tts.backend
    if checkpoint == "espeak":
        return {"tts": {**settings.tts.model_dump(), "backend": "espeak"}}
    if backend == "espeak":
        backend = "vllm" if importlib.util.find_spec("vllm") else "torch"
    tts = settings.tts.model_copy(update={"csm": settings.tts.csm.model_copy(update={"model": checkpoint})})
    return {"tts": {**tts.model_dump(), "backend": backend}}


def _is_set(config: Path | None) -> bool:
    """Whether anything of [tts] is, be it to what it is by itself: `backend = "espeak"` is a choice."""
    file = settings_file(config)
    told = tomllib.loads(file.read_text(encoding="utf-8")) if file is not None else {}
    names = [name.upper() for name in os.environ]  # one underscore more than what Kubernetes tells of a `zeng-tts`
    return "tts" in told or any(name == "ZENG_TTS" or name.startswith("ZENG_TTS__") for name in names)


def _with_shipped_voice(settings: Settings, config: Path | None) -> dict[str, Any] | None:
    """Overrides that speak by the voice that ships; None where it cannot, or where anything of [tts] is set."""
    found = shipped_voice()
    if found is None or _is_set(config) or importlib.util.find_spec("torch") is None:
        return None
    heat = found.temperature
    csm = CsmSettings(
        model=str(found.folder),
        temperature=heat,
        depth_temperature=heat,
        piece_chars=found.piece_chars,
        hears_conversation=found.hears_conversation,
    )
    return {"tts": {**settings.tts.model_dump(), "backend": "torch", "csm": csm.model_dump()}}


def _run(config: Path | None, voice: str | None, log_level: LogLevel, *, demo: bool) -> None:
    set_up_bot_logging(level=log_level, process="edge")
    settings = load_settings(config)
    if voice is not None:
        settings = load_settings(config, _with_voice(settings, voice))
    elif (overrides := _with_shipped_voice(settings, config)) is not None:
        settings = load_settings(config, overrides)
    asyncio.run(Service(settings, config=config, demo=demo, log_level=log_level).run())
