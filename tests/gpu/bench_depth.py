"""The depth decoder by batch size and by kernels: milliseconds a frame beside the floor, errors, and what to set.

    PYTHONPATH=. python tests/gpu/bench_depth.py --scan --profile

on a GPU, with random weights of CSM-1B's sizes. Whether it runs at all a processor can say, in a minute:

    TRITON_INTERPRET=1 PYTHONPATH=.:$(tests/triton_env.sh) python tests/gpu/bench_depth.py --tiny --sizes 1 2

`--scan` first times each product of a pass at each of a few tiles and goes on with the fastest. `--profile` says where
the time of the path now in use goes. The persistent kernel runs in a process of its own, which is ended if it hangs.
Predictions stand in docs/benchmarks.md; the last table says what follows for the settings.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import triton
from torch import Tensor

from tts_engine.model.config import CsmConfig
from tts_engine.model.depth_decoder import DepthDecoder, Draws
from tts_engine.model.depth_options import MOST_SMALL, DepthOptions
from tts_engine.model.frame import FrameDecoder
from tts_engine.model.fused import FusedDepth
from tts_engine.model.persistent_depth import PersistentDepth
from tts_engine.model.small_depth import ALONE, TOGETHER, SmallDepth, Tile, Tiles

SIZES = (1, 2, 4, 8, 16, 32, 128, 512, 1024, 2048)
HANGS_AFTER_S = 150  # compiling takes a fifth to a half of it
MOST_APART = 16
Path = Callable[[Tensor, Tensor, Draws], Tensor]

TINY = {
    "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "intermediate_size": 64, "num_codebooks": 4, "vocab_size": 35, "text_vocab_size": 64,
    "depth_decoder_config": {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
        "intermediate_size": 64, "num_codebooks": 4, "backbone_hidden_size": 64, "vocab_size": 35,
    },
}  # fmt: skip

ALONE_TILES = {
    "qkv": (Tile(4, 1024), Tile(2, 1024), Tile(8, 1024)),
    "out": (Tile(4, 1024), Tile(2, 1024), Tile(8, 1024, warps=8)),
    "gate_up": (Tile(4, 1024), Tile(2, 1024), Tile(8, 1024, warps=8), Tile(16, 512, warps=8)),
    "down": (Tile(4, 1024), Tile(2, 2048), Tile(4, 2048, warps=8), Tile(8, 1024, warps=8)),
    "head": (Tile(8, 1024), Tile(4, 1024), Tile(16, 512)),
}
TOGETHER_TILES = {
    "qkv": (Tile(16, 128, stages=4), Tile(16, 256), Tile(32, 128, parts=2), Tile(64, 128, parts=4)),
    "out": (Tile(16, 128, parts=2, stages=4), Tile(16, 256), Tile(32, 128, parts=4), Tile(64, 64, parts=8)),
    "gate_up": (Tile(64, 64, stages=4), Tile(64, 128), Tile(32, 128, stages=4), Tile(128, 64, warps=8, stages=4)),
    "down": (Tile(64, 128, parts=8, stages=4), Tile(64, 64, parts=8, stages=6), Tile(32, 128, parts=4, stages=4),
             Tile(16, 256, parts=2, stages=4), Tile(64, 128, parts=16)),
    "head": (Tile(16, 128, stages=4), Tile(16, 256)),
}  # fmt: skip


@dataclass(slots=True)
class Stand:
    """The decoder, where it runs, and what its device can do."""

    depth: DepthDecoder
    device: str
    bandwidth: float = float("nan")  # bytes a second, read and written
    flops: float = float("nan")  # bfloat16, a second
    alone: Tiles = ALONE
    together: Tiles = TOGETHER

    def frame(self, rows: int, *, greedy: bool = False, seed: int = 0) -> tuple[Tensor, Tensor, Draws]:
        generator = torch.Generator().manual_seed(seed)
        depth = self.depth
        hidden = torch.randn(rows, depth.projector.shape[1], generator=generator).to(depth.projector)
        first = torch.randint(1, depth.codebook_size, (rows,), generator=generator)
        keys = torch.randint(0, 2**32, (rows, depth.num_codebooks), generator=generator)
        heat, top_k = torch.full((rows,), 0.0 if greedy else 0.9), torch.full((rows,), min(50, depth.codebook_size))
        draws = Draws(keys.to(self.device), heat.to(self.device), top_k.to(self.device), 64)
        return hidden, first.to(self.device), draws

    def floor_ms(self, rows: int, *, mlp_bytes: int = 2) -> float:
        """The longer of weights through memory and arithmetic at the rate of a large product, of this device."""
        config, books = self.depth.config, self.depth.num_codebooks
        attention = (2 * config.num_heads + 2 * config.num_kv_heads) * config.head_dim * config.hidden_size
        mlp = 3 * config.intermediate_size * config.hidden_size
        head = config.hidden_size * self.depth.codebook_size
        layers = config.num_layers
        streamed = (books - 1) * (layers * (2 * attention + mlp_bytes * mlp) + 2 * head)
        # positions 0 and 1 are one pass; 8-bit products are twice as fast, the small kernels' are not
        work = 2 * rows * (books * layers * (attention + mlp * mlp_bytes / 2) + (books - 1) * head)
        return max(streamed / self.bandwidth, work / self.flops) * 1000


def make_stand(*, tiny: bool) -> Stand:
    device = "cpu" if tiny else "cuda"
    torch.manual_seed(0)
    with torch.device(device):
        frames = FrameDecoder(CsmConfig.from_hf(TINY if tiny else {})).to(torch.bfloat16)
    for parameter in frames.parameters():  # spread, so that a best code is seldom a near tie
        wide = parameter.dim() > 1
        parameter.data.normal_(std=1.5 / parameter.shape[-1] ** 0.5) if wide else parameter.data.uniform_(0.5, 1.5)
    frames.depth.heads.data.mul_((frames.depth.heads.shape[2] / frames.depth.heads.shape[1]) ** 0.5)
    frames.prepare()
    stand = Stand(frames.depth, device)
    if tiny:
        stand.bandwidth, stand.flops = 1e10, 1e10
        return stand
    buffers = torch.empty(2, 1 << 30, dtype=torch.float32, device=device)
    stand.bandwidth = buffers.nbytes / timed(lambda: buffers[1].copy_(buffers[0]), graph=False) * 1000
    a = torch.randn(8192, 8192, dtype=torch.bfloat16, device=device)
    stand.flops = 2 * 8192**3 / timed(lambda: a @ a, graph=False) * 1000
    return stand


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


def scan(stand: Stand, *, rows: int) -> Tiles:
    """Change one product's tile after another and keep what makes the whole frame faster.

    A product alone would find its weights in the second-level cache, where a frame never finds them.
    """
    alone = rows == 1
    best = stand.alone if alone else stand.together
    fused, frame = FusedDepth(stand.depth, max_batch=MOST_SMALL), stand.frame(rows)

    def took(tiles: Tiles) -> float:
        pair = {"alone": tiles, "together": stand.together} if alone else {"alone": stand.alone, "together": tiles}
        small = SmallDepth(fused, DepthOptions(small_batch=MOST_SMALL, alone=alone), **pair)
        return timed(lambda: small(*frame))

    least = took(best)
    print(f"| {rows} | | as they are | {least:.3f} |", flush=True)
    for name, tiles in (ALONE_TILES if alone else TOGETHER_TILES).items():
        for tile in tiles[1:]:
            try:
                now = took(replace(best, **{name: tile}))
            except Exception as error:  # noqa: BLE001 - a tile that does not compile is a result
                print(f"| {rows} | {name} | {tile} | {type(error).__name__}: {str(error)[:80]} |", flush=True)
                continue
            print(f"| {rows} | {name} | {tile.rows} by {tile.columns}, parts {tile.parts}, warps {tile.warps}, "
                  f"stages {tile.stages} | {now:.3f} |", flush=True)  # fmt: skip
            if now < 0.99 * least:
                best, least = replace(best, **{name: tile}), now
    print(f"kept at {rows}: {best}", flush=True)
    return best


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


@torch.inference_mode()
def repeatable(path: Path, stand: Stand, most: int) -> bool:
    """Has a row the same sampled codes alone and in batches of up to `most`."""
    hidden, first, draws = stand.frame(most)
    whole = path(hidden, first, draws)
    for rows in (1, 2, most // 2):
        part = Draws(draws.keys[:rows], draws.temperature[:rows], draws.top_k[:rows], draws.limit)
        if not torch.equal(path(hidden[:rows], first[:rows], part), whole[:rows]):
            return False
    return True


def paths_of(stand: Stand, names: Sequence[str]) -> dict[str, tuple[int, Callable[[], Path]]]:
    """Largest batch and maker of each path."""
    tiles = {"alone": stand.alone, "together": stand.together}

    def fused(*, float8: bool = False, down_parts: int = 1) -> FusedDepth:
        return FusedDepth(stand.depth, max_batch=max(SIZES), float8=float8, down_parts=down_parts)

    def small(**options: bool) -> SmallDepth:
        few = FusedDepth(stand.depth, max_batch=MOST_SMALL)
        return SmallDepth(few, DepthOptions(small_batch=MOST_SMALL, **options), **tiles)

    def persistent(*, float8: bool = False) -> PersistentDepth:
        return PersistentDepth(FusedDepth(stand.depth, max_batch=MOST_SMALL), float8=float8, **tiles)

    every: dict[str, tuple[int, Callable[[], Path]]] = {
        "plain": (max(SIZES), lambda: stand.depth),
        "fused": (max(SIZES), fused),
        "small": (MOST_SMALL, small),
        "small, not near": (MOST_SMALL, lambda: small(near=False)),
        "small, alone": (1, lambda: small(alone=True)),
        "fused, down in 2": (max(SIZES), lambda: fused(down_parts=2)),
        "fused, down in 4": (max(SIZES), lambda: fused(down_parts=4)),
        "fused, float8": (max(SIZES), lambda: fused(float8=True)),
        "small, float8": (MOST_SMALL, lambda: small(float8=True)),
        "small, alone, float8": (1, lambda: small(alone=True, float8=True)),
        "persistent": (MOST_SMALL, persistent),
        "persistent, float8": (MOST_SMALL, lambda: persistent(float8=True)),
    }
    return {name: every[name] for name in names}


IN_HERE = (
    "plain", "fused", "fused, down in 2", "fused, down in 4", "small", "small, not near", "small, alone",
    "fused, float8", "small, float8", "small, alone, float8",
)  # fmt: skip
APART = ("persistent", "persistent, float8")
Results = dict[tuple[str, int], float]


@torch.inference_mode()
def measure(stand: Stand, names: Sequence[str], sizes: Sequence[int]) -> Results:
    results: Results = {}
    for name, (most, make) in paths_of(stand, names).items():
        try:
            path = make()
            for rows in (size for size in sizes if size <= most):
                frame = stand.frame(rows)
                results[name, rows] = timed(lambda p=path, f=frame: p(*f))
                own, gap = error_of(stand, path, min(rows, 128))
                floor = stand.floor_ms(rows, mlp_bytes=1 if "float8" in name else 2)
                cells = f"{results[name, rows]:.3f} | {floor:.3f} | {results[name, rows] / floor:.1f}"
                print(f"| {name} | {rows} | {cells} | {own:.1%} | {gap:.3f} |", flush=True)
            if name in {"small", "small, float8"}:
                same = repeatable(path, stand, 4 if stand.device == "cpu" else 16)
                print(f"{name}: a row's codes are {'' if same else 'NOT '}the same alone and among 16", flush=True)
        except Exception as error:  # noqa: BLE001 - the others are to be measured all the same
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
        path = None
    return results


def profile(stand: Stand, sizes: Sequence[int]) -> None:
    """Where a frame's time goes, by kernel, in the path that is in use."""
    from torch.profiler import ProfilerActivity  # noqa: PLC0415 - here only
    from torch.profiler import profile as profiled  # noqa: PLC0415 - here only

    path = FusedDepth(stand.depth, max_batch=max(SIZES))
    for rows in sizes:
        frame = stand.frame(rows)
        path(*frame)
        torch.cuda.synchronize()
        with profiled(activities=[ProfilerActivity.CUDA]) as trace:
            path(*frame)
            torch.cuda.synchronize()
        events = sorted(trace.key_averages(), key=lambda event: -event.self_device_time_total)
        print(f"fused at {rows}: ms, launches, kernel")
        for event in events[:14]:
            print(f"  {event.self_device_time_total / 1000:7.3f} {event.count:5d} {event.key[:100]}")


