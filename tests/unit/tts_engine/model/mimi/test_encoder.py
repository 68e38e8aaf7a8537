from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.mimi.encoder import PIECE_FRAMES, MimiEncoder, encoding
from tts_engine.model.mimi.weights import load_encoder


@pytest.fixture(scope="module")
def encoder(tiny: TinyCsm) -> MimiEncoder:
    encoder = MimiEncoder(tiny.config.mimi)
    load_encoder(encoder, Checkpoint(tiny.folder))
    return encoder


def test_a_sound_of_numpy_is_encoded_to_the_codebooks_that_the_model_has(tiny: TinyCsm, encoder: MimiEncoder):
    samples = (torch.randn(5 * 1920) * 0.1).numpy()
    expected = tiny.reference.codec_model.encode(torch.from_numpy(samples)[None, None]).audio_codes[0].T[:, :5]
    codes = encoding(encoder, 5)(samples)
    assert (codes.dtype, codes.tolist()) == (np.int16, expected.tolist())


@pytest.mark.parametrize("frames", [1, 2, 30, PIECE_FRAMES, 150, 2 * PIECE_FRAMES + 1])
def test_codes_are_those_of_transformers(tiny: TinyCsm, encoder: MimiEncoder, frames: int):
    samples = torch.randn(2, frames * 1920, generator=torch.Generator().manual_seed(frames)) * 0.2
    expected = tiny.reference.codec_model.encode(samples[:, None]).audio_codes.transpose(1, 2)
    codes = encoder(samples)
    assert torch.equal(codes, expected)
    assert len(codes.unique()) > 10


def test_the_convolutions_take_ten_seconds_at_a_time_and_what_they_look_back_to(
    encoder: MimiEncoder, monkeypatch: pytest.MonkeyPatch
):
    taken: list[int] = []
    first = encoder.first.forward

    def watched(x: torch.Tensor) -> torch.Tensor:
        taken.append(x.shape[-1] // 1920)
        return first(x)

    monkeypatch.setattr(encoder.first, "forward", watched)
    encoder(torch.zeros(1, 300 * 1920))
    assert taken == [125, 127, 52]


@pytest.mark.parametrize("samples", [1, 1919, 1920, 1921, 5000])
def test_a_part_of_a_frame_counts_as_one_filled_with_zeros(encoder: MimiEncoder, samples: int):
    sound = torch.randn(1, samples) * 0.2
    codes = encoder(sound)
    assert codes.shape == (1, -(-samples // 1920), 8)
    assert torch.equal(codes, encoder(torch.nn.functional.pad(sound, (0, -samples % 1920))))


def test_an_utterance_has_the_same_codes_alone_and_in_a_batch(encoder: MimiEncoder):
    sound = torch.randn(5, 20 * 1920) * 0.2
    assert torch.equal(encoder(sound)[3], encoder(sound[3:4])[0])
