from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.vllm_plugin.steady import SteadyRequests

BLOCK, STOP, POSITIONS = 4, 0, 64


@dataclass(eq=False)
class Request:
    """What vLLM's own has, after its prompt was scheduled: one id is under way."""

    request_id: str
    num_prompt_tokens: int = 5
    max_tokens: int = 40
    num_in_flight_tokens: int = 5
    num_output_placeholders: int = 1
    num_preemptions: int = 0
    is_prefill_chunk: bool = False
    finished: bool = False
    num_computed_tokens: int = 5
    _all_token_ids: list[int] = field(default_factory=lambda: [9] * 5)
    _output_token_ids: list[int] = field(default_factory=list[int])

    def is_finished(self) -> bool:
        return self.finished

    def first_frame(self, one: int = 7) -> None:
        """As vLLM takes it: the prompt's step has come back."""
        self._all_token_ids.append(one)
        self._output_token_ids.append(one)
        self.num_in_flight_tokens -= 5
        self.num_output_placeholders -= 1


@dataclass
class Cached:
    req_ids: list[str] = field(default_factory=list[str])
    new_block_ids: list[None] = field(default_factory=list[None])
    num_computed_tokens: list[int] = field(default_factory=list[int])
    num_output_tokens: list[int] = field(default_factory=list[int])


class Bench:
    def __init__(self, *requests: Request, blocks: int = 4) -> None:
        self.requests = {each.request_id: each for each in requests}
        self.full: list[tuple[str, int]] = []
        self.steady = SteadyRequests(
            block_size=BLOCK,
            max_positions=POSITIONS,
            stop_id=STOP,
            blocks_of=lambda _: blocks,
            block_full=lambda request, length: self.full.append((request.request_id, length)),
        )
        self.steady.learn(requests)

    def split(self, *resting: str) -> tuple[list[str], list[str]]:
        steady, others = self.steady.split(self.requests.values(), resting)
        return [each.request_id for each in steady], [each.request_id for each in others]

    def step(self) -> tuple[Cached, dict[str, int]]:
        steady, _ = self.steady.split(self.requests.values(), ())
        cached, counts = Cached(), dict[str, int]()
        self.steady.schedule(steady, cached, counts)
        return cached, counts

    def update(self, **ids: list[int]) -> dict[str, int]:
        return self.steady.update(dict.fromkeys(ids, 1), self.requests, list(ids), list(ids.values()))


def test_a_stream_is_steady_as_far_as_its_blocks_reach():
    bench = Bench(Request("a"), blocks=2)  # eight positions, of which five are the prompt's
    for _ in range(3):
        assert bench.split() == (["a"], [])
        bench.step()
    assert bench.split() == ([], ["a"])


def test_who_rests_is_neither_steady_nor_anybody_else():
    assert Bench(Request("a"), Request("b")).split("a") == (["b"], [])


def test_a_prompt_that_is_being_read_is_for_vllm():
    assert Bench(Request("a", is_prefill_chunk=True)).split() == ([], ["a"])


def test_who_was_preempted_or_forgotten_is_for_vllm():
    bench = Bench(Request("a", num_preemptions=1), Request("b"), Request("c"))
    bench.steady.forget("b")
    assert bench.split() == (["c"], ["a", "b"])


def test_one_who_was_steady_and_is_preempted_is_so_no_more():
    bench = Bench(request := Request("a"))
    request.num_preemptions = 1
    bench.steady.learn([request])
    assert bench.split() == ([], ["a"])


def test_a_step_says_of_each_what_vllm_says():
    cached, counts = Bench(Request("a")).step()
    assert (cached.req_ids, cached.new_block_ids, counts) == (["a"], [None], {"a": 1})
    assert (cached.num_computed_tokens, cached.num_output_tokens) == ([5], [1])  # before the step; with those under way


def test_the_first_frame_is_left_to_vllm_and_the_next_is_not():
    bench = Bench(request := Request("a"))
    assert bench.update(a=[7]) == {"a": 1}
    request.first_frame()
    bench.step()
    assert bench.update(a=[8]) == {}
    assert (request._all_token_ids[5:], request._output_token_ids) == ([7, 8], [7, 8])
    assert (request.num_output_placeholders, request.num_in_flight_tokens) == (0, 0)


def test_an_end_an_empty_row_and_one_who_has_gone_are_left_to_vllm():
    bench = Bench(a := Request("a"), b := Request("b"))
    a.first_frame()
    b.first_frame()
    bench.step()
    bench.requests.pop("b")
    assert bench.update(a=[STOP], b=[8]) == {"a": 1, "b": 1}
    assert bench.update(a=[]) == {"a": 1}
    assert a._output_token_ids == [7]


def test_the_last_frame_is_left_to_vllm():
    bench = Bench(request := Request("a", max_tokens=3))
    request.first_frame()
    request.num_output_placeholders = 2
    assert bench.update(a=[8]) == {}
    assert bench.update(a=[9]) == {"a": 1}


def test_nobody_goes_past_the_last_position():
    request = Request("a", max_tokens=1000)
    assert Bench(request, blocks=1000).split() == (["a"], [])
    request.num_computed_tokens = POSITIONS - 2
    assert Bench(request, blocks=1000).split() == ([], ["a"])


@given(frames=st.integers(0, 30))
def test_every_block_that_fills_is_told_of_twice_once_its_ids_are_there_and_once_it_is(frames: int):
    bench = Bench(request := Request("a"), blocks=100)
    request.first_frame()
    for frame in range(frames):
        bench.step()
        assert bench.update(a=[10 + frame]) == {}
    lengths = range(7, 7 + frames)
    assert bench.full == [("a", length) for length in lengths if length % BLOCK < 2]
    assert request.num_computed_tokens == len(request._all_token_ids) - 1
