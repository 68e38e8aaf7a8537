from __future__ import annotations

import numpy as np
import pytest

from telephony.audio.g711 import A_LAW, G711, MU_LAW

ALL_SAMPLES = np.arange(-32_768, 32_768).astype(np.int16)
ALL_CODES = bytes(range(256))

# ITU-T G.711 tables 5 and 6: 1 kHz at 0 dBm0.
DIGITAL_MILLIWATT = {
    "mu": (MU_LAW, bytes.fromhex("1e0b0b1e9e8b8b9e"), 3.17),
    "a": (A_LAW, bytes.fromhex("34212134b4a1a1b4"), 3.14),
}


@pytest.mark.parametrize("law", ["mu", "a"])
def test_digital_milliwatt_of_the_recommendation_is_0_dbm0(law: str) -> None:
    codec, codes, overload_dbm0 = DIGITAL_MILLIWATT[law]
    samples = codec.decode(codes * 100).astype(np.float64)

    spectrum = np.abs(np.fft.rfft(samples)) / len(samples) * 2
    full_scale = 32_768 * (8_159 / 8_192 if law == "mu" else 1.0)

    assert np.argmax(spectrum) == len(samples) // 8
    assert 20 * np.log10(spectrum.max() / full_scale) == pytest.approx(-overload_dbm0, abs=0.02)


@pytest.mark.parametrize(
    ("codec", "code", "sample"),
    [
        (MU_LAW, 0x00, -32_124),
        (MU_LAW, 0x80, 32_124),
        (MU_LAW, 0x7F, 0),
        (MU_LAW, 0xFF, 0),
        (MU_LAW, 0xFE, 8),
        (MU_LAW, 0x7E, -8),
        (MU_LAW, 0xEF, 132),
        (A_LAW, 0x55, -8),
        (A_LAW, 0xD5, 8),
        (A_LAW, 0x2A, -32_256),
        (A_LAW, 0xAA, 32_256),
        (A_LAW, 0xC5, 264),
    ],
)
def test_codes_stand_for_the_values_of_the_tables(codec: G711, code: int, sample: int) -> None:
    assert list(codec.decode(bytes([code]))) == [sample]


@pytest.mark.parametrize(
    ("codec", "sample", "code"),
    [
        (MU_LAW, 0, 0xFF),
        (MU_LAW, -1, 0x7F),
        (MU_LAW, 32_767, 0x80),
        (MU_LAW, -32_768, 0x00),
        (MU_LAW, 31_612, 0x80),  # a decision value belongs to the upper step on the positive side,
        (MU_LAW, -31_612, 0x01),  # and to the lower one on the negative (one's complement)
        (A_LAW, 0, 0xD5),
        (A_LAW, -1, 0x55),
        (A_LAW, 32_767, 0xAA),
        (A_LAW, -32_768, 0x2A),
        (A_LAW, 256, 0xC5),
        (A_LAW, 255, 0xDA),
    ],
)
def test_samples_get_the_codes_of_the_reference(codec: G711, sample: int, code: int) -> None:
    assert codec.encode(np.array([sample], np.int16)) == bytes([code])


@pytest.mark.parametrize("codec", [MU_LAW, A_LAW])
def test_every_code_survives_decoding_and_encoding(codec: G711) -> None:
    again = codec.encode(codec.decode(ALL_CODES))

    # mu-law has two zeros; the negative one is never sent.
    assert again == ALL_CODES.replace(b"\x7f", b"\xff") if codec is MU_LAW else again == ALL_CODES


@pytest.mark.parametrize(("codec", "smallest_step"), [(MU_LAW, 8), (A_LAW, 16)])
def test_error_is_at_most_half_a_step(codec: G711, smallest_step: int) -> None:
    decoded = codec.decode(codec.encode(ALL_SAMPLES)).astype(np.int32)
    within = np.abs(ALL_SAMPLES.astype(np.int32)) < 31_000
    error = np.abs(decoded - ALL_SAMPLES)[within]
    magnitude = np.abs(ALL_SAMPLES.astype(np.int32))[within]

    # Sixteen steps a segment, and each segment doubles: a step is at most a sixteenth of the value and the bias.
    assert np.all(error <= np.maximum(smallest_step / 2 + 4, (magnitude + 132) / 32 + 4))


@pytest.mark.parametrize(("codec", "code"), [(MU_LAW, 0xFF), (A_LAW, 0xD5)])
def test_silence_is_the_code_of_zero(codec: G711, code: int) -> None:
    assert codec.silence == code
    assert codec.encode(np.zeros(160, np.int16)) == bytes([code]) * 160


@pytest.mark.parametrize("codec", [MU_LAW, A_LAW])
def test_louder_is_never_coded_softer(codec: G711) -> None:
    decoded = codec.decode(codec.encode(ALL_SAMPLES)).astype(np.int32)

    assert np.all(np.diff(decoded) >= 0)


def test_laws_agree_with_the_standard_library() -> None:
    audioop = pytest.importorskip("audioop")

    assert MU_LAW.decode(ALL_CODES).tobytes() == audioop.ulaw2lin(ALL_CODES, 2)
    assert A_LAW.decode(ALL_CODES).tobytes() == audioop.alaw2lin(ALL_CODES, 2)
    assert A_LAW.encode(ALL_SAMPLES) == audioop.lin2alaw(ALL_SAMPLES.tobytes(), 2)
    assert MU_LAW.encode(ALL_SAMPLES[32_768:]) == audioop.lin2ulaw(ALL_SAMPLES[32_768:].tobytes(), 2)
