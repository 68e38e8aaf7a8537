"""`Media` over RTP: the face of one call's stream towards the bot's loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

from telephony.audio.frame import pcm_of, samples_of
from telephony.audio.listener import ToneListener
from telephony.audio.pacer import Pacer
from telephony.audio.resample import Resampler
from telephony.errors import AudioFormatError, LegEndedError
from telephony.leg import (
    OUTPUT_FRAME_BYTES,
    OUTPUT_RATE_HZ,
    AudioReceived,
    DigitReceived,
    LegStats,
    Tone,
    ToneHeard,
)
from telephony.media import InbandDigit, MediaAbilities, MediaEvent, MediaParameters
from telephony.rtp.codec import CODECS, Codec
from telephony.rtp.depacketizer import CodedFrame
from telephony.rtp.doorbell import Doorbell
from telephony.rtp.endpoint import RtpEndpoint
from telephony.rtp.mailbox import Mailbox
from telephony.rtp.media_thread import MediaThread
from telephony.rtp.stream import RtpStream


class Bell:
    """One call's part of the doorbell: however often it is rung, the loop is told once."""

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell
        self._rung = False
        self._woken = asyncio.Event()

    def ring(self) -> None:
        """Tell the waiting side; called in the media thread."""
        if not self._rung:
            self._rung = True
            self._doorbell.note(self._answer)

    def _answer(self) -> None:
        # Cleared first: what happens from here on rings again.
        self._rung = False
        self.wake()

    def wake(self) -> None:
        """Let all that wait look again; called in the bot's loop."""
        self._woken.set()

    async def wait(self) -> None:
        """Wait for the next ring; what to wait for is looked at just before."""
        self._woken.clear()
        await self._woken.wait()


@dataclass(frozen=True, slots=True)
class RtpMediaOptions:
    """What the settings say of each session."""

    abilities: MediaAbilities
    tones: bool = True  # whether tones of machines are looked for in the caller's audio
    inband_digits: Literal["never", "fallback", "always"] = "fallback"


