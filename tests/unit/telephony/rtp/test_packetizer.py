from __future__ import annotations

import numpy as np
import pytest

from telephony.audio.frame import pcm_of
from telephony.audio.g711 import A_LAW, MU_LAW
from telephony.leg import OUTPUT_FRAME_BYTES
from telephony.rtp.packetizer import Packetizer


def tone_frames(count: int) -> list[bytes]:
    at_s = np.arange(480 * count) / 24_000
    pcm = pcm_of(np.rint(8_000 * np.sin(2 * np.pi * 1_000 * at_s)).astype(np.int16))
    return [pcm[start : start + OUTPUT_FRAME_BYTES] for start in range(0, len(pcm), OUTPUT_FRAME_BYTES)]


@pytest.mark.parametrize(("ptime_ms", "size"), [(10, 80), (20, 160), (30, 240), (40, 320), (50, 400), (60, 480)])
def test_payloads_have_the_packet_time_agreed_and_join_to_the_same_sound(ptime_ms: int, size: int) -> None:
    frames = tone_frames(60)
    ours, plain = Packetizer(A_LAW, ptime_ms=ptime_ms), Packetizer(A_LAW)

    payloads = [payload for frame in frames for payload in ours.feed(frame)]

    assert {len(payload) for payload in payloads} == {size}
    assert b"".join(payloads) == b"".join(payload for frame in frames for payload in plain.feed(frame))


@pytest.mark.parametrize("ptime_ms", [0, 5, 25, 100])
def test_other_packet_times_count_as_20_ms(ptime_ms: int) -> None:
    assert [len(payload) for payload in Packetizer(A_LAW, ptime_ms=ptime_ms).feed(None)] == [160]


def test_tone_arrives_at_8_khz() -> None:
    ours = Packetizer(MU_LAW)
    samples = MU_LAW.decode(b"".join(payload for frame in tone_frames(50) for payload in ours.feed(frame)))

    spectrum = np.abs(np.fft.rfft(samples[800:7_200].astype(np.float64))) / 3_200

    assert np.argmax(spectrum) == 800
    assert spectrum.max() == pytest.approx(8_000, rel=0.02)


@pytest.mark.parametrize("law", [A_LAW, MU_LAW])
def test_silence_is_sent_as_the_code_of_zero_without_a_click_after_speech(law: object) -> None:
    assert law in (A_LAW, MU_LAW)
    codec = A_LAW if law is A_LAW else MU_LAW
    ours = Packetizer(codec)
    for frame in tone_frames(5):
        ours.feed(frame)

    tail, after = ours.feed(None)[0], ours.feed(None)[0]

    assert codec.decode(tail)[:20].any()
    assert after == bytes([codec.silence]) * 160


def test_flush_gives_what_is_no_whole_packet_yet() -> None:
    ours = Packetizer(A_LAW, ptime_ms=60)
    ours.feed(None)
    ours.feed(None)

    assert len(ours.flush()) == 320
    assert ours.flush() == b""


def test_another_agreement_takes_effect_with_the_next_packet() -> None:
    ours = Packetizer(A_LAW, ptime_ms=40)
    assert ours.feed(None) == []

    ours.agree(MU_LAW, ptime_ms=20)

    assert ours.feed(None) == [b"\xff" * 160]
