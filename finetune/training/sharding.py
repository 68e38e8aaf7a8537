"""Full training over several devices of which each holds a part of every layer (FSDP2).

Embeddings and heads stay whole on each: their tensors are asked for outside of a module's own forward. Of CSM-1B's
weights that is a third; the layers, with their gradients and AdamW's state, are what is parted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def shard_layers(csm: Any, device: torch.device, *, count: int, bf16: bool) -> None:  # noqa: ANN401 - the library's module
    """Part each layer over all processes; weights stay in float32, and are gathered in bfloat16 if asked for."""
    mesh = init_device_mesh(device.type, (count,))
    dtype = torch.bfloat16 if bf16 and device.type == "cuda" else None
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for layer in (*csm.backbone_model.layers, *csm.depth_decoder.model.layers):
        # said, since each layer is a root of its own, and a root would stay whole after a check
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=True)


def part(tensor: Tensor) -> Tensor:
    """Give what of a tensor this process holds: of a whole one, all."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def parted(parameters: Iterable[nn.Parameter]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Tell those of which each process holds a part from those that each has whole."""
    kept = list(parameters)
    return [p for p in kept if isinstance(p, DTensor)], [p for p in kept if not isinstance(p, DTensor)]


def gathered(tensors: Mapping[str, Tensor], *, keep: bool) -> dict[str, Tensor]:
    """Copy whole tensors to the processor; all processes must call it, those with `keep` False get nothing."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if keep:
            found[name] = whole.detach().cpu().contiguous()
    return found


def placed(tensor: Tensor, like: Tensor) -> Tensor:
    """Bring a whole tensor to where `like` is, as a part if that is one; all processes must call it."""
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)
