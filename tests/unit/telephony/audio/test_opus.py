from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from telephony.audio import opus
from telephony.audio.opus import OpusDecoder, OpusEncoder, OpusNotFoundError, find_library, packet_ms
from telephony.errors import RemoteProtocolError

FRAME = 480  # 20 ms at 24 kHz
HEARD = 320  # 20 ms at 16 kHz


def tone(hertz: float, frames: int, rate: int = 24_000, level: int = 8000) -> list[bytes]:
    count = rate // 50
    samples = (level * np.sin(2 * np.pi * hertz * np.arange(frames * count) / rate)).astype("<i2")
    return [samples[start : start + count].tobytes() for start in range(0, len(samples), count)]


def vowel(frames: int) -> list[bytes]:
    """A voice-like buzz of 120 Hz with falling harmonics, which Opus codes with SILK, and so with FEC."""
    at = np.arange(frames * FRAME) / 24_000
    sound = sum(np.sin(2 * np.pi * 120 * n * at) / n for n in range(1, 20))
    sound *= 3000 * (1 + 0.5 * np.sin(2 * np.pi * 3 * at))
    samples = sound.astype("<i2")
    return [samples[start : start + FRAME].tobytes() for start in range(0, len(samples), FRAME)]


def samples_of(pcm: bytes) -> NDArray[np.float64]:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def rms(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(samples_of(pcm) ** 2)))


def frequency(pcm: bytes, rate: int) -> float:
    samples = samples_of(pcm) * np.hanning(len(pcm) // 2)
    return float(np.argmax(np.abs(np.fft.rfft(samples, 1 << 16))) * rate / (1 << 16))


def test_a_tone_at_24_khz_comes_out_at_16_khz_with_its_pitch_and_level() -> None:
    encoder, decoder = OpusEncoder(24_000), OpusDecoder(16_000)
    heard = b"".join(decoder.decode(encoder.encode(frame)) for frame in tone(440, 50))
    assert len(heard) == 50 * HEARD * 2
    assert frequency(heard[6400:], 16_000) == pytest.approx(440, abs=2)
    assert rms(heard[6400:]) == pytest.approx(8000 / np.sqrt(2), rel=0.1)


def test_coding_delays_the_sound_by_less_than_8_ms() -> None:
    encoder, decoder = OpusEncoder(24_000), OpusDecoder(16_000)
    frames = [bytes(FRAME * 2)] * 25 + tone(440, 25)
    heard = samples_of(b"".join(decoder.decode(encoder.encode(frame)) for frame in frames))
    onset_ms = int(np.argmax(np.abs(heard) > 2000)) / 16
    assert 500 <= onset_ms < 508


def test_a_packet_says_how_long_it_is() -> None:
    packet = OpusEncoder(24_000).encode(bytes(FRAME * 2))
    assert packet_ms(packet) == 20
    double = OpusEncoder(24_000).encode(bytes(FRAME * 4))
    assert packet_ms(double) == 40


@pytest.mark.parametrize("frame_units", [1, 3])
def test_a_packet_of_no_whole_number_of_ms_has_none(frame_units: int) -> None:
    head = b"\xe3" + bytes([frame_units])  # CELT frames of 2.5 ms, as many as the second byte says
    assert packet_ms(head + bytes(3 * frame_units)) == 0
    assert packet_ms(b"\xe3\x02" + bytes(6)) == 5


@pytest.mark.parametrize("junk", [b"", b"\xff", b"\xff\xff\xff"])
def test_what_is_no_opus_packet_has_no_length(junk: bytes) -> None:
    assert packet_ms(junk) == 0


def test_a_damaged_packet_is_refused_and_the_decoder_goes_on() -> None:
    encoder, decoder = OpusEncoder(24_000), OpusDecoder(16_000)
    packets = [encoder.encode(frame) for frame in tone(440, 20)]
    for packet in packets[:10]:
        decoder.decode(packet)
    with pytest.raises(RemoteProtocolError, match="not an Opus packet"):
        decoder.decode(b"\xff\xff\xff")
    assert len(decoder.decode(packets[10])) == HEARD * 2


def test_a_lost_frame_is_concealed_at_the_level_before_it_and_a_long_loss_fades() -> None:
    encoder, decoder = OpusEncoder(24_000), OpusDecoder(16_000)
    for frame in vowel(25):
        before = decoder.decode(encoder.encode(frame))
    made_up = [decoder.conceal(HEARD) for _ in range(30)]
    assert all(len(frame) == HEARD * 2 for frame in made_up)
    assert rms(made_up[0]) > rms(before) / 2
    assert rms(made_up[-1]) < rms(before) / 50


def test_fec_gives_a_lost_frame_back_from_the_packet_after_it() -> None:
    """Speech starts in the frame that is lost: concealment cannot know of it, FEC does."""
    encoder, with_fec, without = OpusEncoder(24_000), OpusDecoder(16_000), OpusDecoder(16_000)
    encoder.expect_loss(20)
    frames = [bytes(FRAME * 2)] * 25 + vowel(10)
    packets = [encoder.encode(frame) for frame in frames]
    for packet in packets[:25]:
        with_fec.decode(packet)
        without.decode(packet)
    recovered = with_fec.recover(packets[26], HEARD)
    concealed = without.conceal(HEARD)
    sent = samples_of(frames[25])
    assert len(recovered) == HEARD * 2
    assert rms(recovered) > 2 * rms(concealed)
    assert rms(recovered) == pytest.approx(float(np.sqrt(np.mean(sent**2))), rel=0.5)


def test_a_reset_decoder_conceals_with_silence() -> None:
    encoder, decoder = OpusEncoder(24_000), OpusDecoder(16_000)
    for frame in vowel(10):
        decoder.decode(encoder.encode(frame))
    decoder.reset()
    assert rms(decoder.conceal(HEARD)) < 1


def test_a_silent_packet_sent_again_and_again_stays_silent_and_the_next_sound_is_whole() -> None:
    encoder, decoder = OpusEncoder(24_000), OpusDecoder(16_000)
    for frame in vowel(10):
        decoder.decode(encoder.encode(frame))
    for _ in range(10):
        silent = encoder.encode(bytes(FRAME * 2))
    heard = [decoder.decode(silent) for _ in range(200)]
    assert max(map(rms, heard[10:])) < 1
    again = b"".join(decoder.decode(encoder.encode(frame)) for frame in vowel(5))
    fresh, fresh_decoder = OpusEncoder(24_000), OpusDecoder(16_000)
    whole = b"".join(fresh_decoder.decode(fresh.encode(frame)) for frame in [bytes(FRAME * 2)] * 10 + vowel(5))
    assert rms(again) == pytest.approx(rms(whole[10 * HEARD * 2 :]), rel=0.1)


def test_a_frame_of_no_opus_size_is_refused() -> None:
    with pytest.raises(ValueError, match="100 bytes are no Opus frame"):
        OpusEncoder(24_000).encode(bytes(100))


def test_rates_that_opus_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="44100"):
        OpusDecoder(44_100)
    with pytest.raises(ValueError, match="44100"):
        OpusEncoder(44_100)


