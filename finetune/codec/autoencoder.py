"""Mimi's convolutions and transformers for training: whole crops at once, parameters named as in `transformers`.

`transformers` computes paddings on the device, which waits for it at each of some 40 convolutions; here crops are whole
frames and every padding is known beforehand. The product's own streaming codec reads what is trained here, and a test
holds both to the same codes and samples.
"""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import MimiConfig
from tts_engine.model.rope import inverse_frequencies, rotate, rotations


class Conv(nn.Module):
    """Causal, with a stride."""

    def __init__(
        self, channels: int, out: int, kernel: int, *, stride: int = 1, dilation: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, out, kernel, stride=stride, dilation=dilation, bias=bias)
        self.past = (kernel - 1) * dilation + 1 - stride

    def forward(self, x: Tensor, mode: str = "constant") -> Tensor:
        return self.conv(fn.pad(x, (self.past, 0), mode=mode))


class Upsample(nn.Module):
    """Transposed and causal, kernel twice the stride: what reaches beyond the present is cut."""

    def __init__(self, channels: int, out: int, stride: int, *, groups: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(channels, out, 2 * stride, stride=stride, groups=groups, bias=bias)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)[..., : -self.stride]


class Residual(nn.Module):
    def __init__(self, config: MimiConfig, channels: int, dilation: int) -> None:
        super().__init__()
        inner = channels // config.compress
        wide = Conv(channels, inner, config.residual_kernel_size, dilation=dilation)
        self.block = nn.ModuleList([nn.ELU(), wide, nn.ELU(), Conv(inner, channels, 1)])

    def forward(self, x: Tensor) -> Tensor:
        hidden = x
        for layer in self.block:
            hidden = layer(hidden)
        return x + hidden


class Layers(nn.Module):
    """One after the other, under the name that the checkpoint gives them."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Scale(nn.Module):
    def __init__(self, size: int, initial: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((size,), initial))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class Attention(nn.Module):
    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.heads, inner = config.num_heads, config.num_heads * config.head_dim
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(config.hidden_size, inner, bias=False) for _ in range(3))
        self.o_proj = nn.Linear(inner, config.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        mixed = fn.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class Feed(nn.Module):
    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(fn.gelu(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, config: MimiConfig, scale: float) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.self_attn = Attention(config)
        self.self_attn_layer_scale = Scale(config.hidden_size, scale)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.mlp = Feed(config)
        self.mlp_layer_scale = Scale(config.hidden_size, scale)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        x = x + self.self_attn_layer_scale(self.self_attn(self.input_layernorm(x), cos, sin, mask))
        return x + self.mlp_layer_scale(self.mlp(self.post_attention_layernorm(x)))


class Transformer(nn.Module):
    """Attends to the last `window` positions, itself among them; x [B, hidden, T]."""

    def __init__(self, config: MimiConfig, scale: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config, scale) for _ in range(config.num_layers))
        self.window = config.window
        self.register_buffer("frequencies", inverse_frequencies(config.head_dim, config.rope), persistent=False)
        self.frequencies: Tensor

    def forward(self, x: Tensor) -> Tensor:
        positions = torch.arange(x.shape[-1], device=x.device)
        behind = positions[:, None] - positions
        mask = (behind >= 0) & (behind < self.window)
        cos, sin = rotations(positions, self.frequencies)
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return x.transpose(1, 2)


class Autoencoder(nn.Module):
    """Samples [B, N] to latents [B, hidden, N / 1920] and back, N a multiple of 1,920. The quantizer goes between."""

    def __init__(self, config: MimiConfig, *, layer_scale: float = 0.1) -> None:
        super().__init__()
        self.encoder, self.decoder = Layers(_encoder(config)), Layers(_decoder(config))
        self.encoder_transformer, self.decoder_transformer = (Transformer(config, layer_scale) for _ in range(2))
        hidden = config.hidden_size
        self.downsample = Conv(hidden, hidden, 4, stride=2, bias=False)
        self.upsample = Upsample(hidden, hidden, 2, groups=config.upsample_groups, bias=False)

    def encode(self, samples: Tensor) -> Tensor:
        return self.downsample(self.encoder_transformer(self.encoder(samples[:, None])), "replicate")

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(self.decoder_transformer(self.upsample(latents)))[:, 0]


def _encoder(config: MimiConfig) -> list[nn.Module]:
    channels = config.num_filters
    layers: list[nn.Module] = [Conv(1, channels, config.kernel_size)]
    for ratio in reversed(config.upsampling_ratios):
        layers += [Residual(config, channels, config.dilation_growth**n) for n in range(config.num_residual_layers)]
        layers += [nn.ELU(), Conv(channels, 2 * channels, 2 * ratio, stride=ratio)]
        channels *= 2
    return [*layers, nn.ELU(), Conv(channels, config.hidden_size, config.last_kernel_size)]


def _decoder(config: MimiConfig) -> list[nn.Module]:
    channels = config.num_filters * 2 ** len(config.upsampling_ratios)
    layers: list[nn.Module] = [Conv(config.hidden_size, channels, config.kernel_size)]
    for ratio in config.upsampling_ratios:
        channels //= 2
        layers += [nn.ELU(), Upsample(2 * channels, channels, ratio)]
        layers += [Residual(config, channels, config.dilation_growth**n) for n in range(config.num_residual_layers)]
    return [*layers, nn.ELU(), Conv(channels, 1, config.last_kernel_size)]
