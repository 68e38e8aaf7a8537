"""Which tensor of a Hugging Face CSM checkpoint goes where. The one map, for every engine.

| here                         | there                                                                    |
|------------------------------|--------------------------------------------------------------------------|
| backbone.layers.N, .norm     | backbone_model.layers.N, .norm                                           |
| frames.audio_table           | depth_decoder.model.embed_tokens (tied; or the backbone's name for it)   |
| frames.text_table            | embed_text_tokens                                                        |
| frames.first_head            | lm_head                                                                  |
| frames.depth.layers.N, .norm | depth_decoder.model.layers.N, .norm                                      |
| frames.depth.projector       | depth_decoder.model.inputs_embeds_projector                              |
| frames.depth.heads           | depth_decoder.codebooks_head                                             |

In a layer, q, k and v become `qkv`; gate and up become `gate_up`. Some versions of `transformers` leave the audio
embedding random on loading, since the file has it under one of its two names only; here it is always found.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.csm import CsmModel
from tts_engine.model.errors import CheckpointError
from tts_engine.model.frame import FrameDecoder
from tts_engine.model.layers import LlamaLayer

_LAYER = {
    "attention_norm.weight": ("input_layernorm",),
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "mlp_norm.weight": ("post_attention_layernorm",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}


def load_csm(model: CsmModel, checkpoint: Checkpoint) -> None:
    """Fill the whole model and prepare it; raises CheckpointError naming a tensor that is missing or does not fit."""
    _fill_layers(model.backbone.layers, checkpoint, "backbone_model.layers")
    _fill(model.backbone.norm.weight, checkpoint, "backbone_model.norm.weight")
    load_frame_decoder(model.frames, checkpoint)


def load_frame_decoder(frames: FrameDecoder, checkpoint: Checkpoint) -> None:
    """Fill what is outside the backbone and prepare it."""
    _copy(frames.audio_table, checkpoint.audio_table(), "the audio embedding")
    _fill(frames.text_table, checkpoint, "embed_text_tokens.weight")
    _fill(frames.first_head, checkpoint, "lm_head.weight")
    depth = frames.depth
    _fill_layers(depth.layers, checkpoint, "depth_decoder.model.layers")
    _fill(depth.norm.weight, checkpoint, "depth_decoder.model.norm.weight")
    _fill(depth.projector, checkpoint, "depth_decoder.model.inputs_embeds_projector.weight")
    _fill(depth.heads, checkpoint, "depth_decoder.codebooks_head.weight")
    frames.prepare()


def _fill_layers(layers: nn.ModuleList, checkpoint: Checkpoint, prefix: str) -> None:
    for index, layer in enumerate(layers):
        assert isinstance(layer, LlamaLayer)
        for target, sources in _LAYER.items():
            names = [f"{prefix}.{index}.{source}.weight" for source in sources]
            parts = [checkpoint.tensor(name) for name in names]
            _copy(layer.get_parameter(target), torch.cat(parts) if len(parts) > 1 else parts[0], " + ".join(names))


def _fill(target: Tensor, checkpoint: Checkpoint, name: str) -> None:
    _copy(target, checkpoint.tensor(name), name)


def _copy(target: Tensor, source: Tensor, name: str) -> None:
    if target.shape != source.shape:
        raise CheckpointError(f"{name} has shape {tuple(source.shape)}, but config.json makes it {tuple(target.shape)}")
    with torch.no_grad():
        target.copy_(source)
