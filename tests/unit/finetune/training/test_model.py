from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from packaging.version import Version
from safetensors.torch import load_file, save_file
from transformers import CsmForConditionalGeneration

from finetune.export import write_merged
from finetune.training.model import load_csm_for_training
from tests.unit.finetune.tiny import Base, write_base
from tts_engine.model.checkpoint import AUDIO_TABLES, Checkpoint


@pytest.mark.parametrize("kept", AUDIO_TABLES)
def test_the_audio_embedding_is_loaded_and_tied_under_either_of_its_names(tmp_path: Path, kept: str):
    folder = write_base(tmp_path).folder
    tensors = load_file(folder / "model.safetensors")
    table = next(tensors[name] for name in AUDIO_TABLES if name in tensors).clone()
    rest = {name: tensor for name, tensor in tensors.items() if name not in AUDIO_TABLES}
    save_file({**rest, kept: table}, folder / "model.safetensors", metadata={"format": "pt"})
    model = load_csm_for_training(folder, dtype=torch.float32)
    backbone, depth = model.backbone_model.embed_tokens.embed_audio_tokens, model.depth_decoder.model.embed_tokens
    assert backbone.weight is depth.weight
    assert torch.equal(backbone.weight, table)
    if kept == AUDIO_TABLES[0] and Version("5.0") <= Version(transformers.__version__) < Version("5.21"):
        old = CsmForConditionalGeneration.from_pretrained(folder)
        assert not torch.equal(old.backbone_model.embed_tokens.embed_audio_tokens.weight, table)


def test_a_checkpoint_of_a_later_version_is_loaded_and_exported_though_the_library_refuses_it(tmp_path: Path):
    folder = write_base(tmp_path / "base").folder
    table = Checkpoint(folder).audio_table()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["depth_decoder_config"]["tie_word_embeddings"] = True
    # as 5.21 and later write it
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}), encoding="utf-8")
    if Version(transformers.__version__) < Version("5.21"):
        with pytest.raises(ValueError, match="tie_word_embeddings=True"):
            CsmForConditionalGeneration.from_pretrained(folder)
    assert torch.equal(
        load_csm_for_training(folder, dtype=torch.float32).depth_decoder.model.embed_tokens.weight, table
    )
    write_merged(Checkpoint(folder), tmp_path / "voice")
    assert CsmForConditionalGeneration.from_pretrained(tmp_path / "voice")


def test_the_codec_is_left_out(base: Base):
    model = load_csm_for_training(base.folder, dtype=torch.bfloat16)
    assert not [name for name, _ in model.named_parameters() if "codec" in name]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.training
