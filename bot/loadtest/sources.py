"""What a flow may say, as WAVs with their words: sources by the bot's own voice, for `references` of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import httpx

from bot.errors import SettingsError
from bot.flows.flow import Flow
from bot.flows.texts import prompts
from bot.language.speakable import speakable
from bot.loadtest.references import write_wav
from bot.loadtest.speech_load import Speak, SpeechLoad, open_speech
from telephony.audio.frame import samples_of
from telephony.leg import OUTPUT_RATE_HZ
from tts_engine.errors import SpeechError


def fixed_prompts(flow: Flow) -> dict[str, str]:
    """Names and words of what the flow says the same in every call; what holds a value has no one source."""
    found: dict[str, str] = {}
    for path, template in prompts(flow):
        if template.is_fixed and template.text.strip():
            text = " ".join(template.text.split())
            if text not in found.values():
                found["-".join(str(part) for part in path)] = text
    return found


async def render_sources(flow: Flow, load: SpeechLoad, folder: Path) -> Sequence[Path]:
    """Have the speech server say each prompt into NAME.wav (24 kHz) and NAME.txt; the folder is there.

    Raises `SettingsError` where the server cannot.
    """
    written: list[Path] = []
    async with AsyncExitStack() as stack:
        speak = await open_speech(load, stack)
        for name, text in fixed_prompts(flow).items():
            try:
                pcm = await _all(speak, speakable(text))
            except (httpx.HTTPError, SpeechError) as error:
                raise SettingsError(f"the speech server at {load.url} cannot say {name}: {error}") from error
            path = folder / f"{name}.wav"
            write_wav(path, samples_of(pcm), OUTPUT_RATE_HZ)
            path.with_suffix(".txt").write_text(text, encoding="utf-8")
            written.append(path)
    return written


async def _all(speak: Speak, text: str) -> bytes:
    async with aclosing(speak(text)) as pieces:
        return b"".join([piece async for piece in pieces])
