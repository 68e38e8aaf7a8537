"""Requests whose next step is one more frame and nothing else: no block to find, no end in sight.

vLLM's scheduler looks at every request from all sides in every step, 18 us of it; at 2,048 streams that is 37 ms of
the 80 (docs/benchmarks.md). A stream that speaks needs none of it but where its blocks end and where it ends itself:
here its counts are moved on alone, and vLLM is shown the others. They are the counts that vLLM moves (versions 0.26
to 0.28, `Scheduler._update_after_schedule`, `AsyncScheduler._update_request_with_output`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol


class Speaking(Protocol):
    """What is used of vLLM's `Request`."""

    request_id: str
    num_prompt_tokens: int
    num_computed_tokens: int  # those of steps under way, too
    num_in_flight_tokens: int  # of steps under way
    num_output_placeholders: int  # ids that steps under way will bring
    num_preemptions: int
    max_tokens: int
    is_prefill_chunk: bool
    _all_token_ids: list[int]
    _output_token_ids: list[int]

    def is_finished(self) -> bool: ...


class SteadyRequests:
    """Knows of each request how far it may go unseen.

    `blocks_of` says how many blocks a request has. `block_full` is told of a request and how many ids it has, when they
    have just filled a block and when the first of the next has come: then the block is in the device's cache, too.
    """

    def __init__(
        self,
        *,
        block_size: int,
        max_positions: int,
        stop_id: int,
        blocks_of: Callable[[str], int],
        block_full: Callable[[Any, int], None],
    ) -> None:
        self._block_size, self._max_positions, self._stop_id = block_size, max_positions, stop_id
        self._blocks_of, self._block_full = blocks_of, block_full
        self._until: dict[str, int] = {}  # computed tokens at which vLLM is to look at the request again
        self._ends_at: dict[str, int] = {}  # ids that it has at its end

    def learn(self, requests: Iterable[Speaking]) -> None:
        """Look at requests that vLLM has just scheduled. Who was preempted once is never steady again: it is rare."""
        for each in requests:
            name = each.request_id
            if each.is_prefill_chunk or each.num_preemptions or each.is_finished():
                self.forget(name)
                continue
            ends_at = min(each.num_prompt_tokens + each.max_tokens, self._max_positions)
            # vLLM stops to schedule two short of the end, when ids under way may be the last
            self._until[name] = min(self._blocks_of(name) * self._block_size, ends_at - 2)
            self._ends_at[name] = ends_at

    def forget(self, name: str) -> None:
        """Leave a request to vLLM: it has ended, was aborted or preempted."""
        self._until.pop(name, None)
        self._ends_at.pop(name, None)

    def split(self, running: Iterable[Speaking], resting: Collection[str]) -> tuple[list[Speaking], list[Speaking]]:
        """Return who is steady, and who is to be scheduled by vLLM; `resting` are neither."""
        steady, others = list[Speaking](), list[Speaking]()
        until = self._until
        for each in running:
            if resting and each.request_id in resting:
                continue
            if each.num_computed_tokens < until.get(each.request_id, 0):
                steady.append(each)
            else:
                others.append(each)
        return steady, others

    def schedule(self, steady: Sequence[Speaking], cached: Any, counts: dict[str, int]) -> None:  # noqa: ANN401 - vLLM's `CachedRequestData`
        """Add a step of one frame each to `cached` and to `counts`, which vLLM has filled with the others."""
        names = [each.request_id for each in steady]
        cached.req_ids.extend(names)
        cached.new_block_ids.extend([None] * len(names))
        cached.num_computed_tokens.extend([each.num_computed_tokens for each in steady])
        # of a steady request all ids are computed but the one that this step puts in
        cached.num_output_tokens.extend([each.num_computed_tokens + 1 - each.num_prompt_tokens for each in steady])
        counts.update(dict.fromkeys(names, 1))
        for each in steady:
            each.num_computed_tokens += 1
            each.num_in_flight_tokens += 1
            each.num_output_placeholders += 1

    def update(
        self,
        counts: Mapping[str, int],
        requests: Mapping[str, Any],
        names: Sequence[str],
        ids: Sequence[Sequence[int]],
    ) -> dict[str, int]:
        """Take what a step brought, `ids` of `names`, and return the counts of those that vLLM is to look at."""
        others: dict[str, int] = {}
        ends_at, block_size, stop_id = self._ends_at, self._block_size, self._stop_id
        for name, brought in zip(names, ids, strict=True):
            end, request = ends_at.get(name, 0), requests.get(name)
            if request is None or len(brought) != 1:
                others[name] = counts[name]
                continue
            known, said, one = request._all_token_ids, request._output_token_ids, brought[0]  # noqa: SLF001 - as vLLM's own scheduler
            length = len(known) + 1
            # the first frame and the last are vLLM's, which tells of them
            if length >= end or one == stop_id or not said:
                others[name] = counts[name]
                continue
            known.append(one)
            said.append(one)
            request.num_in_flight_tokens -= 1
            request.num_output_placeholders -= 1
            if length % block_size < 2:
                self._block_full(request, length)
        return others
