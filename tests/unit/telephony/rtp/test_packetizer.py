from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from telephony.audio import g711, opus
from telephony.audio.frame import pcm_of
from telephony.rtp.codec import CODECS, Codec
from telephony.rtp.packetizer import Kind, Packetizer, Payload

A_LAW, MU_LAW = CODECS["PCMA"], CODECS["PCMU"]
FRAME_BYTES = 320


def tone() -> NDArray[np.int16]:
    return np.rint(8_000 * np.sin(2 * np.pi * 440 * np.arange(9_600) / 8_000)).astype(np.int16)


def frames() -> list[bytes]:
    pcm = pcm_of(tone())
    return [pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES)]


@pytest.mark.parametrize("law", [A_LAW, MU_LAW])
@pytest.mark.parametrize(("ptime_ms", "size"), [(10, 80), (20, 160), (30, 240), (40, 320), (50, 400), (60, 480)])
def test_payloads_have_the_packet_time_agreed_and_join_to_the_same_sound(law: Codec, ptime_ms: int, size: int) -> None:
    ours = Packetizer(law, ptime_ms=ptime_ms)

    payloads = [payload.data for frame in frames() for payload in ours.feed(frame)]

    assert {len(payload) for payload in payloads} == {size}
    assert b"".join(payloads) == law.encoder().encode(tone())


@pytest.mark.parametrize("ptime_ms", [0, 5, 25, 100])
def test_other_packet_times_count_as_20_ms(ptime_ms: int) -> None:
    assert [len(payload.data) for payload in Packetizer(A_LAW, ptime_ms=ptime_ms).feed(None)] == [160]


@pytest.mark.parametrize("law", [A_LAW, MU_LAW])
def test_silence_is_the_code_of_zero(law: Codec) -> None:
    assert [payload.data for payload in Packetizer(law).feed(None)] == [law.encoder().encode(np.zeros(160, np.int16))]


@pytest.mark.parametrize("cut", [0, 3, 7, 11])
def test_sound_that_is_cut_off_fades_out_within_5_ms(cut: int) -> None:
    ours = Packetizer(MU_LAW)
    sound = [ours.feed(frame)[0].data for frame in frames()[: cut + 1]]

    tail, after = ours.feed(None)[0].data, ours.feed(None)[0].data

    heard = g711.MU_LAW.decode(b"".join([*sound, tail])).astype(np.int32)
    assert np.abs(np.diff(heard)).max() < 1.2 * np.abs(np.diff(tone().astype(np.int32))).max()
    assert g711.MU_LAW.decode(tail)[:40].any()
    assert tail[40:] == b"\xff" * 120
    assert after == b"\xff" * 160


def test_flush_gives_what_is_no_whole_packet_yet() -> None:
    ours = Packetizer(A_LAW, ptime_ms=60)
    ours.feed(None)
    ours.feed(None)

    assert [len(payload.data) for payload in ours.flush()] == [320]
    assert ours.flush() == []


def test_another_agreement_takes_effect_with_the_next_packet() -> None:
    ours = Packetizer(A_LAW, ptime_ms=40)
    assert ours.feed(None) == []

    ours.agree(MU_LAW, ptime_ms=20)

    assert [payload.data for payload in ours.feed(None)] == [b"\xff" * 160]


@pytest.mark.parametrize(("ptime_ms", "packet_ms"), [(10, 10), (20, 20), (30, 20), (40, 40), (50, 40), (60, 60)])
def test_opus_packets_last_what_opus_can(ptime_ms: int, packet_ms: int) -> None:
    ours = Packetizer(CODECS["opus"], ptime_ms=ptime_ms)
    frame = pcm_of(np.rint(8_000 * np.sin(np.arange(480) / 10)).astype(np.int16))

    payloads = [payload for _ in range(12) for payload in ours.feed(frame)]

    assert {payload.duration for payload in payloads} == {48 * packet_ms}
    assert {opus.packet_ms(payload.data) for payload in payloads} == {packet_ms}
    assert sum(payload.duration for payload in payloads) == 12 * 960


def test_lasting_silence_of_opus_is_encoded_once() -> None:
    ours = Packetizer(CODECS["opus"])

    payloads = [ours.feed(None)[0].data for _ in range(20)]

    assert len(set(payloads[11:])) == 1


def test_what_opus_has_gathered_is_flushed_as_a_shorter_packet() -> None:
    ours = Packetizer(CODECS["opus"], ptime_ms=60)
    ours.feed(None)
    ours.feed(None)

    (rest,) = ours.flush()

    assert rest.duration == 2 * 960
    assert opus.packet_ms(rest.data) == 40


def test_g722_takes_16_khz_and_its_clock_is_8() -> None:
    ours = Packetizer(CODECS["G722"], ptime_ms=30)
    payloads = [payload for _ in range(3) for payload in ours.feed(bytes(640))]

    assert [(len(payload.data), payload.duration) for payload in payloads] == [(240, 240)] * 2
    assert ours.rate_hz == 16_000
    ours.expect_loss(5)


def test_a_frame_queued_at_another_rate_is_made_to_fit() -> None:
    narrow = frames()[0]

    (payload,) = Packetizer(CODECS["G722"]).feed(narrow)

    assert len(payload.data) == 160


def test_a_rest_begins_with_what_was_gathered_and_a_word_of_noise() -> None:
    ours = Packetizer(A_LAW, ptime_ms=60)
    ours.agree(A_LAW, ptime_ms=60, comfort_noise=True)

    kinds = [[payload.kind for payload in ours.feed(None)] for _ in range(12)]

    assert kinds == [[], [], [Kind.AUDIO]] * 3 + [[], [Kind.AUDIO, Kind.NOISE], [Kind.NOTHING]]


@pytest.mark.parametrize("ptime_ms", [20, 40])
def test_companded_frames_go_out_as_they_are_and_fade_out_as_others_do(ptime_ms: int) -> None:
    plain, companded = Packetizer(A_LAW, ptime_ms=ptime_ms), Packetizer(A_LAW, ptime_ms=ptime_ms)
    expected = [payload for frame in [*frames()[:5], None, None, None] for payload in plain.feed(frame)]
    given: list[Payload] = []
    for frame in frames()[:5]:
        given += companded.feed((g711.A_LAW, g711.A_LAW.encode(np.frombuffer(frame, np.int16))))
    for _ in range(3):
        given += companded.feed(None)

    assert given[:2] == expected[:2]
    heard = [g711.A_LAW.decode(b"".join(each.data for each in one)).astype(int) for one in (given, expected)]
    assert np.abs(heard[0] - heard[1]).max() < 300  # the fade starts from what was heard, not from what was played


def test_a_frame_companded_for_the_codec_before_is_made_to_fit() -> None:
    ours = Packetizer(MU_LAW)
    sound = np.frombuffer(frames()[3], np.int16)
    (payload,) = ours.feed((g711.A_LAW, g711.A_LAW.encode(sound)))
    ours.agree(CODECS["G722"], ptime_ms=20)
    (wide,) = ours.feed((g711.MU_LAW, g711.MU_LAW.encode(sound)))

    assert np.abs(g711.MU_LAW.decode(payload.data).astype(int) - sound).max() < 600
    assert len(wide.data) == 160
