"""`SpeechService`: speaks the flow's sentences through the speech server, or from the prompt cache.

Pipecat's audio context of an utterance carries our turn id, so that the output can account for
every millisecond of every turn.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pydantic import ValidationError

from bot.language.speakable import speakable
from bot.services.prompt_cache import PromptCache
from telephony.leg import OUTPUT_RATE_HZ
from tts_engine.errors import SpeechError
from tts_engine.protocol import ConversationContext, SpeechRequest, blame


class Speaker(Protocol):
    """The one thing this service needs of `tts_engine.client`."""

    def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        """PCM16 at 24 kHz in pieces of whole samples; closing the generator cancels."""
        ...


class SpeechService(TTSService):
    """Text to speech over an injected client; an interruption closes its stream at once."""

    def __init__(
        self,
        client: Speaker,
        *,
        voice: str,
        conversation_id: str,
        cache: PromptCache,
        on_sound: Callable[[str], None],
        on_cached: Callable[[str, str, bytes], None],
        on_failure: Callable[[SpeechError], None],
    ) -> None:
        super().__init__(
            sample_rate=OUTPUT_RATE_HZ,
            push_start_frame=True,
            push_stop_frames=True,
            push_text_frames=False,
            # Pipecat gives up after three sentences without a sound; a speech server that restarts comes back.
            max_consecutive_zero_audio_contexts=0,
            settings=TTSSettings(model="zeng", voice=voice, language="az"),
        )
        self._client = client
        self._speaker_voice = voice
        self._conversation_id = conversation_id
        self._cache = cache
        self._on_sound = on_sound
        self._on_cached = on_cached  # turn id, text and PCM of speech that the voice did not make now
        self._on_failure = on_failure
        self._turn_id: str | None = None
        self._cacheable = False
        self._personal = False

    def can_generate_metrics(self) -> bool:
        """Pipecat may time this service."""
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note which turn a sentence belongs to before Pipecat names its audio context."""
        if isinstance(frame, TTSSpeakFrame):
            self._turn_id = frame.metadata.get("turn_id")
            self._cacheable = bool(frame.metadata.get("cacheable"))
            self._personal = bool(frame.metadata.get("personal"))
        await super().process_frame(frame, direction)

    def create_context_id(self) -> str:
        """Name the audio context after the bot's turn."""
        return self._turn_id or super().create_context_id()

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Yield the sentence's audio as it comes; a failure frees the turn at once."""
        await self.start_tts_usage_metrics(text)
        spoken = speakable(text)
        cached = self._cache.get(self._speaker_voice, spoken)
        if cached is not None:
            self._on_sound(context_id)
            self._on_cached(context_id, spoken, cached)
            yield TTSAudioRawFrame(cached, OUTPUT_RATE_HZ, 1, context_id=context_id)
            return
        try:
            request = SpeechRequest(
                text=spoken,
                voice=self._speaker_voice,
                conversation=ConversationContext(
                    id=self._conversation_id,
                    turn_id=context_id,
                    mode="none" if self._personal else "auto",  # what is personal the server is not to remember
                ),
            )
        except ValidationError as fault:  # nothing to say (an emoji), or too much; its own message quotes the text
            error = blame(fault)
            self._on_failure(error)
            yield ErrorFrame(error=f"speech: {error}")
            await self.remove_audio_context(context_id)
            return
        kept = bytearray()
        try:
            async with aclosing(self._client.speak(request)) as pieces:
                async for pcm in pieces:
                    if not kept:
                        self._on_sound(context_id)
                    kept.extend(pcm)
                    yield TTSAudioRawFrame(pcm, OUTPUT_RATE_HZ, 1, context_id=context_id)
        except SpeechError as error:
            self._on_failure(error)
            yield ErrorFrame(error=f"speech: {error}", exception=error)
            # Left open, a context without audio holds the turn until Pipecat's 3 s idle limit.
            await self.remove_audio_context(context_id)
            return
        if self._cacheable and kept:
            self._cache.put(self._speaker_voice, spoken, bytes(kept))