def decide(stand: Stand, results: Results, sizes: Sequence[int]) -> None:
    """The rules of docs/benchmarks.md, applied."""
    print(
        "\n| streams | fused | best without float8 | | best of all | | times the floor |\n|--:|--:|---|--:|---|--:|--:|"
    )
    for rows in sizes:
        here = {name: took for (name, size), took in results.items() if size == rows}
        exact = {name: took for name, took in here.items() if "float8" not in name}
        if not exact:
            continue
        best, every = min(exact, key=exact.__getitem__), min(here, key=here.__getitem__)
        times = exact[best] / stand.floor_ms(rows)
        cells = f"{best} | {exact[best]:.2f} | {every} | {here[every]:.2f} | {times:.1f}"
        print(f"| {rows} | {here.get('fused', float('nan')):.2f} | {cells} |")
    gains = [rows for rows in sizes if results.get(("small", rows), 9e9) < 0.95 * results.get(("fused", rows), 0)]
    alone, together = results.get(("small, alone", 1)), results.get(("small", 1))
    print(f"depth_small_batch = {max(gains, default=0)} (5 % under `fused` at {gains})")
    if alone and together:
        print(
            f"alone: {together / alone:.2f} times as fast at one row; on from 1.10, as it parts codes from the batch's"
        )
    for rows in (1, 16):
        pair = results.get(("small, alone" if rows == 1 else "small", rows)), results.get(("persistent", rows))
        if pair[0] and pair[1]:
            print(f"persistent at {rows}: {pair[0] / pair[1]:.2f} times as fast as separate kernels; kept from 1.10")
    for rows in sizes:
        cut = results.get(("fused", rows)), results.get(("fused, down in 2", rows))
        if cut[0] and cut[1]:
            print(f"down in 2 at {rows}: {cut[0] / cut[1]:.2f} times as fast; the rule from 1.03")
        both = results.get(("fused", rows)), results.get(("fused, float8", rows))
        if both[0] and both[1]:
            print(f"float8 at {rows}: {both[0] / both[1]:.2f} times as fast as fused; an option from 1.2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", nargs="+", default=[*IN_HERE, *APART], choices=[*IN_HERE, *APART])
    parser.add_argument("--scan", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="on the processor, in Triton's interpreter")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    stand = make_stand(tiny=options.tiny)
    if options.child:
        measure(stand, options.only, options.sizes)
        return
    if not options.tiny:
        device = torch.cuda.get_device_properties(0)
        print(f"{device.name}, {device.multi_processor_count} multiprocessors, {device.L2_cache_size >> 20} MiB of L2")
        rates = f"copies {stand.bandwidth / 1e12:.2f} TB/s, bfloat16 {stand.flops / 1e12:.0f} TFLOP/s"
        print(f"torch {torch.__version__}, Triton {triton.__version__}; {rates}")
    if options.scan:
        print("| rows | product | tile | ms a frame |\n|--:|---|---|--:|")
        stand.alone, stand.together = scan(stand, rows=1), scan(stand, rows=16)
    print("| path | streams | ms | floor | times | own choice | gap 99.9 % |\n|---|--:|--:|--:|--:|--:|--:|")
    results = measure(stand, [name for name in options.only if name in IN_HERE], options.sizes)
    hung = False
    for name in (name for name in options.only if name in APART):
        if hung:
            break
        limit_s = None if options.tiny else HANGS_AFTER_S  # the interpreter is slow and cannot hang
        command = [sys.executable, __file__, "--child", "--only", name, "--sizes"]
        command += [str(size) for size in options.sizes if size <= MOST_APART] + (["--tiny"] if options.tiny else [])
        try:
            text = subprocess.run(command, timeout=limit_s, check=False, stdout=subprocess.PIPE, text=True).stdout
        except subprocess.TimeoutExpired as error:
            print(f"{name}: no end within {HANGS_AFTER_S} s")
            text = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
            hung = True
        print(text, end="", flush=True)
        for cells in (line.split("|") for line in text.splitlines() if line.startswith(f"| {name} |")):
            results[name, int(cells[2])] = float(cells[3])
    if options.profile and not options.tiny:
        profile(stand, [1, 1024])
    decide(stand, results, options.sizes)


if __name__ == "__main__":
    main()
