"""Watches that code on a device brings nothing along from the host: what a CUDA graph cannot capture, or waits."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class DeviceOnly(TorchDispatchMode):
    """On the device `meta` reading a value raises by itself; here, so does a tensor from elsewhere.

    And so does a number that becomes a tensor, as in `tensor[row] = 1`: it is made here, and copied with a wait.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.scalar_tensor.default:
            raise AssertionError("a number becomes a tensor of the host's, and is copied")
        for leaf in tree_leaves((args, kwargs or {})):
            if isinstance(leaf, torch.Tensor) and leaf.device.type != "meta":
                raise AssertionError(f"{func} takes a tensor of {leaf.device}")
        return func(*args, **(kwargs or {}))
