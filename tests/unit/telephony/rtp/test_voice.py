from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.audio.g722 import G722Decoder, G722Encoder
from telephony.audio.opus import OpusEncoder
from telephony.audio.playout import Conceal, Decode, Silence
from telephony.rtp.voice import OpusVoice, WaveformVoice


def tone(rate: int, frames: int) -> NDArray[np.int16]:
    return np.rint(8_000 * np.sin(2 * np.pi * 440 * np.arange(rate // 50 * frames) / rate)).astype(np.int16)


def opus_packets(frames: int) -> list[bytes]:
    encoder = OpusEncoder(24_000)
    encoder.expect_loss(20)
    return [encoder.encode(frame.tobytes()) for frame in tone(24_000, frames).reshape(frames, -1)]


def rms(samples: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


def test_opus_conceals_and_recovers_a_missing_frame_at_its_level() -> None:
    packets = opus_packets(30)
    for missing in (Conceal(), Conceal(packets[21])):
        voice = OpusVoice(16_000)
        sounds = [voice.sound(Decode(packet), 320) for packet in packets[:20]]
        sounds.append(voice.sound(missing, 320))
        sounds += [voice.sound(Decode(packet), 320) for packet in packets[21:]]

        assert {len(sound) for sound in sounds} == {320}
        assert rms(sounds[20]) > 3_000
        assert not voice.is_silent


def test_opus_is_silent_in_pauses_and_before_the_first_packet() -> None:
    voice = OpusVoice(16_000)
    assert voice.is_silent
    voice.sound(Decode(opus_packets(1)[0]), 320)

    assert not voice.sound(Silence(), 320).any()
    assert voice.is_silent


def test_opus_fades_two_frames_into_one_if_they_are_equally_long() -> None:
    packets = opus_packets(4)
    voice = OpusVoice(16_000)
    voice.sound(Decode(packets[0]), 320)

    assert len(voice.sound(Decode(packets[2], merge=packets[1]), 320)) == 320
    short = OpusEncoder(24_000).encode(tone(24_000, 1)[:240].tobytes())
    assert len(voice.sound(Decode(packets[3], merge=short), 320)) == 320


def test_a_packet_that_is_not_opus_is_concealed() -> None:
    voice = OpusVoice(16_000)

    assert len(voice.sound(Decode(b"\xff\xff"), 320)) == 320


def test_g722_decodes_merged_frames_in_their_order() -> None:
    encoder = G722Encoder()
    payloads = [encoder.encode(frame) for frame in tone(16_000, 10).reshape(10, -1)]
    voice = WaveformVoice(G722Decoder().decode, 16_000)
    sounds = [voice.sound(Decode(payload), 320) for payload in payloads[:6]]
    sounds.append(voice.sound(Decode(payloads[7], merge=payloads[6]), 320))
    sounds.append(voice.sound(Decode(payloads[8]), 320))

    steps = np.abs(np.diff(np.concatenate(sounds).astype(int)))
    assert steps[640:].max() < 1.4 * steps[320:1_600].max()


def test_g711_and_g722_bridge_a_gap_and_decode_the_frame_behind_it_once() -> None:
    calls: list[bytes] = []

    def decode(payload: bytes) -> NDArray[np.int16]:
        calls.append(payload)
        return np.frombuffer(payload, np.int16)

    frames = [frame.tobytes() for frame in tone(8_000, 12).reshape(12, -1)]
    voice = WaveformVoice(decode, 8_000)
    sounds = [voice.sound(Decode(frame), 160) for frame in frames[:8]]
    sounds += [voice.sound(Conceal(frames[9]), 160), voice.sound(Decode(frames[9]), 160)]

    assert calls == [*frames[:8], frames[9]]
    assert np.abs(np.diff(np.concatenate(sounds).astype(int))).max() < 4_000
