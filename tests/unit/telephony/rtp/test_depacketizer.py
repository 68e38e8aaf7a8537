from __future__ import annotations

import pytest

from telephony.audio.opus import OpusEncoder
from telephony.audio.playout import Conceal, Decode, Noise, Silence
from telephony.rtp.codec import CODECS
from telephony.rtp.decoder import Decoder
from telephony.rtp.depacketizer import CodedFrame, Depacketizer
from telephony.rtp.packet import RtpPacket

A_LAW, MU_LAW = CODECS["PCMA"], CODECS["PCMU"]


def depacketizer() -> Depacketizer:
    return Depacketizer(A_LAW, playout_min_ms=20, playout_max_ms=200)


def run(ours: Depacketizer, *, ptime_ms: int, count: int, lost: int | None = None) -> list[CodedFrame]:
    """Pull every 20 ms while packets of numbered bytes arrive; as many frames as were sent."""
    size, sent, frames = ptime_ms * 8, 0, []
    for tick in range(count * ptime_ms // 20 + 3):
        while sent < count and sent * ptime_ms <= tick * 20:
            if sent != lost:
                payload = b"".join(bytes([sent * ptime_ms // 10 + n]) * 80 for n in range(ptime_ms // 10))
                ours.insert(RtpPacket(8, sent, sent * size, 1, payload), now=sent * ptime_ms / 1000)
            sent += 1
        frames.append(ours.pull(now=tick * 0.02 + 0.001, quiet=False, media_time_ms=tick * 20))
    return frames


def heard(frames: list[CodedFrame]) -> bytes:
    """One byte for each 10 ms played."""
    played = b"".join(action.payload for frame in frames for action in frame.actions if isinstance(action, Decode))
    return played[::80]


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_any_packet_time_comes_out_whole_in_frames_of_20_ms(ptime_ms: int) -> None:
    ours = depacketizer()
    frames = run(ours, ptime_ms=ptime_ms, count=12)

    assert heard(frames) == bytes(range(12 * ptime_ms // 10))[: len(heard(frames))]
    assert len(heard(frames)) >= 12 * ptime_ms // 10 - 2
    halves = ptime_ms in {10, 30}
    assert {len(frame.actions) for frame in frames[3:]} == {2 if halves else 1}


def test_frames_tell_their_law_and_time() -> None:
    ours = depacketizer()
    ours.agree(MU_LAW)

    frame = ours.pull(now=0.0, quiet=True, media_time_ms=140)

    assert frame == CodedFrame(MU_LAW, (Silence(),), 140)


def test_a_lost_packet_is_to_be_concealed() -> None:
    ours = depacketizer()
    frames = run(ours, ptime_ms=20, count=20, lost=10)

    assert sum(isinstance(action, Conceal) for frame in frames[3:15] for action in frame.actions) == 1
    assert ours.delay_ms <= 45


def test_quiet_frames_are_where_the_delay_shrinks() -> None:
    ours = depacketizer()
    run(ours, ptime_ms=20, count=20)
    for number in range(20, 30):  # a second late: the path stood still
        ours.insert(RtpPacket(8, number, number * 160, 1, b"x" * 160), now=0.56)

    frames = [ours.pull(now=0.561 + 0.02 * tick, quiet=True, media_time_ms=0) for tick in range(4)]

    assert any(isinstance(action, Decode) and action.merge is not None for frame in frames for action in frame.actions)


def test_another_stream_begins_at_once() -> None:
    ours = depacketizer()
    run(ours, ptime_ms=20, count=20)
    ours.restart()
    ours.insert(RtpPacket(8, 9_000, 7, 2, b"y" * 160), now=1.0)
    ours.insert(RtpPacket(8, 9_001, 167, 2, b"z" * 160), now=1.02)

    frames = [ours.pull(now=1.021 + 0.02 * tick, quiet=False, media_time_ms=0) for tick in range(2)]

    assert heard(frames) == b"yyzz"


def test_figures_survive_a_change_of_the_packet_time() -> None:
    ours = depacketizer()
    run(ours, ptime_ms=20, count=20, lost=10)
    ours.insert(RtpPacket(8, 10, 1_600, 1, b"x" * 160), now=0.4)
    concealed_ms, late = ours.concealed_ms, ours.late
    assert concealed_ms >= 20
    assert late == 1

    ours.insert(RtpPacket(8, 60, 60 * 160, 1, b"\xd5" * 80), now=1.2)

    assert (ours.concealed_ms, ours.late) == (concealed_ms, late)


def opus_packets(packet_ms: int, count: int) -> list[bytes]:
    encoder = OpusEncoder(24_000)
    return [encoder.encode(bytes(48 * packet_ms)) for _ in range(count)]


@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
def test_opus_packets_of_any_duration_come_out_in_time(packet_ms: int) -> None:
    ours = Depacketizer(CODECS["opus"], playout_min_ms=20, playout_max_ms=200)
    packets = opus_packets(packet_ms, 1_200 // packet_ms)
    frames: list[CodedFrame] = []
    sent = 0
    for tick in range(60):
        while sent < len(packets) and sent * packet_ms <= tick * 20:
            packet = RtpPacket(111, sent, sent * packet_ms * 48, 1, packets[sent])
            ours.insert(packet, now=sent * packet_ms / 1000)
            sent += 1
        frames.append(ours.pull(now=tick * 0.02 + 0.001, quiet=False, media_time_ms=tick * 20))

    decoded = [action for frame in frames for action in frame.actions if isinstance(action, Decode)]
    assert len(decoded) * packet_ms >= 1_200 - 3 * packet_ms - 40
    assert {frame.action_ms for frame in frames[10:]} == {packet_ms}
    assert sum(len(frame.actions) for frame in frames[10:]) == pytest.approx(50 * 20 / packet_ms, abs=1)


def test_opus_that_is_none_is_counted_and_one_odd_duration_changes_nothing() -> None:
    ours = Depacketizer(CODECS["opus"], playout_min_ms=20, playout_max_ms=200)
    ours.insert(RtpPacket(111, 0, 0, 1, opus_packets(60, 1)[0]), now=0.0)
    ours.insert(RtpPacket(111, 1, 2_880, 1, b""), now=0.0)
    ours.insert(RtpPacket(111, 2, 2_880, 1, b"\x03"), now=0.0)
    ours.insert(RtpPacket(111, 3, 2_880, 1, opus_packets(20, 1)[0]), now=0.06)

    assert ours.malformed == 2
    assert ours.pull(now=0.06, quiet=True, media_time_ms=0).action_ms == 20


def test_opus_of_no_whole_number_of_ms_is_refused_for_its_losses_could_not_be_concealed() -> None:
    ours = Depacketizer(CODECS["opus"], playout_min_ms=20, playout_max_ms=200)
    packet = bytes([16 << 3 | 3, 3, *bytes(60)])  # three frames of 2.5 ms
    decoder = Decoder()
    for number in (0, 1, 2, 4, 5, 6):
        ours.insert(RtpPacket(111, number, number * 360, 1, packet), now=number * 0.0075)

    frames = [ours.pull(now=0.06 + tick * 0.02, quiet=False, media_time_ms=tick * 20) for tick in range(5)]

    assert ours.malformed == 6
    assert {len(decoder.decode(frame)) for frame in frames} == {320}


def test_another_codec_begins_a_new_stream_and_keeps_the_figures() -> None:
    ours = depacketizer()
    run(ours, ptime_ms=20, count=20, lost=10)
    concealed_ms = ours.concealed_ms

    ours.agree(CODECS["G722"])
    ours.agree(CODECS["G722"])

    assert ours.concealed_ms == concealed_ms
    assert ours.pull(now=1.0, quiet=True, media_time_ms=0) == CodedFrame(CODECS["G722"], (Silence(),), 0)


def test_comfort_noise_is_told_as_such_whatever_its_size() -> None:
    ours = depacketizer()
    run(ours, ptime_ms=20, count=10)
    ours.insert(RtpPacket(13, 10, 1_600, 1, b"\x40"), now=0.2, is_noise=True)

    frames = [ours.pull(now=0.26 + 0.02 * tick, quiet=True, media_time_ms=0) for tick in range(5)]

    actions = [action for frame in frames for action in frame.actions]
    assert Noise(b"\x40") in actions
    assert Conceal() not in actions
