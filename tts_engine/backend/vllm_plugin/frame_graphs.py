"""The whole frame step as one CUDA graph a batch size: 31 passes, the codec and the bookkeeping in one launch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tts_engine.backend.vllm_plugin.runtime import CsmRuntime, Said

BUCKETS = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, *range(256, 512, 64), *range(512, 2049, 128))


@dataclass(frozen=True, slots=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    said: Said


class FrameGraphs:
    """Captures on construction (about a second a bucket); rows are padded to the next bucket."""

    def __init__(self, runtime: CsmRuntime, hidden: Tensor) -> None:
        self._runtime = runtime
        slots = runtime.limits.slots
        sizes = sorted({*(size for size in BUCKETS if size < slots), slots})
        self._hidden = torch.zeros(slots, hidden.shape[1], dtype=hidden.dtype, device=hidden.device)
        self._slots = torch.full((slots,), runtime.scratch, device=hidden.device)
        self._positions = torch.full((slots,), runtime.limits.positions, device=hidden.device)
        self._graphs: dict[int, _Captured] = {}
        self._pool = torch.cuda.graph_pool_handle()  # one for all: no two replays overlap
        for size in reversed(sizes):
            self._graphs[size] = self._capture(size)
        self.sizes = sizes

    def say(self, hidden: Tensor, slots: Tensor, positions: Tensor) -> Said:
        """Do what `CsmRuntime.say` does; what it returns is overwritten by the next call."""
        count = len(hidden)
        size = next(size for size in self.sizes if size >= count)
        self._hidden[:count] = hidden
        self._slots[:count] = slots
        self._slots[count:size] = self._runtime.scratch
        self._positions[:count] = positions
        captured = self._graphs[size]
        captured.graph.replay()
        return Said(captured.said.ids[:count], captured.said.out[:count])

    def _capture(self, size: int) -> _Captured:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):  # libraries choose and allocate on their first calls
                self._step(size)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            said = self._step(size)
        return _Captured(graph, said)

    def _step(self, size: int) -> Said:
        return self._runtime.say(self._hidden[:size], self._slots[:size], self._positions[:size])
