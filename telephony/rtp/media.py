"""`Media` over RTP: the face of one call's stream towards the bot's loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

from telephony.errors import AudioFormatError, LegEndedError
from telephony.leg import OUTPUT_FRAME_BYTES, LegStats
from telephony.media import MediaAbilities, MediaEvent, MediaParameters
from telephony.rtp.bell import Bell
from telephony.rtp.codec import CODECS
from telephony.rtp.endpoint import RtpEndpoint
from telephony.rtp.hearing import Hearing
from telephony.rtp.media_thread import MediaThread
from telephony.rtp.speaking import Speaking
from telephony.rtp.stream import RtpStream


@dataclass(frozen=True, slots=True)
class RtpMediaOptions:
    """What the settings say of each session."""

    abilities: MediaAbilities
    inband_digits: Literal["never", "fallback", "always"] = "fallback"


class RtpMedia:
    """One RTP session; implements `telephony.media.Media`. Made by `RtpMediaFactory.open`.

    The pacer and the mailbox, behind `speaking` and `hearing`, are shared with the media thread without a lock; all
    else goes there by `thread.post`. Sound is converted on this side, for all calls at once: see `depacketizer.py`
    and `bell.py`.
    """

    def __init__(
        self,
        *,
        thread: MediaThread,
        stream: RtpStream,
        endpoint: RtpEndpoint,
        options: RtpMediaOptions,
        hearing: Hearing,
        speaking: Speaking,
        bell: Bell,
        free: Callable[[], None],
    ) -> None:
        self._thread = thread
        self._stream = stream
        self._endpoint = endpoint
        self._options = options
        self._hearing = hearing
        self._speaking = speaking
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
        return self._speaking.played_ms

    @property
    def lead_ms(self) -> int:
        """How far ahead the bot may play."""
        return self._speaking.lead_ms

    @property
    def queued_ms(self) -> int:
        """What was played and has not yet been sent."""
        return self._speaking.queued_ms

    def apply(self, parameters: MediaParameters) -> None:
        """Start, or take the result of a re-INVITE; raises `LegEndedError` after `close()`."""
        self._check_open()
        is_first, self._started = not self._started, True
        self._speaking.agree(CODECS[parameters.codec])
        inband = self._options.inband_digits
        self._hearing.listener.keys = inband == "always" or (
            inband == "fallback" and parameters.dtmf_payload_type is None
        )

        def apply_there() -> None:
            self._stream.apply(parameters, now=time.monotonic())
            if is_first:
                self._thread.add(self._stream)

        self._thread.post(apply_there)

    async def receive(self) -> MediaEvent:
        """Wait for the next event; raises `LegEndedError` after `close()`."""
        while True:
            self._check_open()
            if self._hearing.heard:
                return self._hearing.heard.popleft()
            await self._bell.wait()  # a ring follows within 20 ms

    async def play(self, pcm: bytes) -> None:
        """Queue frames of OUTPUT_FRAME_BYTES; waits while the lead is full. On hold the queue stands still.

        Raises `AudioFormatError` for another size and `LegEndedError` after `close()`.
        """
        if not pcm or len(pcm) % OUTPUT_FRAME_BYTES:
            raise AudioFormatError(f"{len(pcm)} bytes are no frames of {OUTPUT_FRAME_BYTES}: give 20 ms at 24 kHz")
        self._check_open()
        while self._speaking.is_full:
            await self._bell.wait()
            self._check_open()
        self._speaking.put(pcm)
        self._bell.speaks()

    def flush(self) -> int:
        """Drop what was queued and not yet sent; returns how much that was, in ms."""
        dropped_ms = self._speaking.flush()
        self._bell.wake()  # there is room, and nothing to drain
        return dropped_ms

    async def drain(self) -> None:
        """Wait until all that was queued has been sent, dropped, or the session closed."""
        while self._speaking.queued_ms and self._closing is None:
            await self._bell.wait()

    async def send_digits(self, digits: str, *, tones: bool = False) -> None:
        """Send key presses and wait until they are sent; the bot's audio waits meanwhile.

        RFC 4733 events where they were agreed, tones in the audio where not, or with `tones`. Raises
        `LocalProtocolError` for what is no key, and `LegEndedError` after `close()`.
        """
        self._check_open()
        done_at = await asyncio.wrap_future(self._thread.call(lambda: self._stream.press(digits, tones=tones)))
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

    def _check_open(self) -> None:
        if self._closing is not None:
            raise LegEndedError("the media session is closed")
