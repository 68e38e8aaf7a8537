"""`CallLeg` ⇄ Pipecat frames: the only place where the two meet.

The per-frame path (50 frames a second and call) ends here: voice detection runs in the reader, and
audio goes down the pipeline only while the caller speaks, in runs of 100 ms, because each hop
through a Pipecat processor costs about 0.4 % of a core at 50 frames a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import assert_never

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from bot.playout import PlayoutLedger
from bot.speech_detector import WINDOW_MS, SpeechDetector
from bot.voice_activity import VoiceActivity, VoiceEvent, VoiceStarted, VoiceStopped
from telephony.errors import LegEndedError
from telephony.leg import (
    FRAME_MS,
    INPUT_RATE_HZ,
    OUTPUT_FRAME_BYTES,
    OUTPUT_RATE_HZ,
    AudioReceived,
    CallLeg,
    DigitReceived,
    FramesDropped,
    HoldChanged,
    LegEnded,
    LegEvent,
    MessageReceived,
    ToneHeard,
)

# Sound before the voice. The first consonant is in 200 ms; with more, Whisper finds "no speech" (docs/recognition.md).
_LEAD_MS = 200
_PREROLL_FRAMES = 64  # a voice is noticed `start_ms` after it began
_RUN_FRAMES = 5  # audio goes down in runs of 100 ms
OUTPUT_CHUNK_MS = 80  # one CSM frame
_TAIL_MS = 300  # of silence before we hang up: a phone drops what is in its jitter buffer then
_KEYS = frozenset(KeypadEntry)


class CallInput(BaseInputTransport):
    """Reads the leg; pushes voice and key frames."""

    def __init__(
        self,
        leg: CallLeg,
        *,
        detector: SpeechDetector,
        activity: VoiceActivity,
        on_voice: Callable[[VoiceEvent, float], None],
        on_event: Callable[[LegEvent], None],
        always_stream: bool = False,
    ) -> None:
        """`on_voice` hears of the voice first, with its time on the loop's clock.

        `always_stream` sends all audio down the pipeline, for recognisers that keep their own ear.
        """
        super().__init__(TransportParams(audio_in_enabled=False, audio_in_sample_rate=INPUT_RATE_HZ), name="CallInput")
        self._leg = leg
        self._detector = detector
        self._activity = activity
        self._on_voice = on_voice
        self._on_event = on_event
        self._always_stream = always_stream
        self._reader: asyncio.Task[None] | None = None
        self._preroll: deque[bytes] = deque(maxlen=_PREROLL_FRAMES)
        self._run: list[bytes] = []
        self._windows = 0

    async def start(self, frame: StartFrame) -> None:
        """Begin to read the leg."""
        await super().start(frame)
        if self._reader is None:
            self._reader = self.create_task(self._read())

    async def stop(self, frame: EndFrame) -> None:
        """Stop reading; the output hangs up."""
        await super().stop(frame)
        await self._stop_reader()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop reading."""
        await super().cancel(frame)
        await self._stop_reader()

    async def cleanup(self) -> None:
        """Stop reading, however the pipeline ended."""
        await self._stop_reader()
        await super().cleanup()

    async def _stop_reader(self) -> None:
        if self._reader is not None:
            await self.cancel_task(self._reader)
            self._reader = None

    async def _read(self) -> None:
        while True:
            try:
                event = await self._leg.receive()
            except LegEndedError:
                return
            await self._take(event)

    async def _take(self, event: LegEvent) -> None:
        match event:
            case AudioReceived():
                await self._take_audio(event)
            case DigitReceived(digit=digit):
                if digit in _KEYS:  # A to D are no keys of a telephone
                    await self.push_frame(InputDTMFFrame(button=KeypadEntry(digit)))
            case ToneHeard() | HoldChanged() | MessageReceived() | FramesDropped() | LegEnded():
                self._on_event(event)
            case _:  # pragma: no cover
                assert_never(event)

    async def _take_audio(self, event: AudioReceived) -> None:
        self._preroll.append(event.pcm)
        if self._activity.speaking or self._always_stream:
            self._run.append(event.pcm)
        for probability in await self._detector.feed(event.pcm, speaking=self._activity.speaking):
            at_ms = self._windows * WINDOW_MS
            self._windows += 1
            voice = self._activity.feed(probability, at_ms=at_ms, window_ms=WINDOW_MS)
            if voice is not None:
                await self._tell_voice(voice, heard_ms=at_ms + WINDOW_MS)
        if len(self._run) >= _RUN_FRAMES:
            await self._push_run()

    async def _tell_voice(self, voice: VoiceEvent, *, heard_ms: int) -> None:
        now = asyncio.get_running_loop().time()
        match voice:
            case VoiceStarted(began_at_ms=at_ms):
                age_s = (heard_ms - at_ms) / 1000
                self._on_voice(voice, now - age_s)
                await self.push_frame(VADUserStartedSpeakingFrame(start_secs=age_s))
                if not self._always_stream:
                    frames = (heard_ms - at_ms + _LEAD_MS) // FRAME_MS
                    self._run = list(self._preroll)[-frames:]
            case VoiceStopped(ended_at_ms=at_ms):
                age_s = (heard_ms - at_ms) / 1000
                await self._push_run()
                self._preroll.clear()  # it went down already; a resumed turn must not hear it twice
                self._on_voice(voice, now - age_s)
                await self.push_frame(VADUserStoppedSpeakingFrame(stop_secs=age_s))

    async def _push_run(self) -> None:
        if self._run:
            audio, self._run = b"".join(self._run), []
            await self.push_frame(InputAudioRawFrame(audio=audio, sample_rate=INPUT_RATE_HZ, num_channels=1))


