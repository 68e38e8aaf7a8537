from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from telephony.audio.frame import samples_of
from telephony.audio.g711 import A_LAW, MU_LAW
from telephony.leg import INPUT_FRAME_BYTES
from telephony.rtp.depacketizer import Depacketizer
from telephony.rtp.packet import RtpPacket


def tone(seconds: float = 2.0) -> NDArray[np.int16]:
    at_s = np.arange(round(8_000 * seconds)) / 8_000
    return np.rint(8_000 * np.sin(2 * np.pi * 440 * at_s)).astype(np.int16)


def listen(
    ours: Depacketizer, *, ptime_ms: int = 20, lost: set[int] | None = None, seconds: float = 1.5
) -> NDArray[np.int16]:
    """Hear a tone sent in packets of `ptime_ms`, played on for `seconds`."""
    codes, size, tick = ours.codec.encode(tone()), ptime_ms * 8, 0
    heard: list[NDArray[np.int16]] = []
    sent = 0
    while tick * 0.02 < seconds:
        now = tick * 0.02
        while sent * ptime_ms / 1000 + ptime_ms / 1000 <= now:
            if sent not in (lost or set()):
                payload = codes[sent * size : (sent + 1) * size]
                ours.insert(RtpPacket(8, sent, sent * size, 1, payload), now=(sent + 1) * ptime_ms / 1000)
            sent += 1
        pcm = ours.pull(now=now + 0.005)
        assert len(pcm) == INPUT_FRAME_BYTES
        heard.append(samples_of(pcm))
        tick += 1
    return np.concatenate(heard)


def rms(samples: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def depacketizer(law: object = A_LAW) -> Depacketizer:
    assert law in (A_LAW, MU_LAW)
    return Depacketizer(A_LAW if law is A_LAW else MU_LAW, playout_min_ms=20, playout_max_ms=200)


@pytest.mark.parametrize("law", [A_LAW, MU_LAW])
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_tone_is_heard_whole_at_any_packet_time(law: object, ptime_ms: int) -> None:
    ours = depacketizer(law)
    heard = listen(ours, ptime_ms=ptime_ms)[8_000:]

    at_s = np.arange(len(heard)) / 16_000
    basis = np.stack([np.cos(2 * np.pi * 440 * at_s), np.sin(2 * np.pi * 440 * at_s)], axis=1)
    fitted, *_ = np.linalg.lstsq(basis, heard.astype(np.float64), rcond=None)

    assert np.hypot(*fitted) == pytest.approx(8_000, rel=0.02)
    assert rms((heard - basis @ fitted).astype(np.int16)) < 150  # quantisation of G.711
    assert ours.concealed_ms == 0


def test_before_the_first_packet_there_is_silence() -> None:
    assert depacketizer().pull(now=0.0) == bytes(INPUT_FRAME_BYTES)


@pytest.mark.parametrize("ptime_ms", [20, 30])
def test_a_lost_packet_is_concealed(ptime_ms: int) -> None:
    ours = depacketizer()
    heard = listen(ours, ptime_ms=ptime_ms, lost={20})

    assert ours.concealed_ms == ptime_ms
    levels = [rms(heard[start : start + 320]) for start in range(8_000, 20_000, 320)]
    assert min(levels) > 0.6 * 8_000 / np.sqrt(2)


def test_sound_fades_out_when_packets_stop_and_then_there_is_silence() -> None:
    ours = depacketizer()
    heard = listen(ours, lost=set(range(50, 200)), seconds=1.5)

    assert rms(heard[: 16_000 + 320]) > 3_000
    assert not heard[-4_000:].any()


def test_delay_grown_by_a_spike_is_taken_back_by_merging_frames() -> None:
    ours, codes = depacketizer(), A_LAW.encode(tone(8.0))
    for tick in range(400):
        if tick == 57:
            numbers = range(50, 58)
        elif tick in range(50, 57):
            numbers = range(0)
        else:
            numbers = range(tick, tick + 1)
        for number in numbers:
            payload = codes[number * 160 : (number + 1) * 160]
            ours.insert(RtpPacket(8, number, number * 160, 1, payload), now=tick * 0.02)
        pcm = ours.pull(now=tick * 0.02 + 0.005)
        if tick > 80:
            assert rms(samples_of(pcm)) > 1_000
        if tick == 60:
            assert ours.stats().delay_ms > 100

    assert ours.stats().delay_ms <= 45
    assert ours.stats().merged_ms >= 60


def test_another_stream_begins_at_once() -> None:
    ours = depacketizer()
    listen(ours, seconds=0.5)
    ours.restart()
    for number in range(5):
        ours.insert(RtpPacket(8, 9_000 + number, 7 + number * 160, 2, b"\x2a" * 160), now=1.0 + number * 0.02)

    heard = [samples_of(ours.pull(now=1.03 + tick * 0.02)) for tick in range(4)]

    assert any(rms(frame) > 20_000 for frame in heard)


def test_figures_survive_a_change_of_the_packet_time() -> None:
    ours = depacketizer()
    listen(ours, lost={20}, seconds=1.0)
    concealed_ms = ours.concealed_ms
    assert concealed_ms == 20

    ours.insert(RtpPacket(8, 60, 60 * 160, 1, b"\xd5" * 80), now=1.2)

    assert ours.concealed_ms == concealed_ms
    assert ours.late == 0
