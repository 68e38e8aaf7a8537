"""How long a frame takes on a GPU at 1 to 1,024 streams, and in what.

    PYTHONPATH=. python tests/gpu/bench_frame.py [--vllm]

Weights are random, of CSM-1B's sizes: all that time depends on. Without --vllm: depth decoder, Mimi and
the whole step, each as a CUDA graph. With it, vLLM too: its backbone by events around its own graph, and what is left
of a step is the host. Each stands before its floor (rooflines.py). 80 ms is real time. Run it twice at each size
before believing it: Triton compiles on first use.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from tests.gpu import rooflines
from tests.gpu.stand import Stand, fill_randomly, vllm_stand, write_csm_1b_config
from tts_engine.backend.vllm_plugin import runtime as runtime_module
from tts_engine.backend.vllm_plugin.frame_graphs import FrameGraphs
from tts_engine.backend.vllm_plugin.outlet import RingOutlet
from tts_engine.backend.vllm_plugin.runtime import CsmRuntime, Limits
from tts_engine.backend.vllm_plugin.wire import RowFormat
from tts_engine.model.config import CsmConfig
from tts_engine.model.frame import FrameDecoder
from tts_engine.model.mimi.decoder import MimiDecoder
from tts_engine.model.prompt import Prompt

SIZES = (1, 32, 128, 256, 512, 1024, 2048)
SAMPLING = {"temperature": 0.9, "depth_temperature": 0.9, "top_k": 50}
PROMPT = 240  # and some 60 frames said: 300 positions in the middle of the run


def timed(work: Callable[[], object], *, times: int = 20) -> float:
    """Milliseconds on the GPU."""
    for _ in range(3):
        work()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(times):
        work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / times


def captured(work: Callable[[], object]) -> torch.cuda.CUDAGraph:
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


@torch.inference_mode()
def bench_parts(
    codec_dtype: torch.dtype, sizes: Sequence[int], ends: float, *, alone: bool, codec_fused: bool
) -> dict[int, tuple[float, float, float]]:
    """Depth decoder, Mimi, and the whole frame step in milliseconds, by number of streams; none begins after `ends`."""
    config = CsmConfig.from_hf({})
    with torch.device("cuda"):
        frames = FrameDecoder(config).to(torch.bfloat16)
        mimi = MimiDecoder(config.mimi).to(codec_dtype)
    fill_randomly(frames)
    fill_randomly(mimi)
    width = RowFormat(config.mimi.frame_samples, config.num_codebooks).width
    limits = Limits(requests=max(sizes), positions=2048, tokens=2 * max(sizes), spare_slots=0)

    def nobody(keys: object, rows: object) -> None:
        """Nobody listens."""

    outlet = RingOutlet(nobody, rows=limits.slots, width=width)
    runtime = CsmRuntime(frames, mimi, limits, outlet, nobody, depth_alone=alone, codec_fused=codec_fused)
    runtime.state.mimi.position.fill_(config.mimi.window)  # as after ten seconds: the whole window is read
    began = time.perf_counter()
    graphs = FrameGraphs(runtime, torch.zeros(1, config.backbone.hidden_size, dtype=torch.bfloat16, device="cuda"))
    torch.cuda.synchronize()
    took = f"{len(graphs.sizes)} graphs in {time.perf_counter() - began:.1f} s"
    print(f"depth decoder: {runtime.depth}; codec: {runtime.codec}; {took}")
    results: dict[int, tuple[float, float, float]] = {}
    print("| streams | depth ms | Mimi ms | frame step ms |\n|--:|--:|--:|--:|")
    for size in sizes:
        if time.monotonic() > ends:
            print("no time for the rest", flush=True)
            break
        hidden = torch.randn(size, config.backbone.hidden_size, dtype=torch.bfloat16, device="cuda")
        slots, positions = torch.arange(size, device="cuda"), torch.full((size,), 100, device="cuda")
        every = torch.ones(size, dtype=torch.bool, device="cuda")
        codes = torch.zeros(size, 1, config.num_codebooks, dtype=torch.int64, device="cuda")
        depth = captured(lambda h=hidden, s=slots: frames(h, s, runtime.state.frames))
        decode = partial(runtime.decode, codes, runtime.state.mimi, slots=slots, active=every, fresh=~every)
        codec = captured(decode)
        whole = timed(lambda h=hidden, s=slots, p=positions: graphs.say(h, s, p))
        results[size] = timed(depth.replay), timed(codec.replay), whole
        print(f"| {size} | {results[size][0]:.2f} | {results[size][1]:.2f} | {whole:.2f} |", flush=True)
    runtime.close()
    return results


def bench_vllm(stand: Stand, size: int) -> tuple[float, float, float]:
    """Milliseconds of a step, of the backbone in it, and to the first frame of all, at `size` streams."""
    manager, events = stand.runner.cudagraph_manager, list[tuple[torch.cuda.Event, torch.cuda.Event]]()
    plain = manager.run_fullgraph

    def watched(*arguments: object) -> object:
        pair = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        pair[0].record()
        output = plain(*arguments)
        pair[1].record()
        events.append(pair)
        return output

    def run(frames: int, key: int) -> tuple[float, float]:
        stand.listener.forget()
        began = time.perf_counter()
        for row in range(size):
            tokens = np.random.default_rng(key + row).integers(10, 100_000, PROMPT).astype(np.int32)
            codes = np.zeros((PROMPT, stand.config.num_codebooks), np.int16)
            stand.submit(key + row, Prompt.of(tokens, codes), frames, {**SAMPLING, "seed": row}, ignore_end=True)
        stand.run()
        return time.perf_counter() - began, max(stand.listener.first_at.values()) - began

    run(8, 1)
    short, _ = run(20, 10_000)
    manager.run_fullgraph = watched
    long, first = run(120, 20_000)
    manager.run_fullgraph = plain
    torch.cuda.synchronize()
    backbone = float(np.median([start.elapsed_time(end) for start, end in events[-80:]])) if events else float("nan")
    return (long - short) / 100 * 1000, backbone, first * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vllm", action="store_true", help="bench vLLM's engine too")
    parser.add_argument("--codec-dtype", default="bfloat16", choices=("bfloat16", "float16", "float32"))
    parser.add_argument("--no-alone", action="store_true", help="the depth decoder's fused kernels for one row too")
    parser.add_argument("--codec-fused", action="store_true", help="the codec in kernels of its own")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--limit-s", type=float, default=240.0, help="no size begins after this")
    options = parser.parse_args()
    print(torch.cuda.get_device_name(), torch.__version__)
    ceilings, config = rooflines.measured(), CsmConfig.from_hf({})
    print(f"copies {ceilings.bandwidth / 1e12:.2f} TB/s, bfloat16 {ceilings.flops / 1e12:.0f} TFLOP/s")
    ends = time.monotonic() + options.limit_s
    codec_dtype = getattr(torch, options.codec_dtype)
    fused = {"alone": not options.no_alone, "codec_fused": options.codec_fused}
    parts = bench_parts(codec_dtype, options.sizes, ends - options.limit_s / 2, **fused)
    torch.cuda.empty_cache()
    if not options.vllm:
        return
    # streams end here by a token limit, which looks like preemption: their slots are free for the next size at once
    runtime_module.KEPT_S = 0.0
    with tempfile.TemporaryDirectory() as place:
        folder = write_csm_1b_config(Path(place))
        settings = {
            "load_format": "dummy",
            "max_num_seqs": max(options.sizes),
            "gpu_memory_utilization": 0.6,  # the parts above keep what they took
            "dtype": "bfloat16",
            "enable_prefix_caching": False,
            "scheduler_cls": "tts_engine.backend.vllm_plugin.scheduler.LeadAwareScheduler",
            "depth_alone": not options.no_alone,
            "codec_fused": options.codec_fused,
        }
        with vllm_stand(folder, codec_dtype=options.codec_dtype, **settings) as stand:
            print("| streams | step ms | backbone | floor | depth | floor | Mimi | floor | graph | rest | first |")
            print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
            for size, (depth, codec, whole) in parts.items():
                if time.monotonic() > ends:
                    print("no time for the rest", flush=True)
                    break
                step, backbone, first = bench_vllm(stand, size)
                rest = step - backbone - whole
                floors = (
                    rooflines.backbone_ms(config, size, PROMPT + 80, ceilings),
                    rooflines.depth_ms(config, size, ceilings),
                    rooflines.mimi_ms(config, size, ceilings),
                )
                columns = (step, backbone, floors[0], depth, floors[1], codec, floors[2], whole, rest)
                figures = " | ".join(f"{one:.2f}" for one in columns)
                print(f"| {size} | {figures} | {first:.0f} |", flush=True)


if __name__ == "__main__":
    main()
