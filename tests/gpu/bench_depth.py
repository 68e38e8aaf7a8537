"""The depth decoder by batch size and by kernels: milliseconds a frame beside the floor, errors, and what to set.

    PYTHONPATH=. python tests/gpu/bench_depth.py --scan --profile

on a GPU, with random weights of CSM-1B's sizes. Whether it runs at all a processor can say, in a minute:

    TRITON_INTERPRET=1 PYTHONPATH=.:$(tests/triton_env.sh) python tests/gpu/bench_depth.py --tiny --scan --sizes 1 2

`--scan` first times a frame of one row with each product at each of a few tiles and goes on with the fastest, then the
draw and the attention of a batch by warps; it begins no more tries after `--limit-s`. `--profile` says where the time
goes. Predictions stand in docs/benchmarks.md; the last lines say what follows for the settings.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import triton
from torch import Tensor

from tests.gpu import rooflines
from tests.gpu.depth_tiles import TRIED, described
from tests.gpu.rooflines import Ceilings
from tts_engine.model import depth_kernels
from tts_engine.model.alone_depth import TILES, AloneDepth, Tiles
from tts_engine.model.config import CsmConfig
from tts_engine.model.depth_decoder import DepthDecoder, Draws
from tts_engine.model.frame import FrameDecoder
from tts_engine.model.fused import FusedDepth

SIZES = (1, 2, 4, 8, 16, 32, 128, 512, 1024, 2048)
Path = Callable[[Tensor, Tensor, Draws], Tensor]

TINY = {
    "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "intermediate_size": 64, "num_codebooks": 4, "vocab_size": 35, "text_vocab_size": 64,
    "depth_decoder_config": {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
        "intermediate_size": 64, "num_codebooks": 4, "backbone_hidden_size": 64, "vocab_size": 35,
    },
}  # fmt: skip


@dataclass(slots=True)
class Stand:
    """The decoder, where it runs, and what its device can do."""

    depth: DepthDecoder
    device: str
    config: CsmConfig
    ceilings: Ceilings
    tiles: Tiles = TILES

    def frame(self, rows: int, *, greedy: bool = False, seed: int = 0) -> tuple[Tensor, Tensor, Draws]:
        generator = torch.Generator().manual_seed(seed)
        depth = self.depth
        hidden = torch.randn(rows, depth.projector.shape[1], generator=generator).to(depth.projector)
        first = torch.randint(1, depth.codebook_size, (rows,), generator=generator)
        keys = torch.randint(0, 2**32, (rows, depth.num_codebooks), generator=generator)
        heat, top_k = torch.full((rows,), 0.0 if greedy else 0.9), torch.full((rows,), min(50, depth.codebook_size))
        draws = Draws(keys.to(self.device), heat.to(self.device), top_k.to(self.device), 64)
        return hidden, first.to(self.device), draws

    def floor_ms(self, rows: int) -> float:
        return rooflines.depth_ms(self.config, rows, self.ceilings)


def make_stand(*, tiny: bool) -> Stand:
    device = "cpu" if tiny else "cuda"
    torch.manual_seed(0)
    with torch.device(device):
        config = CsmConfig.from_hf(TINY if tiny else {})
        frames = FrameDecoder(config).to(torch.bfloat16)
    for parameter in frames.parameters():  # spread, so that a best code is seldom a near tie
        wide = parameter.dim() > 1
        parameter.data.normal_(std=1.5 / parameter.shape[-1] ** 0.5) if wide else parameter.data.uniform_(0.5, 1.5)
    frames.depth.heads.data.mul_((frames.depth.heads.shape[2] / frames.depth.heads.shape[1]) ** 0.5)
    frames.prepare()
    return Stand(frames.depth, device, config, Ceilings(1e10, 1e10) if tiny else rooflines.measured())


def timed(work: Callable[[], object], *, graph: bool = True, times: int = 15) -> float:
    """Median milliseconds; on a GPU of a replayed CUDA graph."""
    if not torch.cuda.is_available():
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) * 1000
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(2):
            work()
    torch.cuda.synchronize()
    run = work
    if graph:
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            work()
        run = captured.replay
    run()
    found: list[float] = []
    for _ in range(times):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end))
    return statistics.median(found)


def scan(stand: Stand, *, ends: float) -> None:
    """Change one thing after another and keep what makes the whole frame faster; begins nothing after `ends`.

    A product alone would find its weights in the second-level cache, where a frame never finds them.
    """
    fused, frame = FusedDepth(stand.depth, max_batch=1), stand.frame(1)

    def took(tiles: Tiles, **options: bool) -> float:
        path = AloneDepth(fused, tiles=tiles, **options)
        return timed(lambda: path(*frame))

    print("| product | tile | ms a frame of one row |\n|---|---|--:|")
    least = took(stand.tiles)
    print(f"| all | {', '.join(f'{kind} {described(getattr(stand.tiles, kind))}' for kind in TRIED)} | {least:.3f} |")
    for kind, tiles in TRIED.items():
        for tile in tiles[1:]:
            if time.monotonic() > ends:
                print("no time for the rest")
                return
            try:
                now = took(replace(stand.tiles, **{kind: tile}))
            except Exception as error:  # noqa: BLE001 - a tile that does not compile is a result
                print(f"| {kind} | {described(tile)} | {type(error).__name__}: {str(error)[:80]} |", flush=True)
                continue
            print(f"| {kind} | {described(tile)} | {now:.3f} |", flush=True)
            if now < 0.99 * least:
                stand.tiles, least = replace(stand.tiles, **{kind: tile}), now
    print(f"kept: {stand.tiles}", flush=True)


def scan_warps(stand: Stand, rows: int, *, ends: float) -> None:
    """Warps of the draw and of a batch's attention, milliseconds a frame of `rows` by the fused kernels."""
    fused, frame = FusedDepth(stand.depth, max_batch=rows), stand.frame(rows)
    for name, tries in (("DRAW_WARPS", (8, 4, 16)), ("ATTEND_WARPS", (2, 1, 4))):
        found: dict[int, float] = {}
        for warps in tries:
            if time.monotonic() > ends:
                print("no time for the rest")
                break
            setattr(depth_kernels, name, warps)
            found[warps] = timed(lambda: fused(*frame))
        setattr(depth_kernels, name, tries[0])
        print(f"{name} at {rows}: " + ", ".join(f"{warps}: {took:.3f} ms" for warps, took in found.items()), flush=True)


