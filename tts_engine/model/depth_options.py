"""How the depth decoder runs on a GPU; what each choice costs and gains is in docs/benchmarks.md."""

from __future__ import annotations

from dataclasses import dataclass

MOST_SMALL = 32
"""The largest batch that the kernels for small batches take."""


@dataclass(frozen=True, slots=True)
class DepthOptions:
    """Batches of up to `small_batch` rows run `small_depth`'s kernels, larger ones `fused`'s; 0: all do.

    `float8`: the MLP's weights in 8 bits, and beyond `small_batch` its inputs too; codes change. `alone`: a single row
    is multiplied and summed, and attends where it projects; faster, but its rounding is not that of rows in a batch.
    `near`: small kernels overlap their neighbours (programmatic dependent launch, Hopper and later).
    """

    small_batch: int = 0
    float8: bool = False
    alone: bool = False
    near: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.small_batch <= MOST_SMALL:
            raise ValueError(f"small batches are of up to {MOST_SMALL} rows, not {self.small_batch}")
