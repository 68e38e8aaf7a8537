"""A random CSM with Mimi of 1 MB in the Hugging Face layout: the real kinds of layer and tokenizer, tiny sizes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import CsmConfig, CsmForConditionalGeneration, MimiConfig
from transformers.utils import logging

from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.config import CsmConfig as Config
from tts_engine.model.csm import CsmModel
from tts_engine.model.prompt import PromptBuilder
from tts_engine.model.tokenizer import TextTokenizer
from tts_engine.model.weights import load_csm

SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|AUDIO|>", "<|audio_eos|>")
CODEBOOK_SIZE = 32


def write_tokenizer(folder: Path) -> dict[str, int]:
    """A byte-level tokenizer without merges: every text has ids, no training."""
    tokenizer = Tokenizer(
        models.BPE(vocab={c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "bos_token": SPECIAL[0],
        "eos_token": {"content": SPECIAL[1]},
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return {token: tokenizer.token_to_id(token) for token in SPECIAL}


def write_tiny_csm(folder: Path, *, num_codebooks: int = 8, codec_head_dim: int = 8, seed: int = 0) -> Path:
    """Writes config, weights and tokenizer; the logits are spread so that the best code is far from the second."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = write_tokenizer(folder)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rope = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 32.0,
        "high_freq_factor": 0.5,
        "low_freq_factor": 0.125,
    }
    mimi = MimiConfig(
        hidden_size=16, num_filters=2, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        head_dim=codec_head_dim,
        intermediate_size=32, codebook_dim=8, vector_quantization_hidden_dimension=8, num_quantizers=num_codebooks,
        codebook_size=CODEBOOK_SIZE, upsample_groups=16, layer_scale_initial_scale=0.5,
    )  # fmt: skip
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32}
    config = CsmConfig(
        **sizes, hidden_size=64, intermediate_size=96, num_codebooks=num_codebooks, vocab_size=CODEBOOK_SIZE + 3,
        text_vocab_size=len(SPECIAL) + 256, codebook_pad_token_id=CODEBOOK_SIZE + 2, max_position_embeddings=2048,
        pad_token_id=ids["<|AUDIO|>"], bos_token_id=ids["<|begin_of_text|>"],
        audio_token_id=ids["<|AUDIO|>"], audio_eos_token_id=ids["<|audio_eos|>"],
        rope_parameters={**rope, "original_max_position_embeddings": 1024}, codec_config=mimi.to_dict(),
        depth_decoder_config={
            **sizes, "hidden_size": 32, "intermediate_size": 48, "num_codebooks": num_codebooks,
            "backbone_hidden_size": 64, "vocab_size": CODEBOOK_SIZE + 3, "max_position_embeddings": num_codebooks + 1,
            "rope_parameters": {**rope, "high_freq_factor": 0.0078125, "low_freq_factor": 0.001953125,
                                "original_max_position_embeddings": 16},
        },
    )  # fmt: skip
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = CsmForConditionalGeneration(config).float().eval()
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "codec" not in name:
                fan = parameter.shape[-2] if "codebooks_head" in name else parameter.shape[-1]
                parameter.normal_(std=0.3 if "embed" in name else 1.5 / fan**0.5)
            elif "norm" in name:
                parameter.uniform_(0.5, 1.5)  # ones would hide a norm that is left out
        for name, buffer in model.named_buffers():
            if name.endswith("embed_sum"):  # zeros would code every sound as 0, which reads as the end
                buffer.normal_()
            elif name.endswith("cluster_usage"):
                buffer.uniform_(0.5, 2.0)
    _tie(model)
    model.save_pretrained(folder)
    return folder


def write_tiny_adapter(folder: Path) -> Path:
    """Write a LoRA pair each for the backbone, which vLLM loads, and for the depth decoder, which is ours."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"lora_alpha": 4}))
    random = torch.Generator().manual_seed(0)
    pairs = {
        f"base_model.model.{module}.lora_{half}.weight": torch.randn(shape, generator=random)
        for module, inner, outer in (
            ("backbone_model.layers.0.self_attn.q_proj", 64, 128),
            ("backbone_model.layers.1.mlp.up_proj", 64, 96),
            ("depth_decoder.model.layers.1.mlp.down_proj", 48, 32),
        )
        for half, shape in (("A", (2, inner)), ("B", (outer, 2)))
    }
    save_file(pairs, folder / "adapter_model.safetensors")
    return folder


def load_reference(folder: Path) -> CsmForConditionalGeneration:
    """The checkpoint in `transformers`, with the audio embedding tied by hand: 5.0 to 5.20 leave it random."""
    model = CsmForConditionalGeneration.from_pretrained(folder).float().eval()
    _tie(model)
    return model


def _tie(model: CsmForConditionalGeneration) -> None:
    model.backbone_model.embed_tokens.embed_audio_tokens.weight = model.depth_decoder.model.embed_tokens.weight


@dataclass(frozen=True, slots=True)
class TinyCsm:
    folder: Path
    config: Config
    model: CsmModel
    builder: PromptBuilder
    reference: CsmForConditionalGeneration


def make_tiny(folder: Path, *, num_codebooks: int = 8, codec_head_dim: int = 8) -> TinyCsm:
    """The same weights in our model and in `transformers`."""
    write_tiny_csm(folder, num_codebooks=num_codebooks, codec_head_dim=codec_head_dim)
    config = Config.read(folder)
    model = CsmModel(config)
    load_csm(model, Checkpoint(folder))
    builder = PromptBuilder(
        TextTokenizer.read(folder),
        num_codebooks=config.num_codebooks,
        codebook_size=config.codebook_size,
        positions=config.backbone.max_positions,
    )
    return TinyCsm(folder, config, model, builder, load_reference(folder))
