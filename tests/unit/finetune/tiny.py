"""A small CSM that learns quickly: the library's own initial weights, 8 codebooks of 64 codes, bytes for tokens."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from transformers import CsmConfig, CsmForConditionalGeneration, MimiConfig
from transformers.utils import logging

from finetune.training.model import tie_audio_embedding
from finetune.training.sample import Sample, TrainingTurn, build_sample
from tests.fakes.tiny_csm import SPECIAL, write_tokenizer
from tts_engine.model.prompt import PromptBuilder
from tts_engine.model.tokenizer import TextTokenizer

TEXTS = ("Salam, necəsən?", "Bu gün hava gözəldir.", "Bəli.", "Şəhər mərkəzinə necə gedə bilərəm?")
CODEBOOKS, CODES = 8, 64


@dataclass(frozen=True, slots=True)
class Base:
    folder: Path
    builder: PromptBuilder

    def model(self) -> CsmForConditionalGeneration:
        """Give a fresh copy in `transformers`, codec and all."""
        return copy.deepcopy(_loaded(self.folder))

    def sample(self, *turns: TrainingTurn) -> Sample:
        return build_sample(self.builder, turns)


@cache
def _loaded(folder: Path) -> CsmForConditionalGeneration:
    model = CsmForConditionalGeneration.from_pretrained(folder)
    tie_audio_embedding(model, model.depth_decoder.model.embed_tokens.weight)
    return model.train()


def turn(frames: int, *, text: str = TEXTS[0], seed: int = 0, speaker: int = 0, target: bool = True) -> TrainingTurn:
    codes = np.random.default_rng(seed).integers(1, CODES, (frames, CODEBOOKS)).astype(np.int16)
    return TrainingTurn(speaker, text, codes, target)


def write_base(folder: Path, *, hidden: int = 64, layers: int = 2, seed: int = 0) -> Base:
    """Write config, weights and tokenizer in the Hugging Face layout."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = write_tokenizer(folder)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    model = CsmForConditionalGeneration(_config(ids, hidden, layers))
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("embed_sum"):  # zeros would code every sound as 0, which reads as the end
                buffer.normal_()
            elif name.endswith("cluster_usage"):
                buffer.fill_(1.0)
    tie_audio_embedding(model, model.depth_decoder.model.embed_tokens.weight)
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}), encoding="utf-8")
    builder = PromptBuilder(
        TextTokenizer.read(folder), num_codebooks=CODEBOOKS, codebook_size=CODES + 3, positions=2048
    )
    return Base(folder, builder)


def _config(ids: dict[str, int], hidden: int, layers: int) -> CsmConfig:
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    mimi = MimiConfig(
        hidden_size=16, num_filters=2, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=8,
        intermediate_size=32, codebook_dim=8, vector_quantization_hidden_dimension=8, num_quantizers=CODEBOOKS,
        codebook_size=CODES, upsample_groups=16,
    )  # fmt: skip
    return CsmConfig(
        **{**sizes, "num_hidden_layers": layers}, hidden_size=hidden,
        intermediate_size=2 * hidden, num_codebooks=CODEBOOKS, vocab_size=CODES + 3,
        text_vocab_size=len(SPECIAL) + 256, codebook_pad_token_id=CODES + 2, max_position_embeddings=2048,
        pad_token_id=ids["<|AUDIO|>"], bos_token_id=ids["<|begin_of_text|>"], audio_token_id=ids["<|AUDIO|>"],
        audio_eos_token_id=ids["<|audio_eos|>"], codec_config=mimi.to_dict(),
        depth_decoder_config={
            **sizes, "hidden_size": 48, "intermediate_size": 96, "num_codebooks": CODEBOOKS,
            "backbone_hidden_size": hidden, "vocab_size": CODES + 3, "max_position_embeddings": CODEBOOKS + 1,
        },
    )  # fmt: skip
