"""How long a beginning waits in vLLM's scheduler under ours, and why: no GPU, no sockets, no clock but its own.

    V=$(tests/vllm_env.sh --if-built); PYTHONPATH=$PWD $V tests/bench/bench_beginnings.py --streams 1000 1500 2000

vLLM's real scheduler, told what a step brought by a model of the GPU's time (`step_s`, from docs/benchmarks.md) on a
clock that only this script moves: so what it prints does not depend on how busy the machine is. Two steps are under way
as in vLLM's own loop. Callers are those of tests/gpu/streams.py: utterances of 4 to 12 s one after another, one in five
cut off, each a turn of its call that quotes what the call has said. First audio is from the request to the end of the
step that made its first frame: what the server and the listener add is not in it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.v1.engine import EngineCoreRequest
from vllm.v1.engine.core import EngineCore
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import RequestStatus

from tests.fakes.timed_executor import ARGUMENTS, TimedExecutor
from tests.fakes.tiny_csm import write_tiny_csm
from tts_engine.backend.chunking import Chunking
from tts_engine.backend.lead import Leads
from tts_engine.backend.port import SpokenTurn
from tts_engine.backend.vllm_plugin import register, scheduler
from tts_engine.backend.vllm_plugin.ids import FRAME_BASE, STOP_ID
from tts_engine.backend.vllm_plugin.inlet import Inlet
from tts_engine.backend.vllm_plugin.runners import positions_a_step
from tts_engine.backend.vllm_plugin.turns import FEW, MANY, Turns
from tts_engine.engine.history import HistoryLimits, newest_within, remember

FRAME_S = 0.08
_GRAPH = (1, 32, 128, 256, 512, 1024, 2048), (3.58, 6.01, 6.98, 8.45, 12.19, 20.89, 39.62)
"""Rows, and the milliseconds of the frames' graph on an H200 (docs/benchmarks.md)."""

