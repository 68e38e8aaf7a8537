"""CSM in vLLM's second runner, on a GPU. Everything that depends on vLLM's version there is in this file.

Written for 0.26 and 0.28, whose hooks were compared one by one (docs/voice.md has the table). A model's own state
class is vLLM's official way in: requests are added and removed, inputs prepared, and a sampler of ours makes the
frames.
"""
# vLLM is not installed where types are checked:
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
import vllm
from torch import Tensor
from vllm.config import VllmConfig
from vllm.v1.core.sched.output import NewRequestData
from vllm.v1.worker.gpu.input_batch import InputBatch, get_num_sampled_and_rejected
from vllm.v1.worker.gpu.mm.encoder_cache import EncoderCache
from vllm.v1.worker.gpu.model_states.default import DefaultModelState
from vllm.v1.worker.gpu.sample.output import SamplerOutput
from vllm.v1.worker.gpu.sample.sampler import Sampler
from vllm.v1.worker.gpu.states import RequestState

from tts_engine.backend.vllm_plugin.frame_graphs import FrameGraphs
from tts_engine.backend.vllm_plugin.hooks import check, otherwise_called

if TYPE_CHECKING:  # the model names its state class, so it imports this module
    from tts_engine.backend.vllm_plugin.csm_model import CsmForVllm

KNOWN_VERSIONS = ("0.26.", "0.28.")
_SIGNATURES = {
    get_num_sampled_and_rejected: ("num_sampled", "seq_lens", "cu_num_logits", "idx_mapping", "prefill_len"),
    DefaultModelState.__init__: ("self", "vllm_config", "model", "encoder_cache", "device"),
    DefaultModelState.add_request: ("self", "req_index", "new_req_data"),
    DefaultModelState.remove_request: ("self", "req_id"),
    DefaultModelState.prepare_inputs: ("self", "input_batch", "req_states"),
    DefaultModelState.custom_sampler: ("self", "sampler"),
}


def check_hooks() -> None:
    """Raise RuntimeError if this vLLM is not one that this file was written for."""
    tried = vllm.__version__.startswith(KNOWN_VERSIONS)
    faults = [] if tried else [f"its second runner was tried with {', '.join(KNOWN_VERSIONS)}x only"]
    check(vllm.__version__, faults + otherwise_called(_SIGNATURES))


def check_config(vllm_config: VllmConfig) -> None:
    """Raise RuntimeError if vLLM is asked to do what CSM does not."""
    if vllm_config.parallel_config.world_size != 1:
        raise RuntimeError("CSM runs on one GPU; run one engine a GPU")
    if vllm_config.speculative_config is not None or vllm_config.lora_config is not None:
        raise RuntimeError("CSM takes neither speculative decoding nor vLLM's LoRA; its adapter is merged at load")


class CsmState(DefaultModelState):
    def __init__(
        self, vllm_config: VllmConfig, model: CsmForVllm, encoder_cache: EncoderCache | None, device: torch.device
    ) -> None:
        check_hooks()
        check_config(vllm_config)
        super().__init__(vllm_config, model, encoder_cache, device)
        self.csm = model.start(vllm_config)
        # our slot of each of vLLM's rows
        self._slots = torch.full((self.max_num_reqs,), self.csm.scratch, device=device)
        self._ordinals = torch.arange(self.max_num_tokens, device=device, dtype=torch.int32)

    def add_request(self, req_index: int, new_req_data: NewRequestData) -> None:
        super().add_request(req_index, new_req_data)
        extra = (new_req_data.sampling_params.extra_args or {}).get("csm", {})
        known = len(new_req_data.prefill_token_ids)
        slot = self.csm.add(new_req_data.req_id, extra, new_req_data.prompt_token_ids, known=known)
        self._slots[req_index].fill_(slot)  # not by assignment, which waits for the device: see `FrameState.admit`

    def remove_request(self, req_id: str) -> None:
        """Ended, aborted or preempted: the runner does not say which."""
        super().remove_request(req_id)
        self.csm.remove(req_id)

    def prepare_inputs(self, input_batch: InputBatch, req_states: RequestState) -> dict[str, Any]:
        rows, count = input_batch.num_reqs, input_batch.num_tokens
        slots = self._slots[input_batch.idx_mapping[:rows].long()]
        if not input_batch.is_prefilling_np.any():
            self.csm.embed_last(slots)
        else:
            ends = input_batch.query_start_loc[1 : rows + 1]
            row = torch.searchsorted(ends, self._ordinals[:count], right=True).clamp(max=rows - 1)
            self.csm.embed(input_batch.input_ids[:count], input_batch.positions[:count], slots[row])
        return super().prepare_inputs(input_batch, req_states)

    def custom_sampler(self, sampler: Sampler) -> tuple[CsmSampler, None]:
        return CsmSampler(self, self.model, sampler.req_states), None

    def slots_of(self, rows: Tensor) -> Tensor:
        return self._slots[rows.long()]


class CsmSampler:
    """Stands in for vLLM's sampler; the parts of it that the runner touches are here."""

    def __init__(self, state: CsmState, model: CsmForVllm, req_states: RequestState) -> None:
        self._state, self._csm = state, state.csm
        self._model = model
        self._graphs: FrameGraphs | None = None
        self.req_states = req_states
        self.penalties_state = SimpleNamespace(output_bin_counts=None)

    def add_request(self, *_: object) -> None:
        """Our sampling settings came with the request to `CsmState`; from 0.32 on there are fewer arguments."""

    def apply_staged_writes(self) -> None:
        """Nothing is staged."""

    def __call__(self, hidden: Tensor, input_batch: InputBatch) -> SamplerOutput:
        """Make a frame for each row whose prompt is read; `hidden` [rows, hidden] came through `compute_logits`."""
        if self._graphs is None:
            # on vLLM's first dry run, before it sizes the cache, so that the graphs' memory is counted
            self._graphs = self._model.graphs(hidden)
        count = input_batch.num_reqs
        num_sampled, num_rejected = get_num_sampled_and_rejected(
            input_batch.seq_lens.new_ones(count),
            input_batch.seq_lens,
            input_batch.cu_num_logits,
            input_batch.idx_mapping,
            self.req_states.prefill_len.gpu,
        )
        slots = self._state.slots_of(input_batch.idx_mapping[:count]).masked_fill(num_sampled <= 0, self._csm.scratch)
        positions = input_batch.positions[input_batch.logits_indices] + 1
        assert self._graphs is not None
        said = self._graphs.say(hidden, slots, positions)
        self._csm.emit(input_batch.req_ids, said.out)
        # copied: the next step's graph writes to the same place while this one is still on its way to the host
        return SamplerOutput(
            sampled_token_ids=said.ids.to(torch.int32)[:, None],
            logprobs_tensors=None,
            num_nans=None,
            num_sampled=num_sampled,
            num_rejected=num_rejected,
        )
