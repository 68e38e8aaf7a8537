from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from tts_engine.model.errors import CheckpointError
from tts_engine.model.prompt import Codes
from tts_engine.model.voice import Samples, read_voice


def encode(samples: Samples) -> Codes:
    return np.full((len(samples) // 1920, 8), round(float(samples[0]) * 100), np.int16)


def write(folder: Path, settings: str, *, rate: int = 24_000) -> Path:
    folder.mkdir()
    (folder / "voice.toml").write_text(settings, encoding="utf-8")
    with wave.open(str(folder / "sample.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.full(3840, 16384, np.int16).tobytes())
    return folder


def test_a_voice_begins_every_prompt_with_its_sample(tmp_path: Path):
    voice = read_voice(write(tmp_path / "aygun", 'speaker = 1\ntext = "Salam, mən Aygünəm."'), encode)
    [turn] = voice.sample
    assert (voice.name, voice.speaker, turn.speaker, turn.text) == ("aygun", 1, 1, "Salam, mən Aygünəm.")
    assert turn.codes is not None
    assert turn.codes.tolist() == [[50] * 8] * 2


def test_a_voice_without_text_has_no_sample(tmp_path: Path):
    assert read_voice(write(tmp_path / "v", ""), encode).sample == ()


@pytest.mark.parametrize(
    ("settings", "message"), [('speeker = 1\ntext = "a"', "unknown speeker"), ("speaker = ", "voice.toml")]
)
def test_wrong_settings_are_named(tmp_path: Path, settings: str, message: str):
    with pytest.raises(CheckpointError, match=message):
        read_voice(write(tmp_path / "v", settings), encode)


def test_a_sample_of_another_shape_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="16000 Hz"):
        read_voice(write(tmp_path / "v", 'text = "a"', rate=16_000), encode)


def test_missing_files_are_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"voice\.toml is missing"):
        read_voice(tmp_path, encode)
    folder = write(tmp_path / "v", 'text = "a"')
    (folder / "sample.wav").write_bytes(b"no")
    with pytest.raises(CheckpointError, match=r"sample\.wav cannot be read"):
        read_voice(folder, encode)
