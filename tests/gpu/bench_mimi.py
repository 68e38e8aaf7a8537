"""The codec by batch, by stage and by kernels: milliseconds a frame, plain PyTorch beside kernels of its own.

    PYTHONPATH=. timeout 150 python tests/gpu/bench_mimi.py --profile --scan

on a GPU (a minute, the scan another), with random weights of Mimi's sizes; every stream has a full window behind it.
Whether it runs at all a processor can say, in seconds:

    TRITON_INTERPRET=1 PYTHONPATH=.:$(tests/triton_env.sh) python tests/gpu/bench_mimi.py --tiny --scan

First it says how far each path is from float32 in plain PyTorch, then times, then which way of each stage is faster.
`--scan` tries other tiles for the kernels, beginning none after `--limit-s`. Predictions stand in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial

import torch
import torch.nn.functional as fn
from torch import Tensor

from tests.fakes.tiny_codec import make_codec, spread
from tests.gpu.bench_depth import timed
from tests.gpu.mimi_tiles import TRIED_BLOCKS, TRIED_GROUPS, TRIED_RINGS, TRIED_UPS
from tts_engine.model.config import CsmConfig
from tts_engine.model.mimi import fused as fused_module
from tts_engine.model.mimi import seanet as seanet_module
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState
from tts_engine.model.mimi.fused import RingTile
from tts_engine.model.mimi.seanet import Carried, Seanet, Ways
from tts_engine.model.mimi.whole_frame import WholeFrame

SIZES = (1, 32, 256, 512, 1024, 2048)
POSITION = 250  # of every stream: its window is full
TILES = {"UP_TILE": TRIED_UPS, "BLOCK_TILE": TRIED_BLOCKS, "GROUPS": TRIED_GROUPS}
Path = MimiDecoder | WholeFrame


def make_mimi(*, tiny: bool) -> MimiDecoder:
    """In float32, on the device."""
    if tiny:
        return make_codec()
    with torch.device("cuda"):
        decoder = MimiDecoder(CsmConfig.from_hf({}).mimi)
    spread(decoder)
    return decoder


def call_of(decoder: MimiDecoder, rows: int, seed: int = 0) -> dict[str, Tensor]:
    """What one frame of `rows` streams is asked with."""
    config, device = decoder.config, decoder.first.weight.device
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, config.codebook_size, (rows, 1, config.num_quantizers), generator=generator).to(device)
    every = torch.ones(rows, dtype=torch.bool, device=device)
    return {"codes": codes, "slots": torch.arange(rows, device=device), "active": every, "fresh": ~every}


def decibels(path: Path, decoder: MimiDecoder, exact: MimiDecoder, rows: int, frames: int = 4) -> float:
    """How far a path is from another, over frames of some rows, of which one pauses."""
    states = [MimiState(d, slots=rows, like=d.first.weight, max_frames=1) for d in (decoder, exact)]
    signal = noise = 0.0
    for frame in range(frames):
        call = call_of(decoder, rows, seed=frame)
        call["active"][frame % rows] = frame == 0
        call["fresh"][:] = frame == 0
        mine, theirs = (p(state=s, **call)[call["active"]] for p, s in zip((path, exact), states, strict=True))
        signal, noise = signal + float(theirs.square().sum()), noise + float((mine - theirs).square().sum())
    return 10 * math.log10(signal / noise) if noise else math.inf


def agreement(decoder: MimiDecoder, rows: int) -> None:
    print("| numbers | plain, dB from float32 | kernels, dB from float32 |\n|---|--:|--:|")
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        if dtype == torch.bfloat16 and not decoder.first.weight.is_cuda:
            continue  # NumPy, which the interpreter runs on, has none
        other = deepcopy(decoder).to(dtype)
        plain = decibels(other, other, decoder, rows)
        try:
            mine = f"{decibels(WholeFrame(other), other, decoder, rows):.1f}"
        except Exception as error:  # noqa: BLE001 - the rest is to be measured all the same
            mine = f"{type(error).__name__}: {str(error)[:200]}"
        print(f"| {dtype} | {plain:.1f} | {mine} |", flush=True)


def scan_rings(decoder: MimiDecoder, state: MimiState, rows: int) -> RingTile | None:
    """The attention of all layers by each tile; returns the fastest."""
    config, like = decoder.config, decoder.first.weight
    slots, start = torch.arange(rows, device=like.device), torch.full((rows,), POSITION, device=like.device)
    attend = state.ring.attend(slots, start, 2, decoder.transformer.frequencies)
    qkv = torch.randn(rows, 2, 3, config.num_heads, config.head_dim, dtype=like.dtype, device=like.device)
    found: dict[RingTile | None, float] = {}
    print(f"| attention of all layers at {rows} streams | ms | TB/s |\n|---|--:|--:|")
    read = state.ring.held[:, :, :rows].nbytes
    for tile in TRIED_RINGS:
        fused_module.RING_TILE = tile
        try:
            found[tile] = timed(lambda: [attend(n, qkv) for n in range(config.num_layers)], times=7)
            print(f"| {tile} | {found[tile]:.3f} | {read / found[tile] / 1e9:.2f} |", flush=True)
        except Exception as error:  # noqa: BLE001 - the others are to be measured all the same
            print(f"| {tile} | {type(error).__name__}: {str(error)[:60]} | |", flush=True)
    return min(found, key=lambda tile: found[tile])


def sizes(decoder: MimiDecoder, whole: WholeFrame, state: MimiState, chosen: Sequence[int]) -> None:
    print("| streams | plain ms | kernels ms |\n|--:|--:|--:|")
    for rows in chosen:
        cells: list[str] = []
        usual = fused_module.RING_TILE
        for path in (decoder, whole):
            state.position.fill_(POSITION)
            fused_module.RING_TILE = usual if path is whole else None
            cells.append(took(partial(path, state=state, **call_of(decoder, rows))))
        print(f"| {rows} | {' | '.join(cells)} |", flush=True)


def parts(decoder: MimiDecoder, state: MimiState, rows: int) -> None:
    """Each part alone, so that a small one finds its inputs in the second-level cache."""
    call, like = call_of(decoder, rows), decoder.first.weight
    slots, start = call["slots"], torch.full((rows,), POSITION, device=like.device)
    carried = Carried(state.past[slots], state, slots)
    whole = WholeFrame(decoder)
    stages = len(decoder.ups)
    seanets = [Seanet(decoder, Ways((by,) * stages, (by,) * stages)) for by in (False, True)]
    conv = partial(state.convolve, past=carried.past)
    frequencies = decoder.transformer.frequencies

    def plain_begin() -> Tensor:
        return conv(decoder.upsample, decoder.quantizer.decode(call["codes"]).to(like.dtype).transpose(1, 2))

    def prepared() -> object:
        return state.ring.attend(slots, start, 2, frequencies)

    def bookkeeping() -> None:
        scratch = slots.masked_fill(~call["active"], state.scratch)
        state.past[scratch].masked_fill_(call["fresh"][:, None], 0.0)
        state.position[scratch] = state.position[scratch].masked_fill(call["fresh"], 0) + 2
        prepared()

    attend = state.ring.attend(slots, start, 2, frequencies)
    x = whole.positions(call["codes"], carried)
    qkv = torch.randn(rows, 2, 3, decoder.config.num_heads, decoder.config.head_dim, device=x.device, dtype=x.dtype)
    lines: list[tuple[str, Callable[[], object] | None, Callable[[], object], Callable[[], object] | None]] = [
        ("slots, positions, what is carried", None, bookkeeping, None),
        ("codes to positions", plain_begin, lambda: whole.positions(call["codes"], carried), None),
        ("transformer", lambda: decoder.transformer(x, attend), lambda: whole.transform(x, attend), None),
        ("its attention", None, lambda: [attend(n, qkv) for n in range(decoder.config.num_layers)], None),
    ]
    y, z = torch.rand_like(x).transpose(1, 2), torch.rand_like(x)
    lines.append(("first convolution", partial(conv, decoder.first, y), lambda: seanets[0].first(z, carried), None))
    print(f"| at {rows} streams | plain ms | products ms | Triton ms |\n|---|--:|--:|--:|")
    for line in lines:
        tell(*line)
    w = torch.rand(rows, 2, decoder.first.weight.shape[0], dtype=x.dtype, device=x.device)
    for n in range(stages):
        up, block, v = decoder.ups[n], decoder.blocks[n][0], w.transpose(1, 2).contiguous()
        ups = [partial(s.stages[n].upsampled, w, carried) for s in seanets]
        tell(f"stage {n}, transposed convolution", lambda u=up, v=v: conv(u, fn.elu(v)), *ups)
        w = seanets[0].stages[n].upsampled(w, carried)
        v = w.transpose(1, 2).contiguous()

        def plain_block(b: torch.nn.Module = block, v: Tensor = v) -> Tensor:
            return v + conv(b.narrow, fn.elu(conv(b.wide, fn.elu(v))))

        residual = [partial(s.stages[n].residual, w.clone(), carried) for s in seanets]
        tell(f"stage {n}, residual block", plain_block, *residual)
        if n == stages - 1:
            ends = [s.stages[n].residual(w.clone(), carried) for s in seanets]
            lasts = [partial(s.last, e, carried) for s, e in zip(seanets, ends, strict=True)]
            tell("last convolution", lambda v=v: conv(decoder.last, fn.elu(v)), *lasts)
        w = seanets[0].stages[n].residual(w, carried)


def tell(
    name: str, plain: Callable[[], object] | None, products: Callable[[], object],
    kernels: Callable[[], object] | None = None,
) -> None:  # fmt: skip
    cells = [took(work) for work in (plain, products, kernels)]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def took(work: Callable[[], object] | None) -> str:
    if work is None:
        return ""
    try:
        return f"{timed(work, times=7):.3f}"
    except Exception as error:  # noqa: BLE001 - what does not compile is a result, the others are to be measured
        return f"{type(error).__name__}: {str(error)[:60]}"


def scan(decoder: MimiDecoder, state: MimiState, rows: int, *, ends: float) -> None:
    """Other tiles, stage by stage; groups at 128 channels too."""
    stages = len(decoder.ups)
    slots = call_of(decoder, rows)["slots"]
    carried = Carried(state.past[slots], state, slots)
    print(f"| at {rows} streams: tile | {' | '.join(f'stage {n}' for n in range(stages))} |\n|---|{'--:|' * stages}")
    for name, tiles in TILES.items():
        usual, up = getattr(seanet_module, name), name == "UP_TILE"
        seanet_module.GROUP_CHANNELS = 0 if name == "BLOCK_TILE" else 128
        seanet = Seanet(decoder, Ways((True,) * stages, (True,) * stages))
        seanet_module.GROUP_CHANNELS = 64
        for tile in tiles:
            cells: list[str] = []
            steps = 2
            setattr(seanet_module, name, tile)
            for stage in seanet.stages:
                shape = (rows, steps, stage.up.channels) if up else (rows, steps * stage.up.stride, stage.channels)
                steps *= stage.up.stride
                if time.monotonic() > ends or not (up or stage.in_groups == (name == "GROUPS")):
                    cells.append("")
                    continue
                x = torch.rand(shape, dtype=decoder.first.weight.dtype, device=slots.device)
                cells.append(took(partial(stage.upsampled if up else stage.residual, x, carried)))
            print(f"| {name} {tile} | {' | '.join(cells)} |", flush=True)
        setattr(seanet_module, name, usual)


def profile(path: Path, name: str, call: dict[str, Tensor], state: MimiState) -> None:
    """Where a frame's time goes, by kernel."""
    from torch.autograd import DeviceType  # noqa: PLC0415 - here only
    from torch.profiler import ProfilerActivity  # noqa: PLC0415 - here only
    from torch.profiler import profile as profiled  # noqa: PLC0415 - here only

    state.position.fill_(POSITION)
    path(state=state, **call)
    torch.cuda.synchronize()
    with profiled(activities=[ProfilerActivity.CUDA]) as trace:
        path(state=state, **call)
        torch.cuda.synchronize()
    sums: dict[str, list[float]] = {}
    for event in trace.events():
        if event.device_type == DeviceType.CUDA:
            sums.setdefault(event.name[:90], []).append(event.time_range.elapsed_us())
    total = sum(map(sum, sums.values())) / 1000
    print(f"{name}: {total:.3f} ms in {sum(map(len, sums.values()))} kernels; ms, launches, longest us, kernel")
    for key, times in sorted(sums.items(), key=lambda item: -sum(item[1]))[:16]:
        print(f"  {sum(times) / 1000:7.3f} {len(times):5d} {max(times):7.1f} {key}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--parts-at", type=int, nargs="+")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--scan", action="store_true")
    parser.add_argument("--limit-s", type=float, default=110.0, help="since the start; no tile is tried after it")
    parser.add_argument("--tiny", action="store_true", help="on the processor, in Triton's interpreter")
    options = parser.parse_args()
    ends = time.monotonic() + options.limit_s
    torch.set_grad_enabled(False)
    torch.backends.cudnn.allow_tf32 = False  # or float32 would not be
    chosen = options.sizes or ((1, 2) if options.tiny else SIZES)
    decoder = make_mimi(tiny=options.tiny)
    agreement(decoder, 4 if options.tiny else 64)
    half = deepcopy(decoder).half()
    state = MimiState(half, slots=max(chosen), like=half.first.weight, max_frames=1)
    whole = WholeFrame(half)
    fused_module.RING_TILE = scan_rings(half, state, min(1024, max(chosen)))
    print(f"from here on the kernels attend by {fused_module.RING_TILE}")
    agreement(decoder, 4 if options.tiny else 64)
    sizes(half, whole, state, chosen)
    for rows in options.parts_at or ((2,) if options.tiny else (1024,)):
        parts(half, state, rows)
    most = min(1024, max(chosen))
    if options.profile and not options.tiny:
        tile = fused_module.RING_TILE
        for name, path in (("plain", half), ("kernels", whole)):
            fused_module.RING_TILE = tile if path is whole else None
            profile(path, f"{name} at {most}", call_of(half, most), state)
    if options.scan:
        scan(half, state, most, ends=ends)
    print(f"{time.monotonic() - ends + options.limit_s:.0f} s")


if __name__ == "__main__":
    main()
