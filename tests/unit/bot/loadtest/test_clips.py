from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bot.errors import SettingsError
from bot.loadtest.clips import SHIPPED, ClipLibrary, clip_of, cough, read_wav, tone
from bot.loadtest.references import write_wav
from telephony.leg import OUTPUT_FRAME_BYTES
from tests.fakes.talking_bot import speech


def test_clips_are_found_by_text_and_by_file_name() -> None:
    library = ClipLibrary()

    by_text = library.get("İş saatlarınız necədir?")
    assert by_text.frames == library.get("is-saatlari").frames == library.get("is-saatlari.wav").frames
    assert library.get("İş saatlarınız necədir") is not None


def test_an_unknown_clip_names_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match="is-saatlari"):
        ClipLibrary().get("Bu mətn yoxdur")


def test_a_plans_own_folder_comes_before_what_ships(tmp_path: Path) -> None:
    write_wav(tmp_path / "salam.wav", speech(0.7))
    (tmp_path / "manifest.yaml").write_text("clips: [{file: salam.wav, text: Hə}]", encoding="utf-8")

    library = ClipLibrary([tmp_path])

    assert len(library.get("salam").frames) == 35
    assert library.get("hə").frames == library.get("salam").frames


def test_the_voice_of_a_clip_is_where_its_sound_is() -> None:
    clip = clip_of(np.concatenate([np.zeros(1600, np.int16), speech(0.5), np.zeros(3200, np.int16)]))

    assert (clip.begin_ms, clip.end_ms) == (pytest.approx(100, abs=10), pytest.approx(600, abs=10))
    assert {len(frame) for frame in clip.frames} == {OUTPUT_FRAME_BYTES}
    assert len(clip.frames) == 40


def test_sounds_made_here_are_short_and_the_same_each_time() -> None:
    assert 150 < cough().end_ms - cough().begin_ms < 260
    assert tone().end_ms == pytest.approx(100, abs=10)
    assert cough() == cough()


def test_silence_is_no_clip_and_stereo_no_recording(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no sound"):
        clip_of(np.zeros(3200, np.int16))
    (tmp_path / "x.wav").write_bytes(b"no wav")
    with pytest.raises(SettingsError, match=r"x\.wav"):
        read_wav(tmp_path / "x.wav")


def test_other_rates_are_converted(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", speech(1.0), 24_000)

    assert len(read_wav(tmp_path / "a.wav")) == pytest.approx(16_000 * 16_000 / 24_000, abs=2)
    assert len(read_wav(SHIPPED / "salam.wav")) > 8000
