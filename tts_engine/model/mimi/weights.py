"""Which Mimi tensor of a checkpoint goes where: under `codec_model.` in CSM, at the root in kyutai/mimi."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.errors import CheckpointError
from tts_engine.model.mimi.conv import UpsampleConv
from tts_engine.model.mimi.decoder import MimiDecoder, ResidualBlock
from tts_engine.model.mimi.encoder import MimiEncoder
from tts_engine.model.mimi.quantizer import ResidualQuantizer, SplitQuantizer
from tts_engine.model.mimi.transformer import MimiTransformer

_LAYER = {
    "attention_norm.0": ("input_layernorm.weight",),
    "attention_norm.1": ("input_layernorm.bias",),
    "qkv": ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
    "out": ("self_attn.o_proj.weight",),
    "attention_scale": ("self_attn_layer_scale.scale",),
    "mlp_norm.0": ("post_attention_layernorm.weight",),
    "mlp_norm.1": ("post_attention_layernorm.bias",),
    "up": ("mlp.fc1.weight",),
    "down": ("mlp.fc2.weight",),
    "mlp_scale": ("mlp_layer_scale.scale",),
}


class _Source:
    """The codec's part of a checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._prefix = "codec_model." if any(checkpoint.names("codec_model.")) else ""

    def fill(self, target: Tensor, *names: str) -> None:
        parts = [self.tensor(name) for name in names]
        self.put(target, torch.cat(parts) if len(parts) > 1 else parts[0], names[0])

    def put(self, target: Tensor, source: Tensor, name: str) -> None:
        if source.shape != target.shape:
            raise CheckpointError(
                f"{self._prefix}{name} has shape {tuple(source.shape)}, but by config.json {tuple(target.shape)}"
            )
        with torch.no_grad():
            target.copy_(source)

    def tensor(self, name: str) -> Tensor:
        return self._checkpoint.tensor(self._prefix + name)


def load_decoder(decoder: MimiDecoder, checkpoint: Checkpoint) -> None:
    """Fill the decoder; raises CheckpointError naming a tensor that is missing or does not fit."""
    source = _Source(checkpoint)
    _quantizer(source, decoder.quantizer)
    source.fill(decoder.upsample.weight, "upsample.conv.weight")
    _transformer(source, decoder.transformer, "decoder_transformer")
    index = 0
    _conv(source, decoder.first, f"decoder.layers.{index}")
    for up, blocks in zip(decoder.ups, decoder.blocks, strict=True):
        index += 2  # an ELU lies between
        _conv(source, up, f"decoder.layers.{index}")
        index = _blocks(source, blocks, "decoder", index)
    _conv(source, decoder.last, f"decoder.layers.{index + 2}")


def load_encoder(encoder: MimiEncoder, checkpoint: Checkpoint) -> None:
    """Fill the encoder; raises CheckpointError naming a tensor that is missing or does not fit."""
    source = _Source(checkpoint)
    _quantizer(source, encoder.quantizer)
    source.fill(encoder.downsample.weight, "downsample.conv.weight")
    _transformer(source, encoder.transformer, "encoder_transformer")
    index = 0
    _conv(source, encoder.first, f"encoder.layers.{index}")
    for blocks, down in zip(encoder.blocks, encoder.downs, strict=True):
        index = _blocks(source, blocks, "encoder", index) + 2
        _conv(source, down, f"encoder.layers.{index}")
    _conv(source, encoder.last, f"encoder.layers.{index + 2}")


def _blocks(source: _Source, blocks: nn.Module, part: str, index: int) -> int:
    assert isinstance(blocks, nn.ModuleList)
    for block in blocks:
        assert isinstance(block, ResidualBlock)
        index += 1
        _conv(source, block.wide, f"{part}.layers.{index}.block.1")
        _conv(source, block.narrow, f"{part}.layers.{index}.block.3")
    return index


def _conv(source: _Source, conv: nn.Module, name: str) -> None:
    kernel = source.tensor(f"{name}.conv.weight")
    source.put(conv.get_parameter("weight"), conv.taps(kernel) if isinstance(conv, UpsampleConv) else kernel, name)
    source.fill(conv.get_parameter("bias"), f"{name}.conv.bias")


def _transformer(source: _Source, transformer: MimiTransformer, part: str) -> None:
    for index, layer in enumerate(transformer.layers):
        for target, names in _LAYER.items():
            source.fill(layer.get_parameter(target), *(f"{part}.layers.{index}.{name}" for name in names))


def _quantizer(source: _Source, quantizer: SplitQuantizer) -> None:
    for part, kind in ((quantizer.semantic, "semantic"), (quantizer.acoustic, "acoustic")):
        _residual(source, part, f"quantizer.{kind}_residual_vector_quantizer")


def _residual(source: _Source, quantizer: ResidualQuantizer, name: str) -> None:
    tables: list[Tensor] = []
    for index in range(quantizer.count):
        book = f"{name}.layers.{index}.codebook"
        usage = source.tensor(f"{book}.cluster_usage").clamp(min=1e-5)
        tables.append(source.tensor(f"{book}.embed_sum") / usage[:, None])
    with torch.no_grad():
        quantizer.tables.copy_(torch.cat(tables))
        quantizer.input.copy_(source.tensor(f"{name}.input_proj.weight")[..., 0])
        quantizer.output.copy_(source.tensor(f"{name}.output_proj.weight")[..., 0])