@torch.inference_mode()
def error_of(stand: Stand, path: Path, rows: int) -> tuple[float, float]:
    """Share of greedy codes that the float32 decoder would choose after the same codes, and the 99.9 % gap of the rest.

    A gap is how far a code's logit lies under the best one, in spreads of the logits: see tests/gpu/parity.py.
    """
    hidden, first, draws = stand.frame(rows, greedy=True)
    codes = path(hidden, first, draws)
    exact = wide(stand)
    logits = exact.logits(hidden.float(), codes)
    gap = (logits.amax(-1) - logits.gather(-1, codes[:, 1:, None])[..., 0]) / logits.std(-1)
    return (gap <= 0).float().mean().item(), gap.flatten().float().cpu().quantile(0.999).item()


_exact: list[DepthDecoder] = []


def wide(stand: Stand) -> DepthDecoder:
    """The same weights in float32, in plain PyTorch."""
    if not _exact:
        _exact.append(copy.deepcopy(stand.depth).float())
    return _exact[0]


def paths_of(stand: Stand) -> dict[str, tuple[int, Callable[[], Path]]]:
    """Largest batch and maker of each path."""

    def alone(**options: bool) -> AloneDepth:
        return AloneDepth(FusedDepth(stand.depth, max_batch=1), tiles=stand.tiles, **options)

    return {
        "plain": (max(SIZES), lambda: stand.depth),
        "fused": (max(SIZES), lambda: FusedDepth(stand.depth, max_batch=max(SIZES))),
        "fused, near": (max(SIZES), lambda: FusedDepth(stand.depth, max_batch=max(SIZES), near=True)),
        "alone": (1, alone),
        "alone, MLP passing": (1, lambda: alone(passing=True)),
        "alone, not near": (1, lambda: alone(near=False)),
    }


Results = dict[tuple[str, int], float]


@torch.inference_mode()
def measure(stand: Stand, names: Sequence[str], sizes: Sequence[int]) -> Results:
    results: Results = {}
    print("| path | streams | ms | floor | times | own choice | gap 99.9 % |\n|---|--:|--:|--:|--:|--:|--:|")
    every = paths_of(stand)
    for name in names:
        most, make = every[name]
        try:
            path = make()
            for rows in (size for size in sizes if size <= most):
                frame = stand.frame(rows)
                results[name, rows] = timed(lambda p=path, f=frame: p(*f))
                own, gap = error_of(stand, path, min(rows, 128))
                floor = stand.floor_ms(rows)
                cells = f"{results[name, rows]:.3f} | {floor:.3f} | {results[name, rows] / floor:.1f}"
                print(f"| {name} | {rows} | {cells} | {own:.1%} | {gap:.3f} |", flush=True)
        except Exception as error:  # noqa: BLE001 - the others are to be measured all the same
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
        path = None
    return results


