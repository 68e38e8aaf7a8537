"""What a recogniser hears of the bot's answers, and how many of the words that it meant to say were there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    return _most_in_order(wanted, found), len(wanted)


def _most_in_order(wanted: Sequence[str], found: Sequence[str]) -> int:
    """Give the length of the longest common subsequence; difflib takes the longest run, which may rule out more."""
    most = [0] * (len(found) + 1)  # of the words so far, by how many of those found
    for word in wanted:
        before = most.copy()
        for place, other in enumerate(found, 1):
            most[place] = before[place - 1] + 1 if word == other else max(before[place], most[place - 1])
    return most[-1]


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
