"""One device or many: who computes what, and sums over all of them.

Processes are started by `accelerate launch` (or torchrun). The loss runs the model's parts rather than the model, so
gradients are summed here, not by a wrapping; each part is divided by the count of the whole step, so the sum is the
gradient of one large batch, whatever the number of devices.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import Tensor, nn

from finetune.training.sharding import part, parted

_BUCKET = 2**26


class Devices:
    """The processes of a run; a single one needs no launcher."""

    def __init__(self, *, sharded: bool = False) -> None:
        self._state = PartialState(cpu=not torch.cuda.is_available())
        self.device = torch.device(self._state.device or "cpu")
        self.rank: int = self._state.process_index
        self.count: int = self._state.num_processes
        self.sharded = sharded and self.count > 1
        """Each holds a part of the layers, so all must run as many batches."""

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Sum over the processes, of a tensor on their devices."""
        return values if self.count == 1 else reduce(values, "sum")  # type: ignore[return-value] - a tensor for one

    def any(self, flag: bool) -> bool:
        """Is it so on any process; all must ask, and all are told the same."""
        return flag if self.count == 1 else bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the gradients over the processes, many in one exchange; one that a process lacks counts as zero."""
        if self.count == 1:
            return
        parts, wholes = parted(parameters)
        for parameter in parts:
            # the backward pass has summed these and divided them by the number of processes
            parameter.grad = None if parameter.grad is None else parameter.grad * self.count
        bucket: list[nn.Parameter] = []
        for parameter in wholes:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            bucket.append(parameter)
            if sum(p.numel() for p in bucket) >= _BUCKET:
                self._sum_bucket(bucket)
                bucket = []
        if bucket:
            self._sum_bucket(bucket)

    def clip(self, parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
        """Scale the gradients so that their norm over all processes is at most `limit`; returns what it was."""
        kept = list(parameters)
        if not self.sharded:
            return nn.utils.clip_grad_norm_(kept, limit)
        parts, wholes = ([part(p.grad) for p in own if p.grad is not None] for own in parted(kept))
        squares = self.sum(nn.utils.get_total_norm(parts) ** 2) + nn.utils.get_total_norm(wholes) ** 2
        norm = squares.sqrt()
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        for gradient in (*parts, *wholes):
            gradient.mul_(scale)
        return norm

    def wait(self) -> None:
        """Wait for all processes."""
        self._state.wait_for_everyone()

    def _sum_bucket(self, bucket: list[nn.Parameter]) -> None:
        gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
        flat = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, own in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(own.view_as(gradient))