def test_a_setting_that_opus_refuses_is_named() -> None:
    with pytest.raises(ValueError, match="4010=11"):
        OpusEncoder(24_000, complexity=11)


def test_loss_beyond_a_hundred_percent_is_taken_as_all() -> None:
    encoder = OpusEncoder(24_000)
    encoder.expect_loss(250)
    encoder.expect_loss(-1)
    assert encoder.encode(bytes(FRAME * 2))


def test_closing_twice_is_closing_once() -> None:
    encoder, decoder = OpusEncoder(24_000), OpusDecoder(16_000)
    for codec in (encoder, decoder):
        codec.close()
        codec.close()
    with pytest.raises(AttributeError):  # it has nothing to encode with, and does not touch what was freed
        encoder.encode(bytes(FRAME * 2))
    with pytest.raises(AttributeError):
        decoder.decode(b"\xf8")


@pytest.mark.parametrize(
    ("platform", "file"),
    [
        ("linux", "av.libs/libopus-114e2b1a.so.0.11.1"),
        ("darwin", "av/.dylibs/libopus.0.dylib"),
        ("win32", "av.libs/libopus-0-1a2b.dll"),
    ],
)
def test_the_library_of_pyavs_wheel_is_found(tmp_path: Path, platform: str, file: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    assert find_library(tmp_path / "av", platform) == str(tmp_path / file)


def test_the_systems_library_is_the_second_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus.ctypes.util, "find_library", lambda name: f"lib{name}.so.0")
    assert find_library(tmp_path / "av", "linux") == "libopus.so.0"


def test_without_any_library_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus.ctypes.util, "find_library", lambda _: None)
    with pytest.raises(OpusNotFoundError, match="libopus0 package"):
        find_library(tmp_path / "av", "linux")
