"""Names of voices and models: the backend's own, and OpenAI's, which stand for the default one.

Stock clients insist on OpenAI's names (Pipecat's `OpenAITTSService` refuses all other voices).
"""

from __future__ import annotations

from tts_engine.backend.port import BackendDescription
from tts_engine.errors import SpeechRequestError

OPENAI_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip


def choose_voice(asked: str, description: BackendDescription, default: str) -> str:
    """Find the backend's voice for the name that was asked; raises `SpeechRequestError`."""
    if asked in description.voices:
        return asked
    if not asked or asked.lower() in OPENAI_VOICES:
        return default or description.voices[0]
    known = ", ".join(description.voices)
    raise SpeechRequestError(f"voice: no voice {asked!r}; there are {known} and OpenAI's names", field="voice")


def check_model(asked: str | None, description: BackendDescription) -> None:
    """Refuse a model that is neither ours nor one of OpenAI's; raises `SpeechRequestError`."""
    if asked and asked != description.model and not asked.startswith(("tts-", "gpt-")):
        raise SpeechRequestError(f"model: {asked!r} is not served here; ask for {description.model}", field="model")


def choose_language(asked: str, description: BackendDescription) -> str:
    """Find the backend's language for a tag such as `az` or `az-AZ`; raises `SpeechRequestError`."""
    language = asked.lower().replace("_", "-").partition("-")[0]
    if language in description.languages:
        return language
    if language in {"", "auto"}:
        return description.languages[0]
    known = ", ".join(description.languages)
    raise SpeechRequestError(f"language: {asked!r} is not spoken here; there is {known}", field="language")


def check_speed(asked: float, description: BackendDescription) -> None:
    """Refuse a speed that the backend cannot speak at; raises `SpeechRequestError`."""
    low, high = description.speed_min, description.speed_max
    if not low <= asked <= high:
        allowed = f"between {low:g} and {high:g}" if low < high else f"{low:g}"
        raise SpeechRequestError(f"speed: this voice speaks at {allowed}", field="speed")
