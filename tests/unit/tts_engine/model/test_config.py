from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import CsmConfig as HfConfig

from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.config import CsmConfig, RopeConfig
from tts_engine.model.errors import CheckpointError


def test_an_empty_config_is_that_of_csm_1b():
    config = CsmConfig.from_hf({})
    assert (config.backbone.num_layers, config.backbone.hidden_size, config.backbone.head_dim) == (16, 2048, 64)
    assert (config.depth.num_layers, config.depth.hidden_size, config.depth.head_dim) == (4, 1024, 128)
    assert (config.num_codebooks, config.codebook_size, config.text_vocab_size) == (32, 2051, 128256)
    assert (config.mimi.frame_samples, config.mimi.frame_rate_hz, config.mimi.window) == (1920, 12.5, 250)


def test_defaults_are_those_of_transformers():
    config, written = CsmConfig.from_hf({}), CsmConfig.from_hf(HfConfig().to_dict())
    assert written == config


def test_a_saved_config_is_read_back(tiny: TinyCsm):
    assert tiny.config.backbone.rope == RopeConfig(500000.0, 32.0, 0.125, 0.5, 1024)
    assert tiny.config.depth.max_positions == tiny.config.num_codebooks + 1
    assert tiny.config.bos_token_id == tiny.reference.config.bos_token_id


def test_both_spellings_of_rope_are_read():
    llama3 = {
        "factor": 32.0,
        "low_freq_factor": 0.125,
        "high_freq_factor": 0.5,
        "original_max_position_embeddings": 1024,
    }
    old = {"rope_theta": 7.0, "rope_scaling": {"rope_type": "llama3", **llama3}}
    new = {"rope_parameters": {"rope_theta": 7.0, "rope_type": "llama3", **llama3}}
    assert CsmConfig.from_hf(old).backbone.rope == CsmConfig.from_hf(new).backbone.rope
    assert CsmConfig.from_hf(old).backbone.rope.theta == 7.0


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"model_type": "llama"}, "model_type"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope_type"),
        ({"attention_bias": True}, "attention_bias"),
        ({"num_attention_heads": 6, "num_key_value_heads": 4}, "attention heads"),
        ({"codec_config": {"use_causal_conv": False}}, "use_causal_conv"),
        ({"codec_config": {"trim_right_ratio": 0.5}}, "trim_right_ratio"),
        ({"codec_config": {"num_key_value_heads": 2}}, "num_key_value_heads"),
        ({"codec_config": {"audio_channels": 2}}, "audio_channels"),
        ({"codec_config": {"num_quantizers": 8}}, "quantizers"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(raw: dict[str, Any], named: str):
    with pytest.raises(CheckpointError, match=named):
        CsmConfig.from_hf(raw)


def test_a_folder_without_config_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="missing"):
        CsmConfig.read(tmp_path)


def test_a_config_that_is_not_json_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not JSON"):
        CsmConfig.read(tmp_path)


def test_a_config_on_disk_is_read(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"num_hidden_layers": 3}))
    assert CsmConfig.read(tmp_path).backbone.num_layers == 3
