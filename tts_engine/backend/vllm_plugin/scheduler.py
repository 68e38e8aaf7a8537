"""vLLM's scheduler, told who may rest (see `lead`), and silent about frames, which leave by the outlet."""
# vLLM is not installed where types are checked:
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import time

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.engine import EngineCoreOutputs

from tts_engine.backend.vllm_plugin.lead import Leads

_LIMITS = ("max_num_running_reqs", "max_num_active_reqs")
"""What vLLM holds the number of running requests against; the second from 0.32 on."""


class LeadAwareScheduler(AsyncScheduler):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._leads = Leads(frame_s=self.vllm_config.additional_config["csm"]["frame_s"])

    def schedule(self, *args: object, **kwargs: object) -> SchedulerOutput:
        """Schedule a step without those who rest: for vLLM they are not there, but their places are taken."""
        made = [(each.request_id, each.num_output_tokens + each.num_output_placeholders) for each in self.running]
        names = self._leads.resting(made, waiting=bool(self.waiting), now=time.monotonic())
        if not names:
            return super().schedule(*args, **kwargs)
        resting = [each for each in self.running if each.request_id in names]
        self.running = [each for each in self.running if each.request_id not in names]
        self._take_places(len(resting))
        try:
            return super().schedule(*args, **kwargs)
        finally:
            self._take_places(-len(resting))
            self.running = resting + self.running  # the last are the first that vLLM preempts: the newest

    def _take_places(self, count: int) -> None:
        for limit in _LIMITS:
            if hasattr(self, limit):
                setattr(self, limit, getattr(self, limit) - count)

    def update_from_output(self, *args: object, **kwargs: object) -> dict[int, EngineCoreOutputs]:
        """Tell the front end of beginnings, ends and events (of which there are none without statistics) only.

        At 1,000 streams the rest is 12,500 messages a second to pack, unpack and forget.
        """
        outputs = super().update_from_output(*args, **kwargs)
        for each in outputs.values():
            each.outputs = [
                one for one in each.outputs if one.finish_reason is not None or one.prefill_stats or one.events
            ]
        return outputs
