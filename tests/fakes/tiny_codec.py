"""A codec whose channels are few but as many as tensor cores need, with random weights, for tests of its kernels."""

from __future__ import annotations

import torch

from tts_engine.model.config import CsmConfig
from tts_engine.model.mimi.decoder import MimiDecoder


def make_codec(*, filters: int = 32, ratios: tuple[int, ...] = (3, 2), blocks: int = 1, **more: int) -> MimiDecoder:
    """Of two codebooks of meaning and two of sound; its activations neither vanish nor grow."""
    codec = {
        "hidden_size": 32, "num_filters": filters, "upsampling_ratios": ratios, "num_residual_layers": blocks,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16,
        "intermediate_size": 64, "codebook_dim": 8, "vector_quantization_hidden_dimension": 8, "num_quantizers": 4,
        "num_semantic_quantizers": 2, "codebook_size": 32, "upsample_groups": 32, "sliding_window": 8, **more,
    }  # fmt: skip
    decoder = MimiDecoder(CsmConfig.from_hf({"num_codebooks": 4, "codec_config": codec}).mimi)
    spread(decoder)
    return decoder


def spread(decoder: MimiDecoder) -> None:
    """Random weights of such sizes that what goes in and out of a layer are about as large."""
    generator = torch.Generator(decoder.first.weight.device).manual_seed(0)
    for name, parameter in decoder.named_parameters():
        if parameter.dim() == 1:
            parameter.data.uniform_(-0.2, 0.2, generator=generator)
            if name.endswith(("norm.0", "scale")):
                parameter.data.add_(0.5)
        else:
            terms = parameter.shape[0] if ".ups." in f".{name}" else parameter[0].numel()
            parameter.data.normal_(std=1.0 if "tables" in name else 1.5 / terms**0.5, generator=generator)
