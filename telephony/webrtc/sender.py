"""`OpusSender`: frames of 24 kHz PCM, or silence, to RTP packets of one Opus stream. Sans I/O."""

from __future__ import annotations

from typing import Final

from telephony.audio.opus_memory import PacketMemory, RememberingEncoder
from telephony.leg import FRAME_MS, OUTPUT_FRAME_BYTES, OUTPUT_RATE_HZ
from telephony.rtp.packet import build_plain_rtp

_STEP: Final = 48_000 * FRAME_MS // 1000  # timestamp units a packet (RFC 7587, 4.1)
_SILENCE: Final = bytes(OUTPUT_FRAME_BYTES)
# After so many frames of silence the encoder has nothing more to say: its packet is sent again and again, which costs
# no CPU, and the decoder stays as ready for the next word as by new ones (measured: the same onset).
_SETTLED_FRAMES: Final = 10


class OpusSender:
    """Encoder and RTP header of what the bot says; one packet of 20 ms at a time, silence too."""

    def __init__(self, *, ssrc: int, payload_type: int, sequence: int, timestamp: int, memory: PacketMemory) -> None:
        self._encoder = RememberingEncoder(OUTPUT_RATE_HZ, memory)
        self._ssrc = ssrc
        self._payload_type = payload_type
        self._sequence = sequence
        self._silent_frames = 0
        self._silent_payload = b""
        self._marker = True
        self.timestamp = timestamp  # of the next packet
        self.packets = 0
        self.octets = 0  # of payload, as RTCP counts (RFC 3550, 6.4.1)

    def packet(self, pcm: bytes | None) -> bytes:
        """One RTP packet with a frame of OUTPUT_FRAME_BYTES, or with silence."""
        payload = self._silence() if pcm is None else self._speech(pcm)
        packet = build_plain_rtp(
            self._payload_type, self._sequence, self.timestamp, self._ssrc, payload, marker=self._marker
        )
        self._marker = False
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + _STEP) & 0xFFFFFFFF
        self.packets += 1
        self.octets += len(payload)
        return packet

    def skip(self, frames: int) -> None:
        """Let time pass in which nothing is sent."""
        if frames:
            self.timestamp = (self.timestamp + frames * _STEP) & 0xFFFFFFFF
            self._marker = True  # RFC 7587, 4.1: the first packet after time that was not sent

    def expect_loss(self, percent: int) -> None:
        """How many packets of a hundred the far side says it loses: the strength of the FEC."""
        self._encoder.expect_loss(percent)

    def close(self) -> None:
        """Free the encoder."""
        self._encoder.close()

    def _speech(self, pcm: bytes) -> bytes:
        if self._silent_frames >= _SETTLED_FRAMES:
            self._encoder.begin()
        self._silent_frames = 0
        return self._encoder.encode(pcm)

    def _silence(self) -> bytes:
        if self._silent_frames < _SETTLED_FRAMES:
            self._silent_frames += 1
            self._silent_payload = self._encoder.encode(_SILENCE)
        return self._silent_payload
