"""A small CSM around a trained codec, with random weights and a tokenizer of its own: what the base is trained from.

The tokenizer has seen the base's languages only, as CSM-1B's has seen little Azerbaijani: `ə` is two bytes to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from pydantic import Field
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import CsmConfig, CsmForConditionalGeneration

from finetune.config import Count, Settings
from tts_engine.model.checkpoint import AUDIO_TABLES, Checkpoint

SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|AUDIO|>", "<|audio_eos|>")


class BaseShape(Settings):
    """Sizes of the demonstration's CSM; the defaults make 18 M parameters."""

    hidden: Count = 384
    layers: Count = 6
    heads: Count = 6
    kv_heads: Count = 2
    feed: Count = 1024
    depth_hidden: Count = 256
    depth_layers: Count = 3
    depth_heads: Count = 4
    depth_kv_heads: Count = 2
    depth_feed: Count = 768
    positions: Count = 1024
    text_tokens: int = Field(default=384, ge=len(SPECIAL) + 256)


def write_base(folder: Path, codec: Path, texts: Iterable[str], shape: BaseShape, *, seed: int = 0) -> None:
    """Write config, tokenizer and random weights around the codec in `codec`, in the Hugging Face layout."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = _write_tokenizer(folder, texts, shape.text_tokens)
    mimi = json.loads((codec / "config.json").read_text(encoding="utf-8"))
    mimi.pop("shape", None)
    config = _config(shape, ids, mimi)
    torch.manual_seed(seed)
    model = CsmForConditionalGeneration(config)
    weights = {name: w for name, w in model.state_dict().items() if not name.startswith("codec_model.")}
    write_whole(folder, weights, codec)
    written = {**config.to_dict(), "tie_word_embeddings": False, "codec_config": mimi}
    (folder / "config.json").write_text(json.dumps(written, indent=1), encoding="utf-8")


def write_whole(folder: Path, weights: dict[str, Tensor], codec: Path) -> None:
    """Write a base's own weights with the codec's, and the audio embedding under both of its names."""
    whole = weights | {name: weights[AUDIO_TABLES[0]].clone() for name in AUDIO_TABLES}
    trained = Checkpoint(codec)
    whole |= {f"codec_model.{name}": trained.tensor(name) for name in trained.names()}
    save_file({name: w.contiguous() for name, w in whole.items()}, folder / "model.safetensors", {"format": "pt"})


def _write_tokenizer(folder: Path, texts: Iterable[str], size: int) -> dict[str, int]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": SPECIAL[0], "eos_token": SPECIAL[1], "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names), encoding="utf-8")
    return {token: tokenizer.encode(token).ids[0] for token in SPECIAL}


def _config(shape: BaseShape, ids: dict[str, int], mimi: dict[str, object]) -> CsmConfig:
    codebooks, codes = int(str(mimi["num_quantizers"])), int(str(mimi["codebook_size"]))
    begin, end, audio, audio_end = (ids[token] for token in SPECIAL)
    return CsmConfig(
        num_codebooks=codebooks, vocab_size=codes + 3, codebook_pad_token_id=codes + 2, codebook_eos_token_id=0,
        text_vocab_size=shape.text_tokens, hidden_size=shape.hidden, intermediate_size=shape.feed,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        head_dim=shape.hidden // shape.heads, max_position_embeddings=shape.positions, pad_token_id=end,
        bos_token_id=begin, eos_token_id=end, audio_token_id=audio, audio_eos_token_id=audio_end, codec_config=mimi,
        depth_decoder_config={
            "num_codebooks": codebooks, "backbone_hidden_size": shape.hidden, "vocab_size": codes + 3,
            "hidden_size": shape.depth_hidden, "intermediate_size": shape.depth_feed,
            "num_hidden_layers": shape.depth_layers, "num_attention_heads": shape.depth_heads,
            "num_key_value_heads": shape.depth_kv_heads, "head_dim": shape.depth_hidden // shape.depth_heads,
            "max_position_embeddings": codebooks + 1,
        },
    )  # fmt: skip
