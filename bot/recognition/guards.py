"""When not to believe Whisper: it was trained on subtitles and invents text for silence and noise.

Judges one `Heard`-like result by figures and by phrases; it opens nothing and may be used over any recogniser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from bot.recognition.sounds import plain


class Doubt(Enum):
    """Why a text was thrown away."""

    SILENCE = "silence"  # no speech, says the model
    LOOP = "loop"  # the same words over and over
    SUBTITLE = "subtitle"  # a phrase of subtitle files that no caller says
    NOISE = "noise"  # letters that are no words


@dataclass(frozen=True, slots=True)
class Judged:
    """The text to use ("" where all of it is doubted) and the doubt, if any."""

    text: str
    doubt: Doubt | None = None


NO_SPEECH_PROB = 0.6  # with a low mean log probability; the pair is openai/whisper's
LOW_LOGPROB = -1.0
HOPELESS_LOGPROB = -1.6  # the worst of 150 real utterances over a telephone channel is -1.5
COMPRESSION_RATIO = 2.4
CHARACTERS_PER_S = 25  # fast Azerbaijani speech is about 18
_SLACK_CHARACTERS = 12  # short utterances have little time for their end

# Subtitle credits and sign-offs that Whisper's Azerbaijani and Turkish training data end with.
_SUBTITLES = tuple(
    plain(phrase)
    for phrase in (
        "İzlədiyiniz üçün təşəkkürlər",
        "İzlədiyiniz üçün təşəkkür edirəm",
        "Diqqətiniz üçün təşəkkürlər",
        "Abunə olmağı unutmayın",
        "Kanala abunə olun",
        "İzlediğiniz için teşekkürler",
        "İzlediğiniz için teşekkür ederim",
        "Abone olmayı unutmayın",
        "Altyazı M.K.",
        "Altyazı",
        "Subtitles by",
        "Thanks for watching",
    )
)


def judge(
    text: str, *, audio_s: float, avg_logprob: float, no_speech_prob: float, compression_ratio: float
) -> Judged:
    """Keep a text, cut it, or doubt it."""
    if no_speech_prob > NO_SPEECH_PROB and avg_logprob < LOW_LOGPROB:
        return Judged("", Doubt.SILENCE)
    words = plain(text)
    if any(words == phrase or words.startswith(f"{phrase} ") for phrase in _SUBTITLES):
        return Judged("", Doubt.SUBTITLE)
    if avg_logprob < HOPELESS_LOGPROB or not any(character.isalnum() for character in text):
        return Judged("", Doubt.NOISE)
    if compression_ratio > COMPRESSION_RATIO or len(text) > CHARACTERS_PER_S * audio_s + _SLACK_CHARACTERS:
        return Judged(unrepeated(text), Doubt.LOOP)
    return Judged(text)


_LOOP = re.compile(r"^\W*(?P<once>.+?)(?:\W+(?P=once))+\W*(?P<rest>.*?)$", re.DOTALL)


def unrepeated(text: str) -> str:
    """Return what a looping text repeats from its start ("Sağ olun Sağ olun Sağ" → "Sağ olun"), else ""."""
    loop = _LOOP.match(text)
    if loop and loop["once"].startswith(loop["rest"].strip()):
        return loop["once"].strip()
    return ""