TEXT_IDS = 30
_HEAD = """\
| streams | tokens a step | begun a second | first audio p50 ms | p95 | most | late | worst ms | idle | steps a \
second | step p50 ms | rows | positions read | of a beginning | cached | steps it took p95 | preempted |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""


def step_s(rows: int, positions: int, *, mixed_us: float, row_us: float = 0.0) -> float:
    """Seconds of an H200 for a frame of `rows` streams and `positions` of the backbone, theirs included.

    `mixed_us` is what a row costs besides in a step in which others read their prompts, `row_us` what it costs in all.
    """
    graph = float(np.interp(rows, *_GRAPH))
    backbone = 1.0 + 0.0037 * positions
    mixed = rows * mixed_us / 1000 if positions > rows else 0.0
    return (graph + backbone + mixed + rows * row_us / 1000 + 2.0) / 1000


@dataclass(slots=True)
class Caller:
    """One call: what it has said, and what it says now."""

    number: int
    dice: random.Random
    turns: tuple[SpokenTurn, ...] = ()
    key: str = ""
    said: int = 0
    frames: int = 0
    keep: int | None = None
    asked_at: float = 0.0
    first_at: float = 0.0
    late_s: float = 0.0
    steps: int = 0  # in which its prompt was read
    chunking: Chunking = field(default_factory=lambda: Chunking(frame_s=FRAME_S))  # the server's
    held: int = 0
    sent: int = 0
    count: int = 0


@dataclass(slots=True)
class Found:
    """What is measured."""

    first_s: list[float] = field(default_factory=list[float])
    late: int = 0
    worst_s: float = -1.0  # the latest of all pieces but the first; below 0: early
    idle_s: float = 0.0  # in which the GPU waited for the host
    begun: int = 0
    cached: int = 0
    prompt: int = 0
    steps: list[int] = field(default_factory=list[int])
    step_s: list[float] = field(default_factory=list[float])
    rows: list[int] = field(default_factory=list[int])
    read: list[int] = field(default_factory=list[int])
    preempted: int = 0


class World:
    """Callers, a GPU and vLLM's scheduler."""

    def __init__(self, core: EngineCore, options: argparse.Namespace, streams: int) -> None:
        self.now = 0.0
        self.core, self.scheduler, self.options = core, core.scheduler, options
        scheduler.time = SimpleNamespace(monotonic=lambda: self.now)  # pyright: ignore[reportAttributeAccessIssue] - its clock
        self.found = Found()
        self.callers = [Caller(n, random.Random(n)) for n in range(streams)]
        self.by_key: dict[str, Caller] = {}
        self.asks: list[tuple[float, int]] = []
        for each in self.callers:
            heappush(self.asks, (each.dice.random() * streams / options.arrivals, each.number))
        self.measuring_from = streams / options.arrivals + options.settle
        self.ends_at = self.measuring_from + options.seconds
        self.known: dict[str, int] = {}  # computed positions of who is in the runner
        self.prompts: dict[str, int] = {}

    def begin(self, caller: Caller) -> None:
        """Ask for the next utterance of a call."""
        dice = caller.dice
        caller.count += 1
        caller.frames = dice.randint(50, 150)
        caller.keep = dice.randint(1, caller.frames - 1) if dice.random() < self.options.abort else None
        caller.key = f"{caller.number}-{caller.count}"
        caller.said, caller.asked_at, caller.late_s, caller.steps = 0, self.now, -1.0, 0
        caller.held, caller.sent, caller.chunking = 0, 0, Chunking(frame_s=FRAME_S)
        ids: list[int] = []
        for turn in newest_within(caller.turns, self.options.quote_s):
            ids += text_ids(turn.turn_id)
            if len(turn.codes) < 64 * int(turn.text):  # it was cut off, and so was its text
                ids[-1] += 1
            ids += [frame_id(turn.turn_id, n) for n in range(len(turn.codes) // 64)] + [STOP_ID]
        ids += text_ids(caller.key)
        parameters = SamplingParams(
            temperature=0.0, max_tokens=caller.frames, stop_token_ids=[STOP_ID], detokenize=False,
            extra_args={"csm": {"key": caller.number}},
        )  # fmt: skip
        request = EngineCoreRequest(caller.key, ids, None, parameters, None, self.now, None, None, None)
        self.core.add_request(*self.core.preprocess_add_request(request))
        self.by_key[caller.key] = caller
        self.prompts[caller.key] = len(ids)

    def end(self, caller: Caller) -> None:
        """Keep what was said, and come again when it has been played."""
        del self.by_key[caller.key]
        turn = SpokenTurn(caller.key, "assistant", str(caller.frames), caller.said * FRAME_S, bytes(64 * caller.said))
        caller.turns = remember(caller.turns, turn, HistoryLimits())
        played_at = self.now if caller.keep is not None else caller.first_at + caller.said * FRAME_S
        heappush(self.asks, (max(self.now, played_at) + 0.002, caller.number))
        if self.measured:
            self.found.late += caller.late_s > 0
            self.found.worst_s = max(self.found.worst_s, caller.late_s)

    @property
    def measured(self) -> bool:
        return self.now >= self.measuring_from

    def schedule(self) -> tuple[Any, float, float]:
        """Schedule a step; says how long it takes the GPU, and the host to launch it and again to take its outcome."""
        output = self.scheduler.schedule()
        rows = 0
        for new in output.scheduled_new_reqs:
            self.known[new.req_id] = new.num_computed_tokens
            if self.measured:
                self.found.begun += 1
                self.found.cached += new.num_computed_tokens
                self.found.prompt += len(new.prompt_token_ids or ())
        cached = output.scheduled_cached_reqs
        self.known.update(zip(cached.req_ids, cached.num_computed_tokens, strict=True))
        for name, count in output.num_scheduled_tokens.items():
            rows += self.known[name] + count >= self.prompts[name]
            if self.known[name] < self.prompts[name] and name in self.by_key:
                self.by_key[name].steps += 1
        tokens = output.total_num_scheduled_tokens
        took = step_s(rows, tokens, mixed_us=self.options.mixed_us, row_us=self.options.row_us) if tokens else 0.002
        if output.scheduled_new_reqs:
            took += self.options.behind_ms / 1000
        if self.measured and tokens:
            self.found.step_s.append(took)
            self.found.rows.append(rows)
            self.found.read.append(tokens - rows)
            self.found.preempted += len(output.preempted_req_ids or ())
        computed = [self.known[name] for name in output.num_scheduled_tokens]
        return (output, computed), took, self.options.host_us * rows / 2e6

    def heard(self, step: tuple[Any, list[int]]) -> None:
        """Take what a step brought."""
        output, computed = step
        names = list(output.num_scheduled_tokens)
        ids: list[list[int]] = []
        over: list[Caller] = []
        for name, known in zip(names, computed, strict=True):
            place = known + output.num_scheduled_tokens[name] - self.prompts[name]
            if place < 0:
                ids.append([])
                continue
            ids.append([frame_id(name, place)])
            caller = self.by_key.get(name)
            if caller is not None and self.frame(caller):
                over.append(caller)
        made = ModelRunnerOutput(names, {name: n for n, name in enumerate(names)}, ids)
        self.scheduler.update_from_output(output, made)
        for caller in over:
            if caller.keep is not None:
                self.scheduler.finish_requests(caller.key, RequestStatus.FINISHED_ABORTED)
            self.end(caller)

    def frame(self, caller: Caller) -> bool:
        """Hear one frame; says whether it is the last."""
        caller.said += 1
        caller.held += 1
        last = caller.said >= caller.frames
        if not caller.chunking.due(caller.held, now=self.now) and not last:
            return False
        if not caller.sent:
            caller.first_at = self.now
            if self.measured:
                self.found.first_s.append(self.now - caller.asked_at)
                self.found.steps.append(caller.steps)
        else:
            caller.late_s = max(caller.late_s, self.now - caller.first_at - caller.sent * FRAME_S)
        caller.sent += caller.held
        caller.held = 0
        return last or caller.sent >= (caller.keep or caller.frames)

    def run(self) -> Found:
        """Two steps under way, until it is over."""
        queue: list[tuple[Any, float, float]] = []
        free_at = 0.0  # the GPU
        while self.now < self.ends_at:
            while self.asks and self.asks[0][0] <= self.now:
                self.begin(self.callers[heappop(self.asks)[1]])
            step, took, host_s = self.schedule()
            self.now += host_s
            if self.measured and queue:
                self.found.idle_s += max(0.0, self.now - free_at)
            free_at = max(free_at, self.now) + took
            queue.append((step, free_at, host_s))
            if len(queue) == 2:
                step, done_at, host_s = queue.pop(0)
                self.now = max(self.now, done_at)
                self.heard(step)
                self.now += host_s
        return self.found


def text_ids(name: str) -> list[int]:
    """Ids of an utterance's text: its own."""
    return [1 + hash((name, n)) % 2**17 for n in range(TEXT_IDS)]


def frame_id(name: str, number: int) -> int:
    """Return the id of a frame, the same when it is quoted."""
    return FRAME_BASE + hash((name, "frame", number)) % 2**29


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    register()
    print(_HEAD, flush=True)
    for streams in options.streams:
        place = Path(tempfile.mkdtemp())
        Inlet(place / "frames.sock", lambda *_: None, lambda: None)
        arguments = {**ARGUMENTS, "max_num_batched_tokens": options.tokens or positions_a_step(options.slots)}
        config = AsyncEngineArgs(
            model=str(write_tiny_csm(place / "tiny")), skip_tokenizer_init=True, max_model_len=2048,
            max_num_seqs=options.slots, disable_log_stats=True,
            scheduler_cls="tts_engine.backend.vllm_plugin.scheduler.LeadAwareScheduler",
            additional_config={"csm": {"socket": str(place / "frames.sock"), "frame_s": FRAME_S}}, **arguments,
        ).create_engine_config()  # fmt: skip
        core = EngineCore(config, TimedExecutor, log_stats=False)
        if options.plenty_s:
            core.scheduler._leads = Leads(frame_s=FRAME_S, plenty_s=options.plenty_s, little_s=options.little_s)
        core.scheduler._turns = Turns(few=options.few, many=options.many)
        began = time.thread_time()
        world = World(core, options, streams)
        f = world.run()
        first = np.array(f.first_s) * 1000
        seconds = options.seconds
        waits = Counter(f.steps)
        print(
            f"| {streams:,} | {core.scheduler.max_num_scheduled_tokens} | {f.begun / seconds:.0f} |"
            f" {np.percentile(first, 50):.0f} | {np.percentile(first, 95):.0f} | {first.max():.0f} | {f.late} |"
            f" {f.worst_s * 1000:.0f} | {f.idle_s / seconds:.0%} |"
            f" {len(f.step_s) / seconds:.1f} | {np.median(f.step_s) * 1000:.0f} | {np.mean(f.rows):.0f} |"
            f" {np.mean(f.read):.0f} | {f.prompt / max(f.begun, 1):.0f} | {f.cached / max(f.prompt, 1):.0%} |"
            f" {np.percentile(f.steps, 95):.0f} | {f.preempted} |",
            flush=True,
        )
        print(f"  cpu {time.thread_time() - began:.0f} s; steps {sorted(waits.items())[:8]}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[2000])
    parser.add_argument("--slots", type=int, default=2048)
    parser.add_argument("--tokens", type=int, help="in a step at most; without it what the server asks vLLM for")
    parser.add_argument("--arrivals", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--settle", type=float, default=0.0, help="seconds after all have begun that do not count")
    parser.add_argument(
        "--behind-ms", type=float, default=0.0, help="for which the GPU waits for the host in a step with beginnings"
    )
    parser.add_argument("--host-us", type=float, default=0.0, help="of the host for a row: half before, half after")
    parser.add_argument("--mixed-us", type=float, default=0.0, help="what a row costs more beside a beginning")
    parser.add_argument("--row-us", type=float, default=0.0, help="what a row costs more than the table says")
    parser.add_argument("--few", type=int, default=FEW, help="up to so many streams speak beside beginnings")
    parser.add_argument("--many", type=int, default=MANY, help="beyond so many these have two steps in a row")
    parser.add_argument("--plenty-s", type=float)
    parser.add_argument("--little-s", type=float, default=0.5)
    parser.add_argument("--quote-s", type=float, default=20.0)
    parser.add_argument("--abort", type=float, default=0.2)
    main(parser.parse_args())
