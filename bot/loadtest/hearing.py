"""What a recogniser hears of the bot's answers, and how many of the words that it meant to say were there."""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import TypeAlias

import httpx

from bot.language.fold import plain, words
from bot.language.speakable import speakable
from bot.loadtest.sound import Samples
from bot.recognition.wav import wav_of

_TIMEOUT_S = 30.0

Transcribe: TypeAlias = Callable[[Samples], str | None]
"""The text of an answer; None where the recogniser fails."""


def words_right(meant: str, heard: str) -> tuple[int, int]:
    """Count the words of `meant`, as they are spoken, that come in `heard` in their order; gives right and all.

    Marks of letters do not count, nor what was heard beside them.
    """
    wanted, found = ([plain(word) for word in words(speakable(text))] for text in (meant, heard))
    blocks = SequenceMatcher(None, wanted, found, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks), len(wanted)


def recogniser(url: str, model: str, *, language: str = "az") -> Transcribe:
    """Ask an OpenAI-compatible `/v1/audio/transcriptions`; `url` ends in `/v1`."""

    def transcribe(samples: Samples) -> str | None:
        fields = {"model": model, "language": language, "response_format": "json", "temperature": "0"}
        files = {"file": ("answer.wav", wav_of(samples.tobytes()), "audio/wav")}
        address = f"{url.rstrip('/')}/audio/transcriptions"
        try:
            answer = httpx.post(address, data=fields, files=files, timeout=_TIMEOUT_S, trust_env=False)
            answer.raise_for_status()
            return str(answer.json()["text"])
        except (httpx.HTTPError, ValueError, KeyError):
            return None

    return transcribe