class RtpMedia:
    """One RTP session; implements `telephony.media.Media`. Made by `RtpMediaFactory.open`.

    The pacer and the mailbox are shared with the media thread without a lock; all else goes there by `thread.post`.
    Sound is converted here, not there: see `depacketizer.py`.
    """

    def __init__(
        self,
        *,
        thread: MediaThread,
        stream: RtpStream,
        endpoint: RtpEndpoint,
        options: RtpMediaOptions,
        pacer: Pacer,
        mailbox: Mailbox,
        bell: Bell,
        free: Callable[[], None],
    ) -> None:
        self._thread = thread
        self._stream = stream
        self._endpoint = endpoint
        self._options = options
        self._listener = ToneListener(tones=options.tones)
        self._found: deque[MediaEvent] = deque()
        self._pacer = pacer
        self._codec = CODECS["PCMU"]
        self._resampler = _resampler_for(self._codec)
        self._silences = 0  # of the pacer, at the last `play`
        self._decoder = stream.decoder
        self._mailbox = mailbox
        self._bell = bell
        self._free = free  # gives the ports back; called in the media thread
        self._started = False
        self._closing: Future[None] | None = None

    @property
    def local_host(self) -> str:
        """Address to write into SDP."""
        return self._endpoint.public_host

    @property
    def local_port(self) -> int:
        """RTP port to write into SDP; RTCP is the next one."""
        return self._endpoint.port

    @property
    def abilities(self) -> MediaAbilities:
        """What may be negotiated for this session."""
        return self._options.abilities

    @property
    def played_ms(self) -> int:
        """Bot audio that has left towards the caller, in ms; exact, silence not counted."""
        return self._pacer.played_ms

    @property
    def lead_ms(self) -> int:
        """How far ahead the bot may play."""
        return self._pacer.lead_ms

    @property
    def queued_ms(self) -> int:
        """What was played and has not yet been sent."""
        return self._pacer.queued_ms

    def apply(self, parameters: MediaParameters) -> None:
        """Start, or take the result of a re-INVITE; raises `LegEndedError` after `close()`."""
        self._check_open()
        is_first, self._started = not self._started, True
        codec = CODECS[parameters.codec]
        if codec.encoder_rate_hz != self._codec.encoder_rate_hz:
            self._resampler = _resampler_for(codec)
        self._codec = codec
        inband = self._options.inband_digits
        self._listener.keys = inband == "always" or (inband == "fallback" and parameters.dtmf_payload_type is None)

        def apply_there() -> None:
            self._stream.apply(parameters, now=time.monotonic())
            if is_first:
                self._thread.add(self._stream)

        self._thread.post(apply_there)

    async def receive(self) -> MediaEvent:
        """Wait for the next event; raises `LegEndedError` after `close()`."""
        while True:
            self._check_open()
            if self._found:
                return self._found.popleft()
            event = self._mailbox.get()
            if isinstance(event, CodedFrame):
                pcm = self._decoder.decode(event)
                self._listen(pcm, event.media_time_ms)
                return AudioReceived(pcm, event.media_time_ms)
            if event is not None:
                return event
            await self._bell.wait()

    def _listen(self, pcm: bytes, media_time_ms: int) -> None:
        for found in self._listener.feed(samples_of(pcm)):
            if isinstance(found, Tone):
                self._found.append(ToneHeard(found, media_time_ms))
            else:
                self._found.append(InbandDigit(DigitReceived(found.digit, found.duration_ms)))

    async def play(self, pcm: bytes) -> None:
        """Queue frames of OUTPUT_FRAME_BYTES; waits while the lead is full. On hold the queue stands still.

        Raises `AudioFormatError` for another size and `LegEndedError` after `close()`.
        """
        if not pcm or len(pcm) % OUTPUT_FRAME_BYTES:
            raise AudioFormatError(f"{len(pcm)} bytes are no frames of {OUTPUT_FRAME_BYTES}: give 20 ms at 24 kHz")
        self._check_open()
        while self._pacer.is_full:
            await self._bell.wait()
            self._check_open()
        if self._pacer.silences != self._silences:
            # The caller has heard silence meanwhile: the end of what was said before it has no place here.
            self._silences = self._pacer.silences
            self._reset_resampler()
        sound = pcm if self._resampler is None else pcm_of(self._resampler.feed(samples_of(pcm)))
        frame_bytes = len(sound) * OUTPUT_FRAME_BYTES // len(pcm)
        for start in range(0, len(sound), frame_bytes):
            self._pacer.put(sound[start : start + frame_bytes])

    def flush(self) -> int:
        """Drop what was queued and not yet sent; returns how much that was, in ms."""
        dropped_ms = self._pacer.flush()
        self._reset_resampler()
        self._bell.wake()  # there is room, and nothing to drain
        return dropped_ms

    async def drain(self) -> None:
        """Wait until all that was queued has been sent, dropped, or the session closed."""
        while self._pacer.queued_ms and self._closing is None:
            await self._bell.wait()

    async def send_digits(self, digits: str) -> None:
        """Send key presses and wait until they are sent; the bot's audio waits meanwhile.

        RFC 4733 events where they were agreed, tones in the audio where not. Raises `LocalProtocolError` for what is
        no key, and `LegEndedError` after `close()`.
        """
        self._check_open()
        done_at = await asyncio.wrap_future(self._thread.call(lambda: self._stream.press(digits)))
        while self._stream.pressed < done_at:
            self._check_open()
            await self._bell.wait()

    def stats(self) -> LegStats:
        """Figures so far."""
        return self._stream.stats()

    async def close(self) -> None:
        """Send RTCP BYE, free the ports. Idempotent; it completes even if the caller is cancelled."""
        if self._closing is None:
            self._closing = self._thread.call(self._close_there)
            self._bell.wake()
        await asyncio.shield(asyncio.wrap_future(self._closing))

    def _close_there(self) -> None:
        self._thread.remove(self._stream)
        try:
            self._stream.close(now=time.monotonic())
        finally:
            self._free()

    def _reset_resampler(self) -> None:
        if self._resampler is not None:
            self._resampler.reset()

    def _check_open(self) -> None:
        if self._closing is not None:
            raise LegEndedError("the media session is closed")


def _resampler_for(codec: Codec) -> Resampler | None:
    if codec.encoder_rate_hz == OUTPUT_RATE_HZ:
        return None  # Opus resamples by itself
    return Resampler(OUTPUT_RATE_HZ, codec.encoder_rate_hz)
