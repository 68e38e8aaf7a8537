"""The codecs that SDP may name, as this package knows them: clocks, rates, and what makes a payload and reads one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from telephony.audio.frame import pcm_of
from telephony.audio.g711 import A_LAW, G711, MU_LAW
from telephony.audio.g722 import G722Decoder, G722Encoder
from telephony.audio.opus import OpusEncoder
from telephony.media import CodecName
from telephony.rtp.voice import OpusVoice, Voice, WaveformVoice

COMFORT_NOISE = 13  # static payload type, RFC 3389


class PayloadEncoder(Protocol):
    """Sound of one stream to payloads."""

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Give the payload of these samples."""
        ...

    def expect_loss(self, percent: int) -> None:
        """Take what the far side says it loses; only a codec with in-band FEC makes use of it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """One codec; `bytes_a_ms` is None where a payload may be neither cut nor joined.

    `law` says that every byte is a sample by itself, and how: many calls are then converted at once, outside `voice`
    and `encoder`.
    """

    name: CodecName
    clock_hz: int  # of RTP timestamps
    rate_hz: int  # of what `voice` gives
    encoder_rate_hz: int  # of what `encoder` takes
    bytes_a_ms: int | None
    packet_ms: tuple[int, ...]  # of what may be sent
    encoder: Callable[[], PayloadEncoder]
    voice: Callable[[], Voice]
    law: G711 | None = None


class _Stateless:
    """G.711: every sample by itself."""

    def __init__(self, law: G711) -> None:
        self.encode = law.encode

    def expect_loss(self, percent: int) -> None:
        """Nothing can be done about it."""


class _G722:
    def __init__(self) -> None:
        self.encode = G722Encoder().encode

    def expect_loss(self, percent: int) -> None:
        """Nothing can be done about it."""


class _Opus:
    def __init__(self) -> None:
        self._encoder = OpusEncoder(_OPUS_ENCODER_HZ)
        self.expect_loss = self._encoder.expect_loss

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        return self._encoder.encode(pcm_of(samples))


_OPUS_ENCODER_HZ = 24_000  # libopus resamples by itself: the bot's rate goes straight in
_ANY_TEN_MS = (10, 20, 30, 40, 50, 60)


def _g711(name: CodecName, law: G711) -> Codec:
    return Codec(
        name,
        8_000,
        8_000,
        8_000,
        8,
        _ANY_TEN_MS,
        lambda: _Stateless(law),
        lambda: WaveformVoice(law.decode, 8_000),
        law,
    )


CODECS: Mapping[CodecName, Codec] = {
    "PCMU": _g711("PCMU", MU_LAW),
    "PCMA": _g711("PCMA", A_LAW),
    # RFC 3551 section 4.5.2: the clock is 8 kHz for sound of 16 kHz, by an old mistake that has to stay.
    "G722": Codec(
        "G722", 8_000, 16_000, 16_000, 8, _ANY_TEN_MS, _G722, lambda: WaveformVoice(G722Decoder().decode, 16_000)
    ),
    # RFC 7587 section 4.1: the clock is 48 kHz whatever is coded.
    "opus": Codec("opus", 48_000, 16_000, _OPUS_ENCODER_HZ, None, (10, 20, 40, 60), _Opus, lambda: OpusVoice(16_000)),
}
