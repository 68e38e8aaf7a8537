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

import numpy as np
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputTransportMessageFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import TransportParams

from bot.frames import SoundFadedFrame, SoundReturnedFrame
from bot.player import Player
from bot.playout import PlayoutLedger
from bot.sound_trail import SoundFaded, SoundReturned, SoundTrail, TrailEvent
from bot.speech_detector import WINDOW_MS, SpeechDetector, level_db
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
    EndCause,
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
_VOICE_TAIL_MS = 200  # how long the model may hear a voice after its sound: up to 142 (docs/benchmarks.md)
_RUN_FRAMES = 5  # audio goes down in runs of 100 ms
_TAIL_MS = 300  # of silence before we hang up: a phone drops what is in its jitter buffer then
_KEYS = frozenset(KeypadEntry)


def _level_db(pcm: bytes) -> float:
    return level_db(np.frombuffer(pcm, dtype="<i2").astype(np.float32))


class CallInput(BaseInputTransport):
    """Reads the leg; pushes voice and key frames."""

    def __init__(
        self,
        leg: CallLeg,
        *,
        detector: SpeechDetector,
        activity: VoiceActivity,
        trail: SoundTrail | None,
        on_voice: Callable[[VoiceEvent, float], None],
        on_sound: Callable[[TrailEvent, float], None],
        on_event: Callable[[LegEvent], None],
        always_stream: bool = False,
    ) -> None:
        """`on_voice` hears of the voice first, with its time on the loop's clock; `on_sound` of its sound.

        `trail` lets the recogniser begin when the sound falls, before the pause is one; None: it does not.

        `always_stream` sends all audio down the pipeline, for recognisers that keep their own ear.
        """
        super().__init__(TransportParams(audio_in_enabled=False, audio_in_sample_rate=INPUT_RATE_HZ), name="CallInput")
        self._leg = leg
        self._detector = detector
        self._activity = activity
        self._trail = None if always_stream else trail
        self._on_voice = on_voice
        self._on_sound = on_sound
        self._on_event = on_event
        self._always_stream = always_stream
        self._reader: asyncio.Task[None] | None = None
        self._preroll: deque[bytes] = deque(maxlen=_PREROLL_FRAMES)
        self._run: list[bytes] = []
        self._windows = 0
        self._frames = 0
        self._lingers = False  # the model hears the voice of a turn that has ended, without a sound

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

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """A turn that ended while the speech model still heard its voice has ended for this one too."""
        await super().process_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame) and self._activity.speaking and not self._always_stream:
            self._activity.end()
            self._lingers = self._trail is not None
            self._run.clear()
            self._preroll.clear()

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
            try:
                await self._take(event)
            except Exception as error:
                self._on_event(LegEnded(EndCause.FAILED, type(error).__name__))  # else nobody would hear of a hang-up
                raise

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
        self._frames += 1
        if self._activity.speaking or self._always_stream:
            self._run.append(event.pcm)
        for probability in await self._detector.feed(event.pcm, speaking=self._activity.speaking):
            at_ms = self._windows * WINDOW_MS
            self._windows += 1
            self._lingers = self._lingers and probability >= self._activity.release
            heard = 0.0 if self._lingers else probability
            voice = self._activity.feed(heard, at_ms=at_ms, window_ms=WINDOW_MS)
            if voice is not None:
                await self._tell_voice(voice, heard_ms=at_ms + WINDOW_MS)
        if self._trail is not None and self._activity.speaking:
            await self._follow(self._trail, event.pcm)
        elif self._trail is not None and self._lingers:
            self._lingers = self._fed(self._trail, event.pcm) is None
        if len(self._run) >= _RUN_FRAMES:
            await self._push_run()

    async def _follow(self, trail: SoundTrail, pcm: bytes) -> None:
        event = self._fed(trail, pcm)
        if event is not None:
            await self._tell_sound(event, ended_at_ms=trail.ended_at_ms)

    def _fed(self, trail: SoundTrail, pcm: bytes) -> TrailEvent | None:
        return trail.feed(_level_db(pcm), noise_db=self._detector.noise_db, end_ms=self._frames * FRAME_MS)

    async def _tell_sound(self, event: TrailEvent, *, ended_at_ms: int) -> None:
        self._on_sound(event, asyncio.get_running_loop().time() - (self._frames * FRAME_MS - ended_at_ms) / 1000)
        match event:
            case SoundFaded():
                await self._push_run()
                await self.push_frame(SoundFadedFrame())
            case SoundReturned():
                await self.push_frame(SoundReturnedFrame())

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
                if self._trail is not None:
                    self._trail.begin(map(_level_db, self._run), at_ms=self._frames * FRAME_MS)
            case VoiceStopped(ended_at_ms=at_ms):
                age_s = (heard_ms - await self._sound_ended_at_ms(at_ms)) / 1000
                await self._push_run()
                self._preroll.clear()  # it went down already; a resumed turn must not hear it twice
                self._on_voice(voice, now - age_s)
                await self.push_frame(VADUserStoppedSpeakingFrame(stop_secs=age_s))

    async def _sound_ended_at_ms(self, voice_ended_at_ms: int) -> int:
        """When the sound of a voice ended that the model has heard to `voice_ended_at_ms`."""
        if self._trail is None:
            return voice_ended_at_ms
        if voice_ended_at_ms - self._trail.ended_at_ms <= _VOICE_TAIL_MS:
            return min(voice_ended_at_ms, self._trail.ended_at_ms)
        # the end was spoken too softly for the trail
        await self._tell_sound(SoundReturned(), ended_at_ms=voice_ended_at_ms)
        return voice_ended_at_ms

    async def _push_run(self) -> None:
        if self._run:
            audio, self._run = b"".join(self._run), []
            await self.push_frame(InputAudioRawFrame(audio=audio, sample_rate=INPUT_RATE_HZ, num_channels=1))


