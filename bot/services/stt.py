"""`TurnRecogniser`: recognises the caller's whole turn so far at every pause, or a little ahead of it.

Pipecat's segmented services send each stretch between two pauses on its own. Here the audio of a
turn is kept until the turn ends, so a text covers all that was said since the turn began, and a
caller who goes on cancels the request that the pause had started. While nobody else needs the recogniser, a request
starts as soon as the sound falls; its text is told at once, for it may be all that the flow wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Protocol

from pipecat.frames.frames import (
    Frame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language

from bot.errors import RecognitionError
from bot.frames import SoundFadedFrame, SoundReturnedFrame
from telephony.leg import INPUT_RATE_HZ

MAX_TURN_BYTES = 30 * INPUT_RATE_HZ * 2  # Whisper hears 30 s at once


class Recogniser(Protocol):
    """What this service needs of `bot.recognition.client`."""

    @property
    def idle(self) -> bool:
        """Whether no request of this process is under way."""
        ...

    async def transcribe(self, pcm: bytes, *, hints: tuple[str, ...]) -> str:
        """PCM16 at 16 kHz, mono; raises `RecognitionError`; cancelling it frees the server."""
        ...


class TurnRecogniser(STTService):
    """Speech recognition of turns over an injected client."""

    def __init__(
        self,
        recogniser: Recogniser,
        *,
        hints: Callable[[], tuple[str, ...]],
        on_failure: Callable[[RecognitionError], None],
    ) -> None:
        super().__init__(
            audio_passthrough=False,
            sample_rate=INPUT_RATE_HZ,
            ttfs_p99_latency=1.0,
            settings=STTSettings(model=None, language=Language.AZ),
        )
        self._recogniser = recogniser
        self._hints = hints
        self._on_failure = on_failure
        self._turn = bytearray()
        self._request: asyncio.Task[None] | None = None
        self._ahead = False  # the request under way was made before the pause
        self._told = False  # its text was told already

    def can_generate_metrics(self) -> bool:
        """Pipecat may time this service."""
        return True

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Keep the audio of the turn; what is over 30 s loses its beginning."""
        self._turn.extend(audio)
        if len(self._turn) > MAX_TURN_BYTES:
            del self._turn[: len(self._turn) - MAX_TURN_BYTES]
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """A pause starts a request, speech cancels it, the end of the turn forgets the audio."""
        await super().process_frame(frame, direction)
        match frame:
            case VADUserStartedSpeakingFrame() | SoundReturnedFrame():
                await self._cancel_request()
            case SoundFadedFrame():
                self._look_ahead()
            case VADUserStoppedSpeakingFrame():
                await self._pause()
            case UserStoppedSpeakingFrame():
                await self._cancel_request()
                self._turn.clear()
            case _:
                pass

    async def cleanup(self) -> None:
        """Cancel the request under way."""
        await self._cancel_request()
        await super().cleanup()

    @property
    def turn_audio(self) -> bytes:
        """Audio of the turn so far: PCM16 at 16 kHz."""
        return bytes(self._turn)

    def _look_ahead(self) -> None:
        if self._turn and not self.is_muted and self._request is None and self._recogniser.idle:
            self._ahead = True
            self._request = self.create_task(self._transcribe(bytes(self._turn)))

    async def _pause(self) -> None:
        if self.is_muted:
            await self._cancel_request()
            self._turn.clear()
        elif self._told:
            self._told = False
        elif self._ahead:
            self._ahead = False  # its text is that of the pause
        else:
            await self._cancel_request()
            if self._turn:
                self._request = self.create_task(self._transcribe(bytes(self._turn)))

    async def _cancel_request(self) -> None:
        request, self._request = self._request, None
        self._ahead = self._told = False
        if request is not None:
            await self.cancel_task(request)

    async def _transcribe(self, pcm: bytes) -> None:
        try:
            text = await self._recogniser.transcribe(pcm, hints=self._hints())
        except RecognitionError as error:
            self._on_failure(error)
            text = None
        self._request = None
        ahead, self._ahead = self._ahead, False
        if text is None and ahead:
            return  # the pause asks again
        self._told = ahead
        await self.push_frame(
            TranscriptionFrame(text or "", "", datetime.now(UTC).isoformat(), Language.AZ, finalized=True)
        )