def profile(stand: Stand) -> None:
    """Where a frame's time goes, by kernel. Kernels that are near overlap, so that their sum is more than the frame."""
    from torch.autograd import DeviceType  # noqa: PLC0415 - here only
    from torch.profiler import ProfilerActivity  # noqa: PLC0415 - here only
    from torch.profiler import profile as profiled  # noqa: PLC0415 - here only

    fused = FusedDepth(stand.depth, max_batch=max(SIZES))
    near, apart = (AloneDepth(fused, tiles=stand.tiles, near=near) for near in (True, False))
    for name, path, rows in (("alone", near, 1), ("alone, not near", apart, 1), ("fused", fused, 1024)):
        frame = stand.frame(rows)
        path(*frame)
        torch.cuda.synchronize()
        with profiled(activities=[ProfilerActivity.CUDA]) as trace:
            path(*frame)
            torch.cuda.synchronize()
        kernels = [event for event in trace.events() if event.device_type == DeviceType.CUDA]
        events = sorted(kernels, key=lambda event: event.time_range.start)
        sums: dict[str, list[float]] = {}
        last = ""
        for event in events:
            # products of one kernel are told apart by what ran before them
            key = f"{event.name[:70]}{f' after {last[:24]}' if event.name == 'product_kernel' else ''}"
            sums.setdefault(key, []).append(event.time_range.elapsed_us())
            last = event.name if event.name != last else f"{event.name} twice"
        print(f"{name} at {rows}: ms, launches, us each, kernel")
        for key, times in sorted(sums.items(), key=lambda item: -sum(item[1]))[:14]:
            print(f"  {sum(times) / 1000:7.3f} {len(times):5d} {statistics.median(times):7.1f} {key}")


def decide(stand: Stand, results: Results) -> None:
    """The rules of docs/benchmarks.md, applied."""
    alone, fused = results.get(("alone", 1)), results.get(("fused", 1))
    if alone and fused:
        times = alone / stand.floor_ms(1)
        print(f"alone: {fused / alone:.2f} times as fast as fused, {times:.1f} times the floor; the goal is 2")
        for name, rule in (
            ("alone, MLP passing", "the default from 1.02"),
            ("alone, not near", "the default from 1.00"),
        ):
            if other := results.get((name, 1)):
                print(f"{name}: {alone / other:.2f} times as fast as alone; {rule}")
    for rows in SIZES:
        took, near = results.get(("fused", rows)), results.get(("fused, near", rows))
        if took:
            print(f"fused at {rows}: {took / stand.floor_ms(rows):.2f} times the floor", end="")
            print(f"; near: {took / near:.2f} times as fast; the default from 1.02" if near else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("fused", "fused, near", "alone", "alone, MLP passing", "alone, not near", "plain")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", nargs="+", default=names[:-1], choices=names)
    parser.add_argument("--scan", action="store_true")
    parser.add_argument("--limit-s", type=float, default=50.0, help="of the scan; what follows takes about as long")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="on the processor, in Triton's interpreter")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    stand = make_stand(tiny=options.tiny)
    if not options.tiny:
        device = torch.cuda.get_device_properties(0)
        print(f"{device.name}, {device.multi_processor_count} multiprocessors, {device.L2_cache_size >> 20} MiB of L2")
        rates = f"copies {stand.ceilings.bandwidth / 1e12:.2f} TB/s, bfloat16 {stand.ceilings.flops / 1e12:.0f} TFLOP/s"
        print(f"torch {torch.__version__}, Triton {triton.__version__}; {rates}")
    if options.scan:
        ends = time.monotonic() + options.limit_s
        scan(stand, ends=ends - options.limit_s / 4)
        for rows in (1, max(options.sizes) if options.tiny else 1024):
            scan_warps(stand, rows, ends=ends)
    results = measure(stand, options.only, options.sizes)
    if options.profile and not options.tiny:
        profile(stand)
    decide(stand, results)


if __name__ == "__main__":
    main()
