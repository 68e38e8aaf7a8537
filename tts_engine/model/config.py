"""The numbers of a CSM checkpoint: what its Hugging Face `config.json` says, as frozen dataclasses.

A key that the file leaves out has the value that `transformers` gives it, which is the value of `sesame/csm-1b`.
Both spellings of RoPE are read: `rope_theta` with `rope_scaling` (transformers 4) and `rope_parameters` (5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeVar

from tts_engine.model.errors import CheckpointError

Json = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary position embedding; `factor` 1.0 means plain, above it Llama 3's scaling by wavelength."""

    theta: float
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_positions: int = 8192


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """A Llama stack: the backbone (one position a token or frame) or the depth decoder (one a codebook)."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    max_positions: int
    norm_eps: float
    rope: RopeConfig


@dataclass(frozen=True, slots=True)
class MimiConfig:
    """The Mimi codec: SEANet convolutions around a windowed transformer, 12.5 frames of codes a second."""

    sample_rate_hz: int
    hidden_size: int
    num_filters: int
    num_residual_layers: int
    upsampling_ratios: tuple[int, ...]
    kernel_size: int
    last_kernel_size: int
    residual_kernel_size: int
    dilation_growth: int
    compress: int
    codebook_size: int
    codebook_dim: int
    quantizer_dim: int
    num_quantizers: int
    num_semantic_quantizers: int
    upsample_groups: int
    num_layers: int
    intermediate_size: int
    num_heads: int
    head_dim: int
    norm_eps: float
    window: int
    rope: RopeConfig

    @property
    def frame_samples(self) -> int:
        """Samples that one frame of codes stands for: 1,920 at 24 kHz."""
        return 2 * prod(self.upsampling_ratios)

    @property
    def frame_rate_hz(self) -> float:
        return self.sample_rate_hz / self.frame_samples


@dataclass(frozen=True, slots=True)
class CsmConfig:
    """Everything of CSM; `codebook_size` counts the codes that are not sound (2,048 to 2,050) too."""

    backbone: TransformerConfig
    depth: TransformerConfig
    mimi: MimiConfig
    num_codebooks: int
    codebook_size: int
    text_vocab_size: int
    bos_token_id: int
    audio_token_id: int
    audio_eos_token_id: int
    codebook_eos_id: int

    @classmethod
    def from_hf(cls, raw: Json) -> CsmConfig:
        """Read the dictionary of a Hugging Face `config.json`; raises CheckpointError naming the field at fault."""
        if raw.get("model_type", "csm") != "csm":
            raise CheckpointError(f"config.json: model_type is {raw['model_type']!r}; a CSM checkpoint has 'csm'")
        depth: Json = raw.get("depth_decoder_config") or {}
        num_codebooks = int(_get(raw, "num_codebooks", 32))
        mimi = _mimi(raw.get("codec_config") or {})
        if mimi.num_quantizers < num_codebooks:
            raise CheckpointError(
                f"config.json: codec_config has {mimi.num_quantizers} quantizers for {num_codebooks} codebooks"
            )
        return cls(
            backbone=_transformer(raw, _BACKBONE_DEFAULTS),
            depth=_transformer(depth, {**_DEPTH_DEFAULTS, "max_position_embeddings": num_codebooks + 1}),
            mimi=mimi,
            num_codebooks=num_codebooks,
            codebook_size=int(_get(raw, "vocab_size", 2051)),
            text_vocab_size=int(_get(raw, "text_vocab_size", 128256)),
            bos_token_id=int(_get(raw, "bos_token_id", 128000)),
            audio_token_id=int(_get(raw, "audio_token_id", 128002)),
            audio_eos_token_id=int(_get(raw, "audio_eos_token_id", 128003)),
            codebook_eos_id=int(_get(raw, "codebook_eos_token_id", 0)),
        )

    @classmethod
    def read(cls, folder: Path) -> CsmConfig:
        """Read `config.json` in `folder`."""
        path = folder / "config.json"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(f"{path} is missing: {folder} is not a Hugging Face checkpoint") from None
        except json.JSONDecodeError as error:
            raise CheckpointError(f"{path} is not JSON: {error}") from error
        return cls.from_hf(raw)


_BACKBONE_DEFAULTS: Json = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 2048,
}
_DEPTH_DEFAULTS: Json = {
    "hidden_size": 1024,
    "intermediate_size": 8192,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 33,
}
_SEMANTIC_CAUSAL: Json = {
    "use_causal_conv": True,
    "pad_mode": "constant",
    "trim_right_ratio": 1.0,
    "use_conv_shortcut": False,
}


def _get(raw: Json, key: str, default: T) -> T:
    value = raw.get(key)
    return default if value is None else value


def _rope(raw: Json, *, theta: float) -> RopeConfig:
    scaling: Json = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    theta = float(_get(scaling, "rope_theta", _get(raw, "rope_theta", theta)))
    kind = _get(scaling, "rope_type", "default")
    if kind == "default":
        return RopeConfig(theta)
    if kind != "llama3":
        raise CheckpointError(f"config.json: rope_type {kind!r} is not supported; CSM has 'default' or 'llama3'")
    return RopeConfig(
        theta,
        factor=float(scaling["factor"]),
        low_freq_factor=float(scaling["low_freq_factor"]),
        high_freq_factor=float(scaling["high_freq_factor"]),
        original_max_positions=int(scaling["original_max_position_embeddings"]),
    )


def _transformer(raw: Json, defaults: Json) -> TransformerConfig:
    def number(key: str) -> int:
        return int(_get(raw, key, defaults[key]))

    for key in ("attention_bias", "mlp_bias"):
        if raw.get(key):
            raise CheckpointError(f"config.json: {key} is set; CSM's projections have no bias")
    heads, kv_heads = number("num_attention_heads"), number("num_key_value_heads")
    if heads % kv_heads:
        raise CheckpointError(f"config.json: {heads} attention heads cannot share {kv_heads} key heads evenly")
    return TransformerConfig(
        hidden_size=number("hidden_size"),
        intermediate_size=number("intermediate_size"),
        num_layers=number("num_hidden_layers"),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=int(_get(raw, "head_dim", number("hidden_size") // heads)),
        max_positions=number("max_position_embeddings"),
        norm_eps=float(_get(raw, "rms_norm_eps", 1e-5)),
        rope=_rope(raw, theta=500_000.0),
    )


def _mimi(raw: Json) -> MimiConfig:
    for key, value in _SEMANTIC_CAUSAL.items():
        if _get(raw, key, value) != value:
            raise CheckpointError(f"config.json: codec_config.{key} is {raw[key]!r}; streaming needs {value!r}")
    heads = int(_get(raw, "num_attention_heads", 8))
    if int(_get(raw, "num_key_value_heads", heads)) != heads:
        raise CheckpointError("config.json: codec_config.num_key_value_heads differs from num_attention_heads")
    if int(_get(raw, "audio_channels", 1)) != 1:
        raise CheckpointError("config.json: codec_config.audio_channels must be 1")
    hidden = int(_get(raw, "hidden_size", 512))
    return MimiConfig(
        sample_rate_hz=int(_get(raw, "sampling_rate", 24_000)),
        hidden_size=hidden,
        num_filters=int(_get(raw, "num_filters", 64)),
        num_residual_layers=int(_get(raw, "num_residual_layers", 1)),
        upsampling_ratios=tuple(int(r) for r in _get(raw, "upsampling_ratios", (8, 6, 5, 4))),
        kernel_size=int(_get(raw, "kernel_size", 7)),
        last_kernel_size=int(_get(raw, "last_kernel_size", 3)),
        residual_kernel_size=int(_get(raw, "residual_kernel_size", 3)),
        dilation_growth=int(_get(raw, "dilation_growth_rate", 2)),
        compress=int(_get(raw, "compress", 2)),
        codebook_size=int(_get(raw, "codebook_size", 2048)),
        codebook_dim=int(_get(raw, "codebook_dim", 256)),
        quantizer_dim=int(_get(raw, "vector_quantization_hidden_dimension", 256)),
        num_quantizers=int(_get(raw, "num_quantizers", 32)),
        num_semantic_quantizers=int(_get(raw, "num_semantic_quantizers", 1)),
        upsample_groups=int(_get(raw, "upsample_groups", 512)),
        num_layers=int(_get(raw, "num_hidden_layers", 8)),
        intermediate_size=int(_get(raw, "intermediate_size", 2048)),
        num_heads=heads,
        head_dim=int(_get(raw, "head_dim", hidden // heads)),
        norm_eps=float(_get(raw, "norm_eps", 1e-5)),
        window=int(_get(raw, "sliding_window", 250)),
        rope=_rope(raw, theta=10_000.0),
    )
