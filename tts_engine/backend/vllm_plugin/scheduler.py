"""vLLM's scheduler, told who may rest (`..lead`), spared those of whom there is nothing to say (`steady`), and silent.

Frames leave by the outlet; the front end hears of beginnings and ends only.
"""
# vLLM is not installed where types are checked:
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Iterable

import vllm
from vllm.v1.core.block_pool import BlockPool
from vllm.v1.core.kv_cache_manager import KVCacheManager
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.interface import PauseState
from vllm.v1.core.sched.output import CachedRequestData, SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
from vllm.v1.kv_cache_interface import FullAttentionSpec
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request

from tts_engine.backend.lead import Leads
from tts_engine.backend.vllm_plugin.hooks import (
    attributes,
    attributes_set,
    check,
    missing,
    otherwise_called,
    unknown,
)
from tts_engine.backend.vllm_plugin.ids import STOP_ID
from tts_engine.backend.vllm_plugin.short_turns import take_short_turns
from tts_engine.backend.vllm_plugin.steady import SteadyRequests
from tts_engine.backend.vllm_plugin.turns import For, Turns

_LIMITS = ("max_num_running_reqs", "max_num_active_reqs")
"""What vLLM holds the number of running requests against; the second from 0.32 on."""

_BLOCKS_AHEAD = 3
"""Found together with the one that is needed, so that a stream looks for blocks every fourth time: 5 s of sound."""

_SELDOM = 200
"""Walks of Python's collector over the young before one over all: 28 ms at 2,048 requests, once a minute or so."""

_SIGNATURES = {
    AsyncScheduler.update_from_output: ("self", "scheduler_output", "model_runner_output"),
    AsyncScheduler._preempt_request: ("self", "request"),  # noqa: SLF001 - overridden below
    KVCacheManager.get_block_ids: ("self", "request_id"),
    KVCacheManager.cache_blocks: ("self", "request", "num_computed_tokens"),
    BlockPool.get_num_free_blocks: ("self",),
    Request.update_block_hashes: ("self",),
    Request.is_finished: ("self",),
}
_OF_A_REQUEST = (
    *("request_id", "num_prompt_tokens", "num_computed_tokens", "num_in_flight_tokens", "num_output_placeholders"),
    *("num_preemptions", "max_tokens", "is_prefill_chunk", "_all_token_ids", "_output_token_ids"),
)
_OF_A_SCHEDULER = (
    *("running", "waiting", "requests", "finished_req_ids", "kv_cache_manager", "kv_cache_config", "connector"),
    *("max_num_running_reqs", "max_num_scheduled_tokens", "max_model_len", "block_size", "hash_block_size"),
    *("num_lookahead_tokens", "prev_step_scheduled_req_ids", "use_v2_model_runner", "_pause_state", "vllm_config"),
)
_OF_A_STEP = ("scheduled_cached_reqs", "num_scheduled_tokens", "total_num_scheduled_tokens")
_OF_OLD_REQUESTS = {
    *("req_ids", "new_block_ids", "num_computed_tokens", "num_output_tokens"),  # `SteadyRequests.schedule` fills these
    *("resumed_req_ids", "new_token_ids", "all_token_ids"),  # these are not of requests that go on
}
_MOVED = {
    *("num_computed_tokens", "num_in_flight_tokens", "num_output_placeholders"),  # `SteadyRequests` moves these
    *("is_prefill_chunk", "status", "stop_reason", "resumable"),  # these do not change
    "async_tokens_to_discard",  # 0.26: of who was preempted, and is never steady again
    # not ours: of connectors, pipelines and speculation
    *("last_sched_seq", "next_decode_eligible_step", "spec_token_ids", "_spec_token_placeholders"),
    *("finished_req_ids", "reset_preempted_req_ids"),  # the scheduler's own
    *("has_structured_output_requests", "pending_structured_output_tokens"),
}
"""What vLLM sets when a step is scheduled and when a request's id has come, in the versions that were compared."""


def check_scheduler() -> None:
    """Raise RuntimeError if this vLLM's scheduler is not one that this file and `steady` were written for."""
    moved = attributes_set(AsyncScheduler, "_update_after_schedule", "_update_request_with_output")
    cached = [each.name for each in dataclasses.fields(CachedRequestData)]
    check(
        vllm.__version__,
        [
            *otherwise_called(_SIGNATURES, more=True),
            *missing("Scheduler", attributes(Scheduler), _OF_A_SCHEDULER),
            *missing("Request", attributes(Request), _OF_A_REQUEST),
            *missing("SchedulerOutput", [each.name for each in dataclasses.fields(SchedulerOutput)], _OF_A_STEP),
            *missing("CachedRequestData", cached, _OF_OLD_REQUESTS),
            *unknown("CachedRequestData", cached, _OF_OLD_REQUESTS),
            *unknown("what a scheduled request is changed in", moved, _MOVED),
            *missing("EngineCoreOutput", dir(EngineCoreOutput), ("finish_reason", "prefill_stats", "events")),
            *missing("EngineCoreOutputs", dir(EngineCoreOutputs), ("finished_requests", "scheduler_stats", "outputs")),
        ],
    )