class CallOutput(BaseOutputTransport):
    """Plays to the leg; an interruption flushes it, the end of the pipeline hangs it up."""

    def __init__(
        self,
        leg: CallLeg,
        *,
        ledger: PlayoutLedger,
        on_first_audio: Callable[[str], None],
        on_reached: Callable[[object], None],
        farewell: str,
    ) -> None:
        """`on_first_audio` gets the turn whose sound starts, `on_reached` a mark once all before it was played.

        `farewell` is told to the caller's page when the bot hangs up.
        """
        super().__init__(
            TransportParams(
                audio_out_enabled=True,
                audio_out_sample_rate=OUTPUT_RATE_HZ,
                audio_out_10ms_chunks=OUTPUT_CHUNK_MS // 10,
                audio_out_end_silence_secs=0,  # whole seconds only: `stop` has its own
            ),
            name="CallOutput",
        )
        self._leg = leg
        self._ledger = ledger
        self._on_first_audio = on_first_audio
        self._on_reached = on_reached
        self._farewell = farewell
        self._flushes = 0
        self._starting: str | None = None

    async def start(self, frame: StartFrame) -> None:
        """Ready at once: the leg was answered before the pipeline started."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """Let everything play, then hang up."""
        await super().stop(frame)
        with contextlib.suppress(LegEndedError):
            for _ in range(_TAIL_MS // FRAME_MS):
                await self._leg.play(bytes(OUTPUT_FRAME_BYTES))
        await self._leg.drain()
        self._leg.tell(self._farewell)
        await self._leg.hang_up()

    async def cancel(self, frame: CancelFrame) -> None:
        """Hang up now."""
        await super().cancel(frame)
        await self._leg.hang_up()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Account for speech before Pipecat cuts it up; flush before it handles an interruption."""
        if isinstance(frame, InterruptionFrame):
            self._flushes += 1
            self._leg.flush()
        elif isinstance(frame, TTSAudioRawFrame) and frame.context_id is not None:
            self._ledger.produced(frame.context_id, len(frame.audio) * 1000 // (2 * OUTPUT_RATE_HZ))
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play one chunk in frames of 20 ms; what an interruption finds unplayed is dropped."""
        flushes = self._flushes
        try:
            for start in range(0, len(frame.audio), OUTPUT_FRAME_BYTES):
                piece = frame.audio[start : start + OUTPUT_FRAME_BYTES]
                await self._leg.play(piece.ljust(OUTPUT_FRAME_BYTES, b"\0"))
                if self._starting is not None:
                    self._on_first_audio(self._starting)
                    self._starting = None
                if flushes != self._flushes:
                    break
        except LegEndedError:
            return False
        return True

    async def write_transport_frame(self, frame: Frame) -> None:
        """Pass what waited behind earlier audio; a turn's start is noted for its first frame."""
        if isinstance(frame, TTSStartedFrame):
            self._starting = frame.context_id

    async def send_message(self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame) -> None:
        """Urgent messages go to the caller's page at once; the others mark a place in the speech."""
        if isinstance(frame, OutputTransportMessageUrgentFrame):
            self._leg.tell(str(frame.message))
            return
        await self._leg.drain()
        self._on_reached(frame.message)
