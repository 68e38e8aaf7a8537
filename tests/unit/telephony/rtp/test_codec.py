from __future__ import annotations

import numpy as np
import pytest

from telephony.audio.playout import Decode
from telephony.media import CodecName
from telephony.rtp.codec import CODECS


@pytest.mark.parametrize("name", list(CODECS))
def test_each_codec_speaks_and_hears_20_ms_at_its_rates(name: CodecName) -> None:
    codec = CODECS[name]
    encoder, voice = codec.encoder(), codec.voice()
    frame = np.zeros(codec.encoder_rate_hz // 50, np.int16)

    payload = encoder.encode(frame)
    encoder.expect_loss(10)

    assert codec.name == name
    if codec.bytes_a_ms is not None:
        assert len(payload) == 20 * codec.bytes_a_ms
    assert len(voice.sound(Decode(payload), codec.rate_hz // 50)) == codec.rate_hz // 50


def test_clocks_are_those_of_the_payload_formats() -> None:
    # RFC 3551 section 4.5.2 and RFC 7587 section 4.1: neither is the rate of the sound
    assert {name: codec.clock_hz for name, codec in CODECS.items()} == {
        "PCMU": 8_000,
        "PCMA": 8_000,
        "G722": 8_000,
        "opus": 48_000,
    }
