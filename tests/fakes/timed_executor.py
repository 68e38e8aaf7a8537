"""An executor of vLLM without a model: a step takes a fixed time of nobody's, and every stream says noise.

What vLLM's runner for GPUs does for each request on the host is done here too, so that what a step costs the host can
be measured on a processor. Named in `distributed_executor_backend`; runs in vLLM's environment only. A step of all
takes TIMED_STEP_MS of the environment, one of a few a fifth of that at least. Its KV cache has as many blocks as a
GPU's of 80 GB.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import torch
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.executor.abstract import Executor
from vllm.v1.kv_cache_interface import FullAttentionSpec
from vllm.v1.outputs import ModelRunnerOutput

from tts_engine.backend.vllm_plugin.ids import FrameIds
from tts_engine.backend.vllm_plugin.outlet import DirectOutlet, SocketSender
from tts_engine.backend.vllm_plugin.wire import SPOKE, RowFormat
from tts_engine.model.config import CsmConfig

BLOCKS = 160_000
ARGUMENTS: dict[str, Any] = {
    "distributed_executor_backend": "tests.fakes.timed_executor.TimedExecutor",
    "enforce_eager": True,
    "block_size": 16,
    "num_gpu_blocks_override": BLOCKS,
    "max_num_batched_tokens": 8192,
}
"""Of vLLM's engine, in place of those that `runner_arguments` gives."""


class Timed(Future):
    """What a step says, once its time has come."""

    def __init__(self, make: Callable[[], ModelRunnerOutput], due: float) -> None:
        super().__init__()
        self._make, self._due = make, due

    def result(self, timeout: float | None = None) -> ModelRunnerOutput:
        time.sleep(max(0.0, self._due - time.perf_counter()))
        return self._make()


class TimedExecutor(Executor):
    def _init_executor(self) -> None:
        # vLLM refuses on a processor to be asked for what it does on a GPU; its scheduler and loop are made after this
        kind: Any = type(self.vllm_config)
        kind.use_v2_model_runner, kind._validate_v2_model_runner = property(lambda _: True), lambda _: None
        self.scheduler_config.async_scheduling = True
        told = self.vllm_config.additional_config["csm"]
        streams = self.scheduler_config.max_num_seqs
        self.step_s = float(os.environ.get("TIMED_STEP_MS", "0")) / 1000
        self.idle_s, self.steps, self._busy_until = 0.0, 0, 0.0  # `idle_s`: the device had nothing to do
        self._key_of: dict[str, int] = {}
        self._index: dict[str, int] = {}
        self._known, self._prompt = np.zeros(streams * 2, np.int32), np.zeros(streams * 2, np.int32)
        self._free = list(range(streams * 2))
        self._dice = np.random.default_rng(0)
        config = CsmConfig.read(Path(self.model_config.model))
        row = RowFormat(config.mimi.frame_samples, config.num_codebooks)
        # a step says so many of them one after another, from any on: no two streams say the same for long
        self._rows = torch.from_numpy(self._dice.integers(-3000, 3000, (2 * streams, row.width), np.int16))
        codes = self._dice.integers(1, config.codebook_size, (2 * streams, row.codebooks), np.int16)
        self._ids_of = FrameIds(row.codebooks).quoted(codes)  # a turn that quotes them is found in the prefix cache
        self._rows[:, row.samples : row.samples + row.codebooks] = torch.from_numpy(codes)  # a later turn quotes them
        self._rows[:, -1] = SPOKE
        self._outlet = DirectOutlet(SocketSender(Path(told["socket"]), gone=lambda: os._exit(1)))
        self._under_way: queue.Queue[tuple[np.ndarray, int, float]] = queue.Queue(8)
        self.outlet_cpu_s = 0.0
        threading.Thread(target=self._let_out, daemon=True).start()

    def _let_out(self) -> None:
        while True:
            keys, begin, due = self._under_way.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            self._outlet.emit(keys, self._rows[begin : begin + len(keys)])
            self.outlet_cpu_s = time.thread_time()

    def execute_model(self, scheduler_output: SchedulerOutput, non_block: bool = False) -> Future:
        self._ids = self._take(scheduler_output)
        future: Future = Future()
        future.set_result(None if self._ids else ModelRunnerOutput([], {}))
        return future

    def _take(self, output: SchedulerOutput) -> list[str]:
        """What version 2 of vLLM's runner does before it launches anything, request by request."""
        for name in output.finished_req_ids | (output.preempted_req_ids or set()):
            if name in self._index:
                self._free.append(self._index.pop(name))
                del self._key_of[name]
        for new in output.scheduled_new_reqs:
            self._index[new.req_id] = self._free.pop()
            self._known[self._index[new.req_id]] = new.num_computed_tokens
            self._prompt[self._index[new.req_id]] = len(new.prompt_token_ids or ())
            self._key_of[new.req_id] = int((new.sampling_params.extra_args or {}).get("csm", {}).get("key", -1))
        cached = output.scheduled_cached_reqs
        for name, known, blocks in zip(cached.req_ids, cached.num_computed_tokens, cached.new_block_ids, strict=True):
            self._known[self._index[name]] = known
            if blocks is not None:
                self._blocks = blocks
        counts = output.num_scheduled_tokens
        names = sorted(counts, key=lambda name: (False, (many := counts[name]) != 1, many))
        many = np.fromiter(map(counts.__getitem__, names), np.int32, len(names))
        rows = np.fromiter(map(self._index.__getitem__, names), np.intp, len(names))
        self._speaks = (self._known[rows] + many >= self._prompt[rows]).astype(int)
        return names

    def sample_tokens(self, grammar_output: object, non_block: bool = False) -> Future:
        names, now = self._ids, time.perf_counter()
        if self._busy_until and now > self._busy_until:
            self.idle_s += now - self._busy_until
        share = 0.2 + 0.8 * len(names) / max(len(self._index), len(names), 1)
        self._busy_until = max(now, self._busy_until) + self.step_s * share
        self.steps += 1
        keys = np.fromiter((self._key_of.get(name, -1) for name in names), np.int64, len(names))
        begin = int(self._dice.integers(0, len(self._rows) // 2))
        self._under_way.put((keys, begin, self._busy_until))

        speaks, rows = self._speaks.tolist(), len(names)
        made = ModelRunnerOutput(list(names), {name: n for n, name in enumerate(names)})

        def with_ids() -> ModelRunnerOutput:
            ids = self._ids_of[begin : begin + rows, None].tolist()
            for each, many in zip(ids, speaks, strict=True):
                del each[many:]
            made.sampled_token_ids = ids
            return made

        return Timed(with_ids, self._busy_until)

    # what vLLM asks of an executor besides

    def get_kv_cache_specs(self) -> list[dict[str, Any]]:
        size = self.cache_config.block_size
        return [{"layer": FullAttentionSpec(block_size=size, num_kv_heads=1, head_size=16, dtype=torch.bfloat16)}]

    def determine_available_memory(self) -> list[int]:
        return [BLOCKS * self.cache_config.block_size * 64]

    def initialize_from_config(self, kv_cache_configs: object) -> None:
        """Nothing is kept."""

    def compile_or_warm_up_model(self) -> None:
        """Nothing is compiled."""

    def collective_rpc(self, method: object, *_: object, **__: object) -> list[Any]:
        return [("generate",)] if method == "get_supported_tasks" else [None]

    def check_health(self) -> None:
        """There is nothing to fall ill."""

    def shutdown(self) -> None:
        """It ends with its process."""

    @classmethod
    def supports_async_scheduling(cls) -> bool:
        return True
