"""CSM in vLLM's first runner, on a processor: for tests. Scheduler, prefix cache and blocks are those of a GPU.

Written for vLLM 0.28; the hooks have the same names from 0.26 to 0.32. `worker_cls` names `CsmCpuWorker`.
"""
# vLLM is not installed where types are checked:
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from vllm.sequence import IntermediateTensors
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.outputs import SamplerOutput
from vllm.v1.spec_decode.metadata import SpecDecodeMetadata
from vllm.v1.worker.cpu_model_runner import CPUModelRunner
from vllm.v1.worker.cpu_worker import CPUWorker

from tts_engine.backend.vllm_plugin.runtime import CsmRuntime


class CsmCpuRunner(CPUModelRunner):
    csm: CsmRuntime

    def _update_states(self, scheduler_output: SchedulerOutput) -> Callable | None:
        """Requests come and go; those that are preempted are in neither list and keep their slot."""
        for request_id in scheduler_output.finished_req_ids:  # ended or aborted
            self.csm.remove(request_id, finished=True)
        for new in scheduler_output.scheduled_new_reqs:
            extra = (new.sampling_params.extra_args or {}).get("csm", {})
            self.csm.add(new.req_id, extra, new.prompt_token_ids, known=len(new.prompt_token_ids))
        return super()._update_states(scheduler_output)

    def _preprocess(
        self,
        scheduler_output: SchedulerOutput,
        num_input_tokens: int,
        intermediate_tensors: IntermediateTensors | None = None,
    ) -> tuple:
        """Put the embeddings in place: here the batch has its final order."""
        prepared = super()._preprocess(scheduler_output, num_input_tokens, intermediate_tensors)
        input_ids, _, positions, *_ = prepared
        request_ids = self.input_batch.req_ids
        counts = [scheduler_output.num_scheduled_tokens[request_id] for request_id in request_ids]
        slots = np.array([self.csm.slot(request_id) for request_id in request_ids])
        total = sum(counts)
        self.csm.embed(input_ids[:total], positions[:total], torch.from_numpy(np.repeat(slots, counts)))
        unfinished = self.discard_request_mask.np[: len(request_ids)]
        self._csm_slots = torch.from_numpy(np.where(unfinished, self.csm.scratch, slots))
        self._csm_positions = positions[torch.from_numpy(np.cumsum(counts) - 1)] + 1
        return prepared

    def _sample(self, logits: Tensor, spec_decode_metadata: SpecDecodeMetadata | None) -> SamplerOutput:  # noqa: ARG002 - vLLM's signature
        """Make the frame; `logits` are the states of one row a request."""
        said = self.csm.say(logits, self._csm_slots, self._csm_positions)
        self.csm.emit(self.input_batch.req_ids, said.out)
        return SamplerOutput(said.ids.to(torch.int32)[:, None], None)


class CsmCpuWorker(CPUWorker):
    def init_device(self) -> None:
        super().init_device()
        if type(self.model_runner) is not CPUModelRunner:
            raise TypeError(f"CSM on a processor needs CPUModelRunner, not {type(self.model_runner).__name__}")
        self.model_runner.__class__ = CsmCpuRunner

    def load_model(self, *, load_dummy_weights: bool = False) -> None:
        super().load_model(load_dummy_weights=load_dummy_weights)
        self.model_runner.csm = self.model_runner.get_model().start(self.vllm_config)
