"""Watches that code on a device brings nothing along from the host: what a CUDA graph cannot capture, or waits."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class DeviceOnly(TorchDispatchMode):
    """On the device `meta` reading a value raises by itself; here, so does a tensor from elsewhere."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for leaf in tree_leaves((args, kwargs or {})):
            if isinstance(leaf, torch.Tensor) and leaf.device.type != "meta":
                raise AssertionError(f"{func} takes a tensor of {leaf.device}")
        return func(*args, **(kwargs or {}))
