"""Frames of the bot to payloads of the packet time agreed, and the silence between. Runs in the media thread."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from telephony.audio.comfort_noise import QUIET_LINE
from telephony.audio.frame import pcm_of, samples_of
from telephony.audio.g711 import G711
from telephony.leg import FRAME_MS
from telephony.rtp.codec import Codec

_FADE_MS = 5
_SETTLED_FRAMES = 10  # of silence: an encoder has nothing more to say, and comfort noise may take over
_NOISE_EVERY = 25  # frames: half a second

# 20 ms of the bot: PCM16 at the encoder's rate, or already companded, by that law
BotFrame: TypeAlias = bytes | tuple[G711, bytes]


class Kind(Enum):
    """What is sent for a stretch of media time."""

    AUDIO = auto()
    NOISE = auto()  # comfort noise (RFC 3389)
    NOTHING = auto()


class Payload(NamedTuple):
    """What is to be sent, and the media time that it takes, in timestamp units."""

    data: bytes
    duration: int
    kind: Kind = Kind.AUDIO


class Packetizer:
    """One stream of payloads of `ptime_ms`; a packet time that the codec has not counts as the next shorter."""

    def __init__(self, codec: Codec, *, ptime_ms: int = FRAME_MS) -> None:
        self._begin(codec)
        self.agree(codec, ptime_ms=ptime_ms)

    def _begin(self, codec: Codec) -> None:
        self._codec = codec
        self._encoder = codec.encoder()
        self._samples = codec.encoder_rate_hz * FRAME_MS // 1000
        self._last: NDArray[np.int16] | tuple[G711, bytes] | None = None  # frame of sound just before
        self._silent_payload = b"" if codec.law is None else bytes((codec.law.silence,)) * self._samples
        self._silent_frames = 0
        self._last_data = b""

    def agree(self, codec: Codec, *, ptime_ms: int, comfort_noise: bool = False) -> None:
        """Take what an answer agreed; what was gathered for a packet is dropped."""
        if codec is not self._codec:
            self._begin(codec)
        self._may_rest = comfort_noise
        self._gathered = b""  # payload; of a codec that cannot be cut, PCM16
        self._packet_ms = max((ms for ms in codec.packet_ms if ms <= ptime_ms), default=FRAME_MS)
        if ptime_ms > codec.packet_ms[-1]:
            self._packet_ms = FRAME_MS
        self._frame_units = self._units(FRAME_MS)
        self._packet_bytes = (codec.bytes_a_ms or 0) * self._packet_ms

    @property
    def rate_hz(self) -> int:
        """Rate of the frames that `feed` takes."""
        return self._codec.encoder_rate_hz

    def expect_loss(self, percent: int) -> None:
        """Take what the far side says it loses: the strength of in-band FEC."""
        self._encoder.expect_loss(percent)

    def feed(self, frame: BotFrame | None) -> list[Payload]:
        """Give what a frame of 20 ms (None: of silence) completes."""
        if isinstance(frame, tuple):
            law, payload = frame
            if law is self._codec.law:
                self._silent_frames = 0
                self._last = frame
                if len(payload) == self._packet_bytes and not self._gathered:
                    return [Payload(payload, self._frame_units)]
                return self._join_bytes(payload)
            frame = pcm_of(law.decode(payload))  # it was queued for the codec of before a re-INVITE
        if frame is None:
            self._silent_frames += 1
            return self._feed_silence()
        self._silent_frames = 0
        samples = self._fitting(samples_of(frame))
        self._last = samples
        return self._feed_sound(samples)

    def _feed_silence(self) -> list[Payload]:
        if self._may_rest and self._silent_frames > _SETTLED_FRAMES:
            return self._rest()
        if self._last is None and self._codec.law is not None:
            return self._join_bytes(self._silent_payload)
        return self._feed_sound(self._silence())

    def _feed_sound(self, samples: NDArray[np.int16]) -> list[Payload]:
        if self._codec.bytes_a_ms is None:
            return self._join_sound(samples)
        return self._join_bytes(self._encoder.encode(samples))

    def _rest(self) -> list[Payload]:
        """Say once in a while that the line is quiet, and send nothing in between."""
        rest = self.flush()
        if (self._silent_frames - _SETTLED_FRAMES) % _NOISE_EVERY == 1:
            return [*rest, Payload(QUIET_LINE, self._units(FRAME_MS), Kind.NOISE)]
        return [*rest, Payload(b"", self._units(FRAME_MS), Kind.NOTHING)]

    def _units(self, duration_ms: int) -> int:
        return self._codec.clock_hz * duration_ms // 1000

    def _fitting(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take a frame that was queued at the rate of the codec before: a re-INVITE may change it in mid-speech."""
        if len(samples) == self._samples:
            return samples
        return samples[np.arange(self._samples) * len(samples) // self._samples]

    def _silence(self) -> NDArray[np.int16]:
        """Give zeros; sound cut off before fades out, played backwards, so that no click is heard."""
        silence = np.zeros(self._samples, np.int16)
        last, self._last = self._last, None
        if last is not None:
            if isinstance(last, tuple):
                last = last[0].decode(last[1])
            fade = self._samples * _FADE_MS // FRAME_MS
            silence[:fade] = last[: -fade - 1 : -1] * np.linspace(1, 0, fade, endpoint=False)
        return silence

    def _join_bytes(self, data: bytes) -> list[Payload]:
        packet = self._packet_bytes
        if len(data) == packet and not self._gathered:
            return [Payload(data, self._frame_units)]
        self._gathered += data
        whole = len(self._gathered) - len(self._gathered) % packet
        parts = [self._gathered[start : start + packet] for start in range(0, whole, packet)]
        self._gathered = self._gathered[whole:]
        return [Payload(part, self._units(self._packet_ms)) for part in parts]

    def _join_sound(self, samples: NDArray[np.int16]) -> list[Payload]:
        """Encode whole packets; one of lasting silence is made once and sent again, which costs nothing."""
        self._gathered += samples.tobytes()
        packet = self._samples * 2 * self._packet_ms // FRAME_MS
        payloads: list[Payload] = []
        while len(self._gathered) >= packet:
            part, self._gathered = self._gathered[:packet], self._gathered[packet:]
            if self._silent_frames <= _SETTLED_FRAMES or not self._last_data:
                self._last_data = self._encoder.encode(np.frombuffer(part, np.int16))
            payloads.append(Payload(self._last_data, self._units(self._packet_ms)))
        return payloads

    def flush(self) -> list[Payload]:
        """Give what is gathered and no whole packet yet."""
        rest, self._gathered = self._gathered, b""
        if not rest:
            return []
        if self._codec.bytes_a_ms is not None:
            return [Payload(rest, self._units(len(rest) // self._codec.bytes_a_ms))]
        rest_ms = FRAME_MS * len(rest) // (self._samples * 2)
        return [Payload(self._encoder.encode(np.frombuffer(rest, np.int16)), self._units(rest_ms))]
