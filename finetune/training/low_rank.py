"""A projection with its LoRA pair as few wide products instead of many narrow ones.

PEFT computes `W x + s B (A x)` as three products and a sum. What is low in rank is cheap to multiply and dear to move:
`s B (A x)` is as large as `W x`, and both go to memory and back, forward and backward. Laid beside what they share, the
pair rides along in the product by the frozen weight:

    out > in    forward  y = [A x, x] [s B, W]^T             backward  [dx', d(A x)] = dy [W, s B]
    out <= in   forward  [A x, y'] = x [A; W]^T              backward  dx = [dy, d(A x)] [W; A]   (out < in)

so a sum is made inside the product, in float32, and never of the wider side. The copies of W that this takes are
made anew each time: they are small beside the batch. Numbers are those of PEFT up to rounding.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from peft import LoraConfig
from peft.tuners.lora import Linear
from torch import Tensor, nn


class LowRankLinear(Linear):
    """PEFT's layer, whose one active adapter is computed together with the weight it adapts."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - PEFT's signature
        """Map [..., in] to [..., out]; what is not a plain pair (dropout, a bias, merged) goes PEFT's own way."""
        active, base = self.active_adapters, cast("nn.Linear", self.get_base_layer())
        name = active[0] if len(active) == 1 else ""
        plain = (
            name in self.lora_A and name not in self.lora_variant and isinstance(self.lora_dropout[name], nn.Identity)
            and cast("Tensor | None", base.bias) is None
            and not (args or kwargs or self.merged or self.disable_adapters)
        )  # fmt: skip
        if not plain:
            return super().forward(x, *args, **kwargs)
        down, up = (cast("nn.Linear", part[name]).weight for part in (self.lora_A, self.lora_B))
        return low_rank(x, base.weight, down, up, self.scaling[name])


def keep_pairs_together(config: LoraConfig) -> LoraConfig:
    """Have PEFT make `LowRankLinear` of the layers that the configuration names."""
    config._register_custom_module({nn.Linear: LowRankLinear})  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - PEFT documents it for this use
    return config


def low_rank(x: Tensor, weight: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    """Give `(weight + scale * up @ down) x` of x [..., in]: weight [out, in] is frozen, down [r, in], up [out, r]."""
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    flat = x.to(dtype).reshape(-1, x.shape[-1])
    y = _LowRank.apply(flat, weight.to(dtype), down.to(dtype), up.to(dtype), scale)
    return cast("Tensor", y).view(*x.shape[:-1], -1)


class _LowRank(torch.autograd.Function):
    """The weight gets no gradient."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's
        x: Tensor, weight: Tensor, down: Tensor, up: Tensor, scale: float,
    ) -> Tensor:  # fmt: skip
        out, width = weight.shape
        scaled = up * scale
        if out > width:
            low = x @ down.T
            # the other way round than on the way back: else the compiler keeps one copy of each weight for both
            y = torch.cat((low, x), 1) @ torch.cat((scaled, weight), 1).T
        else:
            both = x @ torch.cat((down, weight)).T
            # of its own: a part would keep the whole in memory until the way back
            low = both[:, : down.shape[0]].contiguous()
            y = both[:, down.shape[0] :] + low @ scaled.T
        ctx.save_for_backward(x, weight, down, up, low)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, *directions: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's
        (dy,) = directions
        x, weight, down, up, low = cast("tuple[Tensor, ...]", ctx.saved_tensors)
        out, width = weight.shape
        scaled = up * ctx.scale
        if out < width:
            dlow = dy @ scaled
            dx = torch.cat((dy, dlow), 1) @ torch.cat((weight, down))
        else:
            both = dy @ torch.cat((weight, scaled), 1)
            dlow = both[:, width:]
            dx = both[:, :width] + dlow @ down
        return dx, None, dlow.T @ x, (dy.T @ low) * ctx.scale, None
