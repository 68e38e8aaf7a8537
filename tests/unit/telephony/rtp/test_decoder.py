from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from telephony.audio.opus import OpusEncoder
from telephony.audio.playout import Conceal, Decode, Noise, PlayoutAction, Silence
from telephony.rtp.codec import CODECS, Codec
from telephony.rtp.decoder import INPUT_SAMPLES, Decoder, decode_together
from telephony.rtp.depacketizer import CodedFrame

A_LAW, MU_LAW = CODECS["PCMA"], CODECS["PCMU"]


def tone(law: Codec, frames: int) -> list[bytes]:
    at_s = np.arange(160 * frames) / 8_000
    codes = law.encoder().encode(np.rint(8_000 * np.sin(2 * np.pi * 440 * at_s)).astype(np.int16))
    return [codes[start : start + 160] for start in range(0, len(codes), 160)]


def hear(actions: list[PlayoutAction], law: Codec = A_LAW) -> list[NDArray[np.int16]]:
    decoder = Decoder()
    frames = [decoder.decode(CodedFrame(law, (action,), 0)) for action in actions]
    assert {len(frame) for frame in frames} == {INPUT_SAMPLES}
    return frames


def rms(samples: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


@pytest.mark.parametrize("law", [A_LAW, MU_LAW])
def test_tone_comes_out_at_16_khz_with_its_level(law: Codec) -> None:
    heard = np.concatenate(hear([Decode(payload) for payload in tone(law, 50)], law)[10:])

    at_s = np.arange(len(heard)) / 16_000
    basis = np.stack([np.cos(2 * np.pi * 440 * at_s), np.sin(2 * np.pi * 440 * at_s)], axis=1)
    fitted, *_ = np.linalg.lstsq(basis, heard.astype(np.float64), rcond=None)

    assert np.hypot(*fitted) == pytest.approx(8_000, rel=0.02)
    assert rms((heard - basis @ fitted).astype(np.int16)) < 150  # quantisation of G.711


def test_halves_of_10_ms_sound_as_whole_frames_do() -> None:
    frames = tone(MU_LAW, 10)
    decoder = Decoder()

    halves = [decoder.decode(CodedFrame(MU_LAW, (Decode(frame[:80]), Decode(frame[80:])), 0, 10)) for frame in frames]

    assert np.array_equal(np.concatenate(halves), np.concatenate(hear([Decode(f) for f in frames], MU_LAW)))


def test_silence_costs_nothing_and_is_zeros() -> None:
    decoder = Decoder()
    frames = [decoder.decode(CodedFrame(A_LAW, (Silence(),), 0)) for _ in range(3)]

    assert not np.concatenate(frames).any()
    assert frames[1] is frames[2]
    assert decoder.is_quiet


def test_missing_frames_fade_out_into_silence() -> None:
    frames = tone(MU_LAW, 10)
    heard = hear([*(Decode(frame) for frame in frames), *[Conceal()] * 3, *[Silence()] * 5], MU_LAW)

    assert rms(heard[10]) > 4_000
    assert rms(heard[12]) < rms(heard[11]) < rms(heard[10])
    assert not heard[16].any()
    assert not heard[17].any()


def test_pause_without_loss_fades_out_too() -> None:
    frames = tone(MU_LAW, 10)
    heard = hear([*(Decode(frame) for frame in frames), *[Silence()] * 6], MU_LAW)

    assert rms(heard[10]) > 4_000
    assert rms(heard[15]) < 200  # the end of the fade, on its way through the filter


def test_sound_comes_back_after_silence() -> None:
    frames = [Decode(frame) for frame in tone(MU_LAW, 10)]
    heard = hear([*frames[:5], *[Silence()] * 8, *frames[5:]], MU_LAW)

    assert not heard[12].any()
    assert rms(heard[15]) == pytest.approx(8_000 / np.sqrt(2), rel=0.05)


def test_merged_frames_take_the_time_of_one() -> None:
    frames = tone(MU_LAW, 20)
    actions: list[PlayoutAction] = [Decode(frame) for frame in frames[:10]]
    actions += [Decode(frames[11], merge=frames[10]), *(Decode(frame) for frame in frames[12:])]

    heard = hear(actions, MU_LAW)

    assert len(heard) == 19
    steps = np.abs(np.diff(np.concatenate(heard).astype(np.int32)))
    assert steps[3_000:].max() < 2_000


@pytest.mark.parametrize(("payload", "quiet"), [(b"\xff" * 160, True), (b"\x00\x80" * 80, False)])
def test_quiet_frames_are_told(payload: bytes, quiet: bool) -> None:
    decoder = Decoder()
    decoder.decode(CodedFrame(MU_LAW, (Decode(payload),), 0))

    assert decoder.is_quiet is quiet


def opus_tone(packet_ms: int, count: int) -> list[bytes]:
    encoder = OpusEncoder(24_000)
    samples = np.rint(8_000 * np.sin(2 * np.pi * 440 * np.arange(24 * packet_ms * count) / 24_000)).astype(np.int16)
    return [encoder.encode(each.tobytes()) for each in samples.reshape(count, -1)]


def test_an_action_longer_than_a_frame_is_given_out_in_pieces() -> None:
    decoder, opus = Decoder(), CODECS["opus"]
    frames: list[NDArray[np.int16]] = []
    for packet in opus_tone(60, 10):
        frames += [decoder.decode(CodedFrame(opus, actions, 0, 60)) for actions in ((Decode(packet),), (), ())]

    assert {len(frame) for frame in frames} == {INPUT_SAMPLES}
    whole = np.concatenate(frames)[3_000:]
    assert np.abs(np.diff(whole.astype(int))).max() < 1_800


def test_a_frame_whose_beginning_was_dropped_is_filled_up() -> None:
    decoder, opus = Decoder(), CODECS["opus"]
    decoder.decode(CodedFrame(opus, (Decode(opus_tone(60, 1)[0]),), 0, 60))
    frames = [decoder.decode(CodedFrame(opus, (), 0, 60)) for _ in range(4)]

    assert {len(frame) for frame in frames} == {INPUT_SAMPLES}


def test_frames_whose_end_was_dropped_do_not_pile_up() -> None:
    decoder, opus = Decoder(), CODECS["opus"]
    for packet in opus_tone(60, 20):
        decoder.decode(CodedFrame(opus, (Decode(packet),), 0, 60))

    assert len(decoder._left) <= 960


def test_comfort_noise_follows_the_voice_and_gives_way_to_it() -> None:
    frames = [Decode(frame) for frame in tone(A_LAW, 20)]
    heard = hear([*frames[:10], Noise(b"\x28"), *[Silence()] * 10, *frames[10:]])

    assert rms(heard[10]) > 2_000  # the voice fades into it
    assert all(100 < rms(frame) < 500 for frame in heard[15:21])
    assert rms(heard[23]) == pytest.approx(8_000 / np.sqrt(2), rel=0.05)


def test_another_codec_takes_over() -> None:
    decoder = Decoder()
    decoder.decode(CodedFrame(MU_LAW, (Decode(tone(MU_LAW, 1)[0]),), 0))
    heard = [decoder.decode(CodedFrame(CODECS["opus"], (Decode(p),), 0)) for p in opus_tone(20, 10)]

    assert rms(heard[-1]) == pytest.approx(8_000 / np.sqrt(2), rel=0.1)


def test_calls_decoded_together_sound_as_each_alone() -> None:
    a_law, mu_law = tone(A_LAW, 12), tone(MU_LAW, 12)
    quiet = MU_LAW.encoder().encode(np.full(160, 50, np.int16))
    opus = opus_tone(20, 12)
    calls: list[list[CodedFrame]] = [
        [CodedFrame(A_LAW, (Decode(each),), 0) for each in a_law],
        [CodedFrame(MU_LAW, (Decode(each),), 0) for each in mu_law],
        [CodedFrame(A_LAW, (Conceal() if n in (5, 6) else Decode(each),), 0) for n, each in enumerate(a_law)],
        [CodedFrame(A_LAW, (Conceal(a_law[6]) if n == 5 else Decode(each),), 0) for n, each in enumerate(a_law)],
        [CodedFrame(MU_LAW, (Decode(each[:80]), Decode(each[80:])), 0, 10) for each in mu_law],
        [CodedFrame(A_LAW, (Decode(each, merge=a_law[0] if n == 5 else None),), 0) for n, each in enumerate(a_law)],
        [CodedFrame(MU_LAW, (Silence() if n > 4 else Decode(quiet),), 0) for n in range(12)],
        [CodedFrame(CODECS["opus"], (Decode(each),), 0) for each in opus],
        [CodedFrame(A_LAW if n > 5 else MU_LAW, (Decode((a_law if n > 5 else mu_law)[n]),), 0) for n in range(12)],
        [CodedFrame(A_LAW, (Noise(b"\x28") if n == 5 else Decode(each),), 0) for n, each in enumerate(a_law)],
    ]
    together, alone = [Decoder() for _ in calls], [Decoder() for _ in calls]
    for turn in range(12):
        frames = [call[turn] for call in calls]
        heard = decode_together(together, frames)
        for row, decoder, frame in zip(heard, alone, frames, strict=True):
            assert np.array_equal(row, decoder.decode(frame))
        assert [each.is_quiet for each in together] == [each.is_quiet for each in alone]


def test_calls_of_one_codec_sound_as_each_alone_too() -> None:
    frames = [CodedFrame(MU_LAW, (Decode(each),), 0) for each in tone(MU_LAW, 3)]
    together, alone = [Decoder() for _ in frames], [Decoder() for _ in frames]

    for row, decoder, frame in zip(decode_together(together, frames), alone, frames, strict=True):
        assert np.array_equal(row, decoder.decode(frame))


def test_a_call_keeps_nothing_of_what_was_decoded_beside_it() -> None:
    frames = [CodedFrame(MU_LAW, (Decode(each),), 0) for each in tone(MU_LAW, 3)]
    decoders = [Decoder() for _ in frames]
    decode_together(decoders, frames)

    kept = [decoders[0].resampler.history, *decoders[0]._voice._concealer._recent]  # type: ignore[union-attr]
    assert all(array.base is None for array in kept)