class LeadAwareScheduler(AsyncScheduler):
    def __init__(self, *args: object, **kwargs: object) -> None:
        check_scheduler()
        super().__init__(*args, **kwargs)
        gc.set_threshold(*gc.get_threshold()[:2], _SELDOM)
        take_short_turns()
        settings = self.vllm_config.additional_config["csm"]
        self._leads: Leads[str] = Leads(frame_s=settings["frame_s"])
        self._turns = Turns(**settings.get("turns", {}))
        blocks = self.kv_cache_manager
        self._steady = SteadyRequests(
            block_size=self.block_size,
            max_positions=self.max_model_len,
            stop_id=STOP_ID,
            blocks_of=lambda name: len(blocks.get_block_ids(name)[0]),
            block_full=self._block_full,
        )
        groups = self.kv_cache_config.kv_cache_groups
        self._able = (
            len(groups) == 1
            and isinstance(groups[0].kv_cache_spec, FullAttentionSpec)
            and groups[0].kv_cache_spec.block_size == self.block_size == self.hash_block_size
            and self.connector is None
            and not self.num_lookahead_tokens  # of speculative decoding
        )
        if self._able:
            self.num_lookahead_tokens = _BLOCKS_AHEAD * self.block_size

    def schedule(self, *args: object, **kwargs: object) -> SchedulerOutput:
        """Schedule a step: for vLLM, who rests or is steady is not there, but its place and its token are taken."""
        for name in self.finished_req_ids:
            self._steady.forget(name)
        resting = self._leads.resting(self._frames, waiting=bool(self.waiting), now=time.monotonic())
        steady, others = self._steady.split(self.running, resting)
        free = self.max_num_running_reqs - len(self.running)  # places
        if steady and not self._may_skip(steady):
            others = [each for each in self.running if each.request_id not in resting]
            steady = []
        else:
            reading = [each for each in others if each.is_prefill_chunk]
            whose = self._turns.next(waiting=min(len(self.waiting), free) + len(reading), speaking=len(steady))
            if whose is For.BEGINNINGS:
                steady, others = [], reading
            elif whose is For.SPEECH:
                others = [each for each in others if not each.is_prefill_chunk]
                free = 0
        before, self.running = self.running, others.copy()
        shown = len(others)
        hidden = self.max_num_running_reqs - free - shown
        self._take_places(hidden, len(steady))
        try:
            output = super().schedule(*args, **kwargs)
        finally:
            self._take_places(-hidden, -len(steady))
            begun = self.running[shown:]
            if len(self.running) < shown:  # some were preempted, so none was begun
                gone = {id(each) for each in others[len(self.running) :]}
                before = [each for each in before if id(each) not in gone]
            self._steady.learn(self.running)
            self.running = before + begun  # by age: the last are the first that vLLM preempts
        if steady:
            self._add(steady, output)
        return output

    def _frames(self) -> list[tuple[str, int]]:
        return [
            (each.request_id, len(each._output_token_ids) + each.num_output_placeholders)  # noqa: SLF001 - as vLLM's own
            for each in self.running
        ]

    def _may_skip(self, steady: list[Request]) -> bool:
        """Whether no block can be short in this step, for then vLLM chooses among all whom to preempt."""
        most = (1 + _BLOCKS_AHEAD) * len(self.running) + self.max_num_scheduled_tokens // self.block_size
        return (
            self._able
            and self._pause_state == PauseState.UNPAUSED
            and len(steady) < self.max_num_scheduled_tokens
            and self.kv_cache_manager.block_pool.get_num_free_blocks() > most
            # vLLM's first runner is told anew of those who were not in the step before
            and (self.use_v2_model_runner or self.prev_step_scheduled_req_ids.issuperset(_names(steady)))
        )

    def _add(self, steady: list[Request], output: SchedulerOutput) -> None:
        self._steady.schedule(steady, output.scheduled_cached_reqs, output.num_scheduled_tokens)
        output.total_num_scheduled_tokens += len(steady)
        if not self.use_v2_model_runner:
            self.prev_step_scheduled_req_ids.update(_names(steady))

    def _take_places(self, places: int, tokens: int) -> None:
        self.max_num_scheduled_tokens -= tokens
        for limit in _LIMITS:
            if hasattr(self, limit):
                setattr(self, limit, getattr(self, limit) - places)

    def _preempt_request(self, request: Request, *args: object, **kwargs: object) -> None:
        self._steady.forget(request.request_id)
        super()._preempt_request(request, *args, **kwargs)

    def _block_full(self, request: Request, length: int) -> None:
        """Let the prefix cache have a block: its hash when its ids are there, itself a step later, when it is."""
        if length % self.block_size == 0:
            request.update_block_hashes()
        else:
            self.kv_cache_manager.cache_blocks(request, length - 1)

    def update_from_output(
        self, scheduler_output: SchedulerOutput, model_runner_output: ModelRunnerOutput
    ) -> dict[int, EngineCoreOutputs]:
        """Tell the front end of beginnings, ends and events (of which there are none without statistics) only.

        At 1,000 streams the rest is 12,500 messages a second to pack, unpack and forget.
        """
        if self._able and model_runner_output.sampled_token_ids:
            scheduler_output.num_scheduled_tokens = self._steady.update(
                scheduler_output.num_scheduled_tokens,
                self.requests,
                model_runner_output.req_ids,
                model_runner_output.sampled_token_ids,
            )
        outputs = super().update_from_output(scheduler_output, model_runner_output)
        for each in outputs.values():
            each.outputs = [
                one for one in each.outputs if one.finish_reason is not None or one.prefill_stats or one.events
            ]
        return {client: each for client, each in outputs.items() if each.outputs or _tells(each)}


def _names(requests: Iterable[Request]) -> list[str]:
    return [each.request_id for each in requests]


def _tells(outputs: EngineCoreOutputs) -> bool:
    return outputs.finished_requests is not None or outputs.scheduler_stats is not None