class CallOutput(FrameProcessor):
    """Plays to the leg; an interruption flushes it, the end of the pipeline hangs it up.

    Not a Pipecat output transport: see `bot.player`.
    """

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
        super().__init__(name="CallOutput")
        self._leg = leg
        self._ledger = ledger
        self._player = Player(leg, on_first_audio=on_first_audio, on_reached=on_reached)
        self._playing: asyncio.Task[None] | None = None
        self._farewell = farewell

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take speech and what marks a place in it; everything else passes."""
        await super().process_frame(frame, direction)
        match frame:
            case TTSAudioRawFrame(context_id=str(turn_id)):
                self._ledger.produced(turn_id, len(frame.audio) * 1000 // (2 * OUTPUT_RATE_HZ))
                self._player.sound(turn_id, frame.audio)
                return
            case TTSStoppedFrame():
                self._player.close_turn()
                return
            case OutputTransportMessageFrame():
                self._player.mark(frame.message)
                return
            case StartFrame() if self._playing is None:
                self._playing = self.create_task(self._player.run())
            case InterruptionFrame():
                self._player.flush()
            case EndFrame():
                await self._player.finish()
                await self._let_it_be_heard()
                self._leg.tell(self._farewell)
                await self._leg.hang_up()
            case CancelFrame():
                await self._leg.hang_up()
            case _:
                pass
        await self.push_frame(frame, direction)

    async def _let_it_be_heard(self) -> None:
        with contextlib.suppress(LegEndedError):
            await self._leg.play(bytes(_TAIL_MS // FRAME_MS * OUTPUT_FRAME_BYTES))
        await self._leg.drain()

    async def cleanup(self) -> None:
        """Stop playing, however the pipeline ended."""
        playing, self._playing = self._playing, None
        if playing is not None:
            await self.cancel_task(playing)
        await super().cleanup()
