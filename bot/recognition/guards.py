"""When not to believe Whisper: it was trained on subtitles and invents text for silence and noise.

Judges one result by its figures and words; opens nothing. What it lets through may still be wrong; what it stops is
not what a caller said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from bot.recognition.sounds import plain


class Doubt(Enum):
    """Why a text was thrown away or cut."""

    SILENCE = "silence"  # no speech, says the model
    NOISE = "noise"  # letters that are no words
    LOOP = "loop"  # the same words over and over
    SUBTITLE = "subtitle"  # a phrase of subtitle files that no caller says


@dataclass(frozen=True, slots=True)
class Judged:
    """The text to use ("" where all of it is doubted) and the doubt, if any."""

    text: str
    doubt: Doubt | None = None


# openai/whisper's pair, and a bound for the first alone: telephone speech stays under .76, digital silence is at .91.
NO_SPEECH_PROB = 0.6
LOW_LOGPROB = -1.0
CERTAIN_NO_SPEECH_PROB = 0.85
HOPELESS_LOGPROB = -1.4  # the worst of 150 utterances over a telephone channel is -1.2
COMPRESSION_RATIO = 2.4
CHARACTERS_PER_S = 25  # fast Azerbaijani speech has about 18
_SLACK_CHARACTERS = 12  # very short clips are cut tightly

_STUTTER = re.compile(r"(\w{1,3})\1{3,}")  # lələlələ, qqqq
_REPEATED = re.compile(r"\b(\w+)(?:\W+\1\b){3,}")
_LOOP = re.compile(r"^\W*(?P<once>.+?)(?:\W+(?P=once))+\W*(?P<rest>.*)$", re.DOTALL)
# callers do repeat these
_DIGITS = frozenset(("sıfır", "bir", "iki", "üç", "dörd", "beş", "altı", "yeddi", "səkkiz", "doqquz"))

# Credits and sign-offs that the Azerbaijani and Turkish subtitles in Whisper's training data end with.
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
        "Altyazı",
        "Müzik",
        "Subtitles by",
        "Thanks for watching",
    )
)


def judge(text: str, *, audio_s: float, avg_logprob: float, no_speech_prob: float, compression_ratio: float) -> Judged:
    """Keep a text, cut it to what it repeats, or throw it away."""
    if no_speech_prob > CERTAIN_NO_SPEECH_PROB or (no_speech_prob > NO_SPEECH_PROB and avg_logprob < LOW_LOGPROB):
        return Judged("", Doubt.SILENCE)
    words = plain(text)
    if not words or avg_logprob < HOPELESS_LOGPROB or _STUTTER.search(words):
        return Judged("", Doubt.NOISE)
    too_long = len(text) > CHARACTERS_PER_S * audio_s + _SLACK_CHARACTERS
    loops = compression_ratio > COMPRESSION_RATIO or too_long or _repeats_a_word(words)
    if loops and no_speech_prob > NO_SPEECH_PROB:
        return Judged("", Doubt.SILENCE)
    kept = unrepeated(text) if loops else text
    if any(f"{plain(kept)} ".startswith(f"{phrase} ") for phrase in _SUBTITLES):
        return Judged("", Doubt.SUBTITLE)
    return Judged(kept, Doubt.LOOP if loops else None)


def unrepeated(text: str) -> str:
    """Return what a looping text repeats from its start ("Sağ olun Sağ olun Sağ" → "Sağ olun"), else ""."""
    loop = _LOOP.match(text)
    if loop and loop["once"].startswith(loop["rest"].strip()):
        return loop["once"].strip()
    return ""


def _repeats_a_word(words: str) -> bool:
    return any(word not in _DIGITS for word in _REPEATED.findall(words))
