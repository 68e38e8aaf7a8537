"""A file that was cut is told as one, and one whose length nobody wrote down is read to its end."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from finetune.data.audio import Recording, decode
from finetune.data.container import is_uncounted_mp3, missing_bytes
from finetune.data.reasons import Reason, Rejected
from tests.unit.finetune.data.sounds import recording


def made(kind: str, seconds: float = 2.0, *, rate: int = 24_000, **how: float | str) -> bytes:
    out = io.BytesIO()
    subtype = {"OPUS": "OPUS", "OGG": "VORBIS"}.get(kind)
    sound = recording(seconds, rate=rate)
    soundfile.write(out, sound, rate, format="OGG" if kind == "OPUS" else kind, subtype=subtype, **how)
    return out.getvalue()


def without_count(mp3: bytes) -> bytes:
    """Take the first frame off, which holds no sound but the count."""
    return mp3[mp3.index(mp3[:2], 4) :]


def with_size(wav: bytes, size: int) -> bytes:
    at = wav.index(b"data") + 4
    return wav[:at] + struct.pack("<I", size) + wav[at + 4 :]


def decoded(
    sound: bytes, *, start_s: float | None = None, end_s: float | None = None, seconds_max: float = 60.0
) -> Recording:
    return decode(sound, start_s=start_s, end_s=end_s, rate_min_hz=16_000, seconds_max=seconds_max)


@pytest.mark.parametrize("kind", ["WAV", "OGG", "OPUS"])
def test_a_file_that_was_cut_anywhere_is_not_taken_for_its_first_part(kind: str):
    whole = made(kind)
    assert missing_bytes(io.BytesIO(whole)) == 0
    for share in (0.3, 0.5, 0.75, 0.999):
        cut = whole[: round(len(whole) * share)]
        assert missing_bytes(io.BytesIO(cut)) > 0
        with pytest.raises(Rejected) as verdict:
            decoded(cut)
        assert verdict.value.reason == Reason.AUDIO_TRUNCATED


def test_an_ogg_page_whose_own_head_is_cut_is_missed_too():
    whole = made("OPUS")
    last = whole.rindex(b"OggS")
    for more in (10, 27, 30):
        assert missing_bytes(io.BytesIO(whole[: last + more])) > 0
    assert missing_bytes(io.BytesIO(whole + b"TAG of another program, longer than a page's head")) == 0


@pytest.mark.parametrize("size", [0x7FFF_F000, 0x7FFF_F024, 0x8000_0000, 0xFFFF_FFFF], ids=hex)
def test_a_size_that_a_streaming_program_wrote_is_no_size(size: int):
    whole = made("WAV")
    assert len(decoded(with_size(whole, size)).samples) == len(decoded(whole).samples)


def test_an_mp3_without_a_count_is_read_to_its_end_and_not_to_the_guess():
    for mode in ("CONSTANT", "VARIABLE", "AVERAGE"):
        counted = made("MP3", 3.0, bitrate_mode=mode, compression_level=0.3)
        uncounted = without_count(counted)
        assert not is_uncounted_mp3(io.BytesIO(counted))
        assert is_uncounted_mp3(io.BytesIO(uncounted))
        assert is_uncounted_mp3(io.BytesIO(b"ID3\x03\0\0\0\0\x02\x01" + bytes(257) + uncounted))
        # the encoder's own delay is in it too, and no more than that
        assert 0.0 <= decoded(uncounted).seconds - decoded(counted).seconds < 0.12
    assert not is_uncounted_mp3(io.BytesIO(made("WAV")))
    assert not is_uncounted_mp3(io.BytesIO(b"\xff"))


def test_an_mp3_without_a_count_is_refused_for_the_same_reasons_as_any_other_file():
    uncounted = without_count(made("MP3", 30.0, bitrate_mode="CONSTANT"))
    for change, reason in (
        ({"seconds_max": 5.0}, Reason.RECORDING_TOO_LONG),
        ({"end_s": 40.0}, Reason.SEGMENT_INVALID),
    ):
        with pytest.raises(Rejected) as verdict:
            decoded(uncounted, **change)
        assert verdict.value.reason == reason
    whole = decoded(uncounted)
    for start_s, end_s in ((0.0, 2.0), (4.0, 5.5), (27.0, None)):
        part = decoded(uncounted, start_s=start_s, end_s=end_s)
        first, last = round(start_s * 24_000), len(whole.samples) if end_s is None else round(end_s * 24_000)
        # but for its own mean, which is taken off
        assert np.abs(part.samples - whole.samples[first:last]).max() < 0.01
    with pytest.raises(Rejected) as verdict:
        decoded(without_count(made("MP3", rate=8_000, bitrate_mode="CONSTANT")))
    assert verdict.value.reason == Reason.AUDIO_RATE_LOW
    noise = np.random.default_rng(0).bytes(200_000)
    with pytest.raises(Rejected) as verdict:
        decoded(b"\xff\xfb" + noise.replace(b"\xff", b"\0"))
    assert verdict.value.reason == Reason.AUDIO_UNREADABLE
