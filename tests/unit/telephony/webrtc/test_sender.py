from __future__ import annotations

import numpy as np

from telephony.audio.opus import OpusDecoder
from telephony.audio.opus_memory import PacketMemory
from telephony.leg import OUTPUT_FRAME_BYTES
from telephony.rtp.packet import RtpPacket, parse_rtp
from telephony.webrtc.sender import OpusSender

SPEECH = (6000 * np.sin(2 * np.pi * 300 * np.arange(480) / 24_000)).astype("<i2").tobytes()


def sender(*, sequence: int = 10, timestamp: int = 1000, memory: PacketMemory | None = None) -> OpusSender:
    memory = PacketMemory(packets=1000) if memory is None else memory
    return OpusSender(ssrc=7, payload_type=111, sequence=sequence, timestamp=timestamp, memory=memory)


def packets(made: OpusSender, *frames: bytes | None) -> list[RtpPacket]:
    return [parse_rtp(made.packet(frame)) for frame in frames]


def test_packets_are_numbered_and_timed_by_20_ms_of_48_khz() -> None:
    sent = packets(sender(), SPEECH, None, SPEECH)
    assert [(p.sequence, p.timestamp) for p in sent] == [(10, 1000), (11, 1960), (12, 2920)]
    assert {(p.ssrc, p.payload_type) for p in sent} == {(7, 111)}


def test_numbers_and_times_wrap() -> None:
    sent = packets(sender(sequence=0xFFFF, timestamp=0xFFFFFFFF), SPEECH, SPEECH)
    assert (sent[1].sequence, sent[1].timestamp) == (0, 959)


def test_the_first_packet_and_the_first_after_a_gap_are_marked() -> None:
    made = sender()
    first, second = packets(made, SPEECH, SPEECH)
    made.skip(0)
    (third,) = packets(made, SPEECH)
    made.skip(3)
    (fourth,) = packets(made, SPEECH)
    assert [p.marker for p in (first, second, third, fourth)] == [True, False, False, True]
    assert fourth.timestamp - third.timestamp == 4 * 960
    assert fourth.sequence == third.sequence + 1


def test_time_skipped_wraps_too() -> None:
    made = sender(timestamp=0xFFFFFFFF)
    made.skip(1)
    assert made.timestamp == 959


def test_long_silence_is_one_payload_again_and_again_and_sounds_silent() -> None:
    made, decoder = sender(), OpusDecoder(16_000)
    sent = packets(made, SPEECH, *[None] * 100)
    assert len({p.payload for p in sent[11:]}) == 1
    heard = [decoder.decode(p.payload) for p in sent]
    assert np.abs(np.frombuffer(b"".join(heard[20:]), "<i2")).max() <= 2


def test_speech_after_silence_is_coded_anew_and_so_is_the_next_silence() -> None:
    made = sender()
    packets(made, *[None] * 20)
    speech, first, second = packets(made, SPEECH, None, None)
    assert len(speech.payload) > 40
    assert first.payload != second.payload


def test_what_is_said_after_a_silence_is_encoded_once_for_all_calls() -> None:
    memory = PacketMemory(packets=1000)
    first, second = sender(memory=memory), sender(memory=memory)
    said = packets(first, *[None] * 20, SPEECH, SPEECH)
    packets(second, *[SPEECH] * 5, *[None] * 10)  # it has said something else before
    kept = len(memory)
    again = packets(second, *[None] * 10, SPEECH, SPEECH)
    assert [p.payload for p in again[-2:]] == [p.payload for p in said[-2:]]
    assert len(memory) == kept


def test_what_was_sent_is_counted_as_rtcp_wants_it() -> None:
    made = sender()
    sent = packets(made, SPEECH, None)
    assert (made.packets, made.octets) == (2, sum(len(p.payload) for p in sent))


def test_loss_told_by_the_far_side_makes_packets_carry_fec() -> None:
    plain, careful = sender(), sender()
    careful.expect_loss(20)
    buzz = [
        (3000 * sum(np.sin(2 * np.pi * 120 * n * at) / n for n in range(1, 20))).astype("<i2").tobytes()
        for at in (np.arange(k * 480, (k + 1) * 480) / 24_000 for k in range(30))
    ]
    without, with_fec = packets(plain, *buzz), packets(careful, *buzz)
    deaf, helped = OpusDecoder(16_000), OpusDecoder(16_000)
    made_up = deaf.recover(without[10].payload, 320)
    recovered = helped.recover(with_fec[10].payload, 320)
    assert np.abs(np.frombuffer(recovered, "<i2")).max() > 4 * max(1, np.abs(np.frombuffer(made_up, "<i2")).max())


def test_a_frame_is_20_ms_at_24_khz() -> None:
    assert len(SPEECH) == OUTPUT_FRAME_BYTES
    made = sender()
    made.close()
