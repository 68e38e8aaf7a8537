from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.data.audio import RATE_HZ
from finetune.errors import ConfigError
from finetune.evaluation.speaker import SpeakerEncoder, centroid, speaker_path
from tests.unit.finetune.data.sounds import speech


@pytest.fixture(scope="module")
def encoder() -> SpeakerEncoder:
    path = speaker_path()
    assert path is not None
    return SpeakerEncoder(path)


def test_a_voice_is_like_itself_and_less_like_one_of_another_pitch(encoder: SpeakerEncoder):
    voice = speech(4.0, seed=1)
    other = np.interp(np.arange(0, len(voice), 1.7), np.arange(len(voice)), voice).astype(np.float32)
    first, second, third = (encoder.embed(s) for s in (voice[: 2 * RATE_HZ], voice[2 * RATE_HZ :], other))
    assert first is not None
    assert second is not None
    assert third is not None
    assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-5)
    assert first @ second > first @ third + 0.05
    assert centroid([first, first]) @ first == pytest.approx(1.0, abs=1e-5)


def test_silence_and_level_do_not_change_whose_voice_it_is(encoder: SpeakerEncoder):
    voice = speech(2.0, seed=1)
    quiet = np.pad(0.2 * voice, (RATE_HZ, RATE_HZ)).astype(np.float32)
    first, second = encoder.embed(voice), encoder.embed(quiet)
    assert first is not None
    assert second is not None
    assert first @ second > 0.95


def test_there_is_no_voice_in_silence(encoder: SpeakerEncoder):
    assert encoder.embed(np.zeros(RATE_HZ, np.float32)) is None


def test_a_file_of_another_network_is_refused(tmp_path: Path):
    torch.save({"model_state": {"linear.weight": torch.zeros(2, 2)}}, tmp_path / "other.pt")
    with pytest.raises(ConfigError, match="is not resemblyzer"):
        SpeakerEncoder(tmp_path / "other.pt")
