"""`zeng serve` and `zeng demo`."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.edge.service import Service
from bot.errors import BotError
from bot.log import set_up_logging
from bot.settings import Settings, load_settings

Config = Annotated[Path | None, typer.Option(help="TOML file; see docs/configuration.md")]
Voice = Annotated[str | None, typer.Option(help="CSM checkpoint: a folder or a hub id (espeak-ng speaks without)")]
LogLevel = Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR")]


def serve(config: Config = None, voice: Voice = None, log_level: LogLevel = "INFO") -> None:
    """Serve calls with the settings of a file."""
    _run(config, voice, log_level, demo=False)


def demo(config: Config = None, voice: Voice = None, log_level: LogLevel = "WARNING") -> None:
    """Serve the bot on this machine with everything it needs, the services of the demo flows too."""
    _run(config, voice, log_level, demo=True)


def _with_voice(settings: Settings, checkpoint: str) -> dict[str, Any]:
    """Overrides that speak by a CSM checkpoint: by vLLM where it is installed, else by PyTorch."""
    backend = settings.tts.backend
    if backend == "espeak":
        backend = "vllm" if importlib.util.find_spec("vllm") else "torch"
    tts = settings.tts.model_copy(update={"csm": settings.tts.csm.model_copy(update={"model": checkpoint})})
    return {"tts": {**tts.model_dump(), "backend": backend}}


def _run(config: Path | None, voice: str | None, log_level: str, *, demo: bool) -> None:
    set_up_logging(level=log_level.upper(), process="edge")
    try:
        settings = load_settings(config)
        if voice is not None:
            settings = load_settings(config, _with_voice(settings, voice))
        asyncio.run(Service(settings, config=config, demo=demo, log_level=log_level.upper()).run())
    except BotError as error:
        print(f"zeng: {error}", file=sys.stderr)  # noqa: T201  # a command's output
        raise SystemExit(1) from error
