"""What is trained is what is served: the same codes and samples in the product's codec and in `transformers`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import MimiModel
from transformers.utils import logging

from finetune.codec.model import Codec, mimi_config, read_codec, write_codec
from tests.unit.finetune.codec.small import SHAPE, small_codec
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState
from tts_engine.model.mimi.encoder import MimiEncoder
from tts_engine.model.mimi.weights import load_decoder, load_encoder

SAMPLES = 0.1 * torch.randn(2, 1920 * 45, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def codec() -> Codec:
    return small_codec()


@pytest.fixture(scope="module")
def folder(codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("codec")
    write_codec(codec, path, shard_bytes=60_000)
    return path


def test_the_server_encodes_and_decodes_alike(codec: Codec, folder: Path) -> None:
    encoder, decoder = MimiEncoder(mimi_config(SHAPE)), MimiDecoder(mimi_config(SHAPE))
    load_encoder(encoder, Checkpoint(folder))
    load_decoder(decoder, Checkpoint(folder))
    state, both = MimiState(decoder, slots=2, like=torch.zeros(0)), torch.ones(2, dtype=torch.bool)
    with torch.inference_mode():
        made = codec(SAMPLES)[0]
        codes = encoder(SAMPLES)
        served = decoder(codes, state, slots=torch.arange(2), active=both, fresh=both)
    assert len(codes.unique()) > SHAPE.codes / 2
    torch.testing.assert_close(served, made, atol=1e-5, rtol=0)


def test_transformers_encodes_and_decodes_alike(codec: Codec, folder: Path) -> None:
    logging.disable_progress_bar()
    mimi = MimiModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        made = codec(SAMPLES)[0]
        theirs = mimi.decode(mimi.encode(SAMPLES[:, None]).audio_codes).audio_values[:, 0]
    torch.testing.assert_close(theirs, made, atol=1e-5, rtol=0)


def test_a_codec_reads_what_it_wrote(codec: Codec, folder: Path) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(read_codec(folder).eval()(SAMPLES)[0], codec(SAMPLES)[0], atol=0, rtol=0)


@pytest.mark.parametrize("sizes", [(60_000, 4_000_000), (4_000_000, 60_000), (60_000, 120_000)])
def test_a_codec_that_is_written_over_another_is_the_one_that_is_read(
    codec: Codec, sizes: tuple[int, int], tmp_path: Path
) -> None:
    other = Codec(SHAPE)
    write_codec(other, tmp_path, shard_bytes=sizes[0])
    write_codec(codec, tmp_path, shard_bytes=sizes[1])
    read = read_codec(tmp_path).state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in codec.state_dict().items())
    assert set(tmp_path.glob("*.safetensors")) == {tmp_path / name for name in _files(tmp_path)}


def _files(folder: Path) -> set[str]:
    index = folder / "model.safetensors.index.json"
    return set(json.loads(index.read_text())["weight_map"].values()) if index.exists() else {"model.safetensors"}


def test_a_large_codec_is_written_in_parts(folder: Path) -> None:
    parts = list(folder.glob("*.safetensors"))
    assert len(parts) > 1
    assert all(part.stat().st_size < 200_000 for part in parts)


@settings(max_examples=5, deadline=None)
@given(frames=st.integers(1, 44))
def test_what_comes_later_changes_nothing(codec: Codec, frames: int) -> None:
    with torch.inference_mode():
        whole, part = codec(SAMPLES)[0], codec(SAMPLES[:, : 1920 * frames])[0]
    torch.testing.assert_close(part, whole[:, : 1920 * frames], atol=1e-5, rtol=0)


def test_a_calibrated_codec_begins_at_the_level_of_its_sound() -> None:
    codec = Codec(SHAPE)
    codec.calibrate(SAMPLES)
    with torch.inference_mode():
        made, latents, _ = codec(SAMPLES, continuous=True)
        projected = codec.quantizer.acoustic_residual_vector_quantizer.input_proj(latents)
    assert 0.4 < float(made.std() / SAMPLES.std()) < 0.6
    assert 0.9 < float(projected.std()) < 1.1
