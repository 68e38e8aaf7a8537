"""Does the GPU say what the processor says? `PYTHONPATH=. python tests/gpu/parity.py [--vllm]`; exits with 1 if not.

vLLM runs with the scheduler that it is served with, which moves steady streams on by itself; `--plain-scheduler` is for
telling whose fault a difference is. Where more than `--few` speak, beginnings and speech take turns; beyond three times
as many, speech has two steps in a row.

A tiny random checkpoint, as the arithmetic is the same at any size. In float32 codes must be equal. In bfloat16 they
part at the first near tie, so the processor follows the GPU's codes (teacher forcing) and each must be its own best
choice or miss it by little: `gap` is how far the score of the GPU's code lies under the best one, in units of the
spread of the scores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.fakes.plain_generation import GREEDY, generate
from tests.fakes.tiny_csm import TinyCsm, make_tiny
from tests.gpu.stand import Stand, vllm_stand
from tts_engine.backend.vllm_plugin.frame_graphs import FrameGraphs
from tts_engine.backend.vllm_plugin.outlet import DirectOutlet, RingOutlet
from tts_engine.backend.vllm_plugin.runtime import CsmRuntime, Limits
from tts_engine.backend.vllm_plugin.wire import RowFormat
from tts_engine.model.backbone import KvCache
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.csm import CsmModel
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState
from tts_engine.model.mimi.paths import fused
from tts_engine.model.mimi.weights import load_decoder
from tts_engine.model.prompt import AUDIO, ContextTurn, Prompt
from tts_engine.model.sampling import Sampling, frame_keys, gumbel, stream_key
from tts_engine.model.weights import load_csm

FRAMES = 40
DRAWN = {"temperature": 0.9, "depth_temperature": 0.9, "top_k": 20}
OURS = "tts_engine.backend.vllm_plugin.scheduler.LeadAwareScheduler"
GREEDILY = {"temperature": 0.0, "depth_temperature": 0.0}
failed: list[str] = []


def stage(name: str, work: Callable[[], None]) -> None:
    """Run a part; one that falls has failed, and the others are wanted all the same."""
    try:
        work()
    except Exception:  # noqa: BLE001 - as said
        traceback.print_exc()
        check(name, False, "fell")


def check(name: str, good: bool, found: str) -> None:
    print(f"| {'ok' if good else 'FAILED'} | {name} | {found} |", flush=True)
    if not good:
        failed.append(name)


def prompts_of(tiny: TinyCsm, count: int) -> list[Prompt]:
    random = np.random.default_rng(0)
    return [
        tiny.builder.build(
            "Söz " * (1 + n % 7),
            speaker=0,
            context=[ContextTurn(1, "a", random.integers(1, 32, (5 + n, tiny.config.num_codebooks), np.int16))]
            * (n % 3),
            reserve_frames=100,
        )
        for n in range(count)
    ]


def on_gpu(tiny: TinyCsm, dtype: torch.dtype) -> tuple[CsmModel, MimiDecoder]:
    with torch.device("cuda"):
        model, mimi = CsmModel(tiny.config).to(dtype), MimiDecoder(tiny.config.mimi)
    load_csm(model, Checkpoint(tiny.folder))
    load_decoder(mimi, Checkpoint(tiny.folder))
    return model, mimi


def noise_parity() -> None:
    streams, frames = torch.tensor([stream_key(n) for n in range(1000)]), torch.arange(1000) * 7
    keys, device_keys = frame_keys(streams, frames, 32), frame_keys(streams.cuda(), frames.cuda(), 32)
    check("noise keys", torch.equal(keys, device_keys.cpu()), "1,000 rows, to the bit")
    codes = torch.arange(64).expand(1000, -1)
    difference = (gumbel(keys[:, 0], codes) - gumbel(device_keys[:, 0], codes.cuda()).cpu()).abs().max().item()
    check("noise", difference < 1e-5, f"largest difference {difference:.1e}")


def module_parity(tiny: TinyCsm, *, streams: int, alone: bool) -> None:
    """Frame graphs in float32 against the model on the processor, with graphs of several sizes and idle slots."""
    model, mimi = on_gpu(tiny, torch.float32)
    limits = Limits(requests=12, positions=2048, tokens=64, spare_slots=0)
    width = RowFormat(tiny.config.mimi.frame_samples, tiny.config.num_codebooks).width
    hidden = torch.randn(streams, FRAMES, 64, generator=torch.Generator().manual_seed(streams))
    # each of several rests at every fifth step
    turns = [[row for row in range(streams) if streams == 1 or (frame + row) % 5] for frame in range(FRAMES)]
    heard: list[tuple[int, np.ndarray]] = []
    expected: list[tuple[int, np.ndarray]] = []

    def take(keys: np.ndarray, rows: np.ndarray) -> None:
        heard.extend(zip(keys.tolist(), rows.copy(), strict=True))

    def expect(keys: np.ndarray, rows: np.ndarray) -> None:
        expected.extend(zip(keys.tolist(), rows.copy(), strict=True))

    def add(runtime: CsmRuntime) -> None:
        for row in range(streams):  # each draws in a way of its own: a row must not take its neighbour's
            heats = {"temperature": (0.9, 0.0, 0.5)[row % 3], "depth_temperature": (0.9, 0.6, 0.0, 0.3)[row % 4]}
            sampling = {**DRAWN, **heats, "top_k": 20 - row, "seed": row}
            runtime.add(f"r{row}", {"key": row, "sampling": sampling, "frames": b""}, [1, 2], known=2)

    outlet = RingOutlet(take, rows=limits.slots, width=width)
    runtime = CsmRuntime(model.frames, mimi, limits, outlet, take, depth_alone=alone, codec_fused=alone)
    graphs = FrameGraphs(runtime, torch.zeros(1, 64, device="cuda"))
    add(runtime)
    for frame, rows in enumerate(turns):
        slots = torch.tensor(rows, device="cuda")
        said = graphs.say(hidden[rows, frame].cuda(), slots, slots + 10 + frame)
        runtime.emit([f"r{row}" for row in rows], said.out)
    runtime.close()

    slow = MimiDecoder(tiny.config.mimi)
    load_decoder(slow, Checkpoint(tiny.folder))
    plain = CsmRuntime(tiny.model.frames, slow, limits, DirectOutlet(expect), expect)
    add(plain)
    for frame, rows in enumerate(turns):
        slots = torch.tensor(rows)
        plain.emit([f"r{row}" for row in rows], plain.say(hidden[rows, frame], slots, slots + 10 + frame).out)
    pairs = list(zip(heard, expected, strict=True))
    same = sum(a[0] == b[0] and np.array_equal(a[1][1920:], b[1][1920:]) for a, b in pairs)
    name = f"frame graphs, float32, sampled, {streams} at once; {runtime.depth}"
    check(name, same == len(pairs), f"{same} of {len(pairs)} frames equal")
    check("a row alone has its own kernels if asked for", ("others for one row" in runtime.depth) == alone, "")
    loudest = max(np.abs(a[1][:1920].astype(int) - b[1][:1920]).max() for a, b in pairs)
    check("sound of the frame graphs", bool(loudest <= 40), f"largest difference {loudest} of 32,767")


def mimi_parity(tiny: TinyCsm, heads: str = "", *, fuse: bool = False) -> None:
    """A frame at a time on the GPU against one shot on the processor, past the window."""
    codes = torch.randint(0, 32, (3, 160, tiny.config.num_codebooks))
    expected = tiny.reference.codec_model.decode(codes.transpose(1, 2)).audio_values[:, 0]
    _, mimi = on_gpu(tiny, torch.float32)
    for dtype, least_db in ((torch.float32, 60.0), (torch.float16, 40.0), (torch.bfloat16, 20.0)):
        mimi = mimi.to(dtype)
        decode, how = fused(mimi) if fuse else (mimi, "plain PyTorch")
        state = MimiState(mimi, slots=3, like=mimi.first.weight, max_frames=1)
        every = torch.ones(3, dtype=torch.bool, device="cuda")
        slots = torch.arange(3, device="cuda")
        parts = [
            decode(codes[:, n : n + 1].cuda(), state, slots=slots, active=every, fresh=every & (n == 0)).cpu()
            for n in range(160)
        ]
        noise = torch.cat(parts, dim=-1) - expected
        ratio = 10 * torch.log10(expected.square().mean() / noise.square().mean()).item()
        check(f"Mimi streamed{heads}, {str(dtype)[6:]}, {how}", ratio > least_db, f"signal to noise {ratio:.0f} dB")


def forced_logits(tiny: TinyCsm, prompt: Prompt, codes: Tensor) -> Tensor:
    """Logits [frames, codebooks, size] of the processor in float32 for codes [frames, codebooks] after a prompt."""
    model = tiny.model
    tokens = torch.cat((torch.from_numpy(prompt.tokens).long(), torch.full((len(codes) - 1,), AUDIO)))
    every = torch.cat((torch.from_numpy(prompt.codes).long(), codes[:-1]))
    cache = KvCache(tiny.config.backbone, slots=1, positions=len(tokens), like=model.frames.audio_table)
    slot = torch.tensor([0])
    hidden = model.backbone(model.frames.embed(tokens, every)[None], cache, slot, slot, span=len(tokens))[0]
    hidden = hidden[len(prompt) - 1 :]
    first = hidden @ model.frames.first_head.T
    return torch.cat((first[:, None], model.frames.depth.logits(hidden, codes)), dim=1)


def gaps(tiny: TinyCsm, prompt: Prompt, codes: Tensor, sampling: Sampling) -> Tensor:
    """How far each code is from what the processor would have said [frames, codebooks], in spreads of the scores."""
    logits = forced_logits(tiny, prompt, codes)
    frames = torch.arange(len(codes))
    keys = frame_keys(torch.full((len(codes),), stream_key(sampling.seed)), frames, codes.shape[1])
    spread, chosen = logits.std(-1), codes[..., None]
    if sampling.temperature == 0:
        return (logits.amax(-1) - logits.gather(-1, chosen)[..., 0]) / spread
    ids = torch.arange(logits.shape[-1]).expand(len(codes), -1)
    noise = torch.stack([gumbel(keys[:, n], ids) for n in range(codes.shape[1])], dim=1)
    scores = logits / sampling.temperature + noise
    kth = logits.topk(sampling.top_k, dim=-1).values[..., -1]
    best = scores.masked_fill(logits < kth[..., None], float("-inf")).amax(-1)
    gap = (best - scores.gather(-1, chosen)[..., 0]) / spread
    # a code just outside of the processor's top k may be just inside of the GPU's, but only just
    return gap.masked_fill(logits.gather(-1, chosen)[..., 0] < kth - 0.25 * spread, float("inf"))


def vllm_parity(tiny: TinyCsm, stand: Stand) -> None:
    prompts = prompts_of(tiny, 24)
    for name, settings in (("greedy", GREEDILY), ("sampled", DRAWN)):
        stand.listener.forget()
        first = 0 if name == "greedy" else 1000  # a key that comes again within seconds is a preempted request
        for key, prompt in enumerate(prompts):
            stand.submit(first + key, prompt, FRAMES, {**settings, "seed": key})
        stand.run()
        stand.listener.wait(len(prompts) * FRAMES)
        found: list[Tensor] = []
        for key, prompt in enumerate(prompts):
            codes = torch.from_numpy(stand.listener.codes(first + key).astype(np.int64))
            found.append(gaps(tiny, prompt, codes, Sampling(**settings, seed=key)).flatten())
        gap = torch.cat(found)
        own = (gap <= 0).float().mean().item()
        check(f"vLLM bfloat16, {name}, forced", own > 0.95, f"{own:.1%} the processor's own choice of {len(gap)} codes")
        worst = gap.quantile(0.999).item()
        check(f"gap of the others, {name}", worst < 0.25, f"99.9 % under {worst:.3f}, largest {gap.max():.3f}")


def vllm_context(tiny: TinyCsm, stand: Stand) -> None:
    prompt = prompts_of(tiny, 24)[23]
    stand.listener.forget()
    stand.submit(2001, prompt, FRAMES, GREEDILY)
    stand.run()
    stand.listener.wait(FRAMES)
    said = stand.listener.codes(2001)
    stand.submit(2002, prompt, FRAMES, GREEDILY)
    again = stand.run()
    stand.listener.wait(2 * FRAMES)
    check(
        "a prompt said again",
        np.array_equal(said, stand.listener.codes(2002)),
        f"{again[2002]} of {len(prompt)} ids cached",
    )
    turn, text = tiny.builder.turn(ContextTurn(0, "", said)), tiny.builder.build("Bəli.", speaker=0, reserve_frames=1)
    frames = slice(len(turn[0]) - len(said) - 1, None)
    later = Prompt.of(
        np.concatenate([prompt.tokens, turn[0][frames], text.tokens]),
        np.concatenate([prompt.codes, turn[1][frames], text.codes]),
    )
    stand.submit(2003, later, FRAMES, GREEDILY)
    hit = stand.run()[2003]
    stand.listener.wait(3 * FRAMES)
    check("a later turn's own frames", hit >= len(prompt) + FRAMES - 16, f"{hit} of {len(later)} ids cached")
    gap = gaps(tiny, later, torch.from_numpy(stand.listener.codes(2003).astype(np.int64)), GREEDY)
    check("a later turn after cached frames", gap.quantile(0.999).item() < 0.25, f"largest gap {gap.max():.3f}")


def vllm_abort(tiny: TinyCsm, stand: Stand) -> None:
    prompts = prompts_of(tiny, 24)
    stand.listener.forget()
    for key, prompt in enumerate(prompts):
        stand.submit(100 + key, prompt, 300, {**DRAWN, "seed": key})
    while len(stand.listener.rows.get(100, [])) < 5:
        stand.engine.step()
    stand.engine.abort_request([str(100 + key) for key in range(24)])
    for _ in range(3):
        stand.engine.step()
    counts = [len(stand.listener.rows.get(100 + key, [])) for key in range(24)]
    check("aborted streams stop", max(counts) < 15, f"at most {max(counts)} frames of 300")
    stand.listener.forget()
    stand.submit(200, prompts[3], FRAMES, GREEDILY)
    stand.run()
    stand.listener.wait(FRAMES)
    gap = gaps(tiny, prompts[3], torch.from_numpy(stand.listener.codes(200).astype(np.int64)), GREEDY)
    check("a stream after aborts", gap.quantile(0.999).item() < 0.25, f"largest gap {gap.max():.3f}")


def vllm_steady(tiny: TinyCsm, stand: Stand, *, plain_scheduler: bool) -> None:
    """Every one of 24 streams has all of its frames, though vLLM's scheduler was not shown most of their steps."""
    prompts = prompts_of(tiny, 24)
    steady = getattr(stand.engine.engine_core.engine_core.scheduler, "_steady", None)
    hidden = list[int]()
    if steady is not None:
        schedule = steady.schedule

        def counted(streams: Any, *rest: Any) -> None:
            hidden.append(len(streams))
            schedule(streams, *rest)

        steady.schedule = counted
    stand.listener.forget()
    for key, prompt in enumerate(prompts):
        stand.submit(3000 + key, prompt, 3 * FRAMES, {**DRAWN, "seed": key}, ignore_end=True)
    stand.run()
    stand.listener.wait(len(prompts) * 3 * FRAMES)
    frames = {len(stand.listener.rows.get(3000 + key, [])) for key in range(24)}
    check("streams that steps were hidden of are whole", frames == {3 * FRAMES}, f"frames of 24: {sorted(frames)}")
    check("steps hidden from vLLM's scheduler", bool(sum(hidden)) != plain_scheduler, f"{sum(hidden)}")


def vllm_seeds(tiny: TinyCsm, stand: Stand, *, exact: bool) -> None:
    """A seed says the same alone, among others, and again; in 16 bits alone and among others round differently."""
    prompts = prompts_of(tiny, 24)

    def said(keys: list[int], first: int) -> list[np.ndarray]:
        stand.engine.reset_prefix_cache()
        stand.listener.forget()
        for key in keys:
            stand.submit(first + key, prompts[key], FRAMES, {**DRAWN, "seed": key}, ignore_end=True)
        stand.run()
        stand.listener.wait(len(keys) * FRAMES)
        return [stand.listener.codes(first + key) for key in keys]

    among = said(list(range(24)), 4000)
    again = said(list(range(24)), 5000)
    same = sum(map(np.array_equal, among, again))
    check("seeds among the same others, again", same == 24, f"{same} of 24 streams equal")
    alone = [said([key], 6000 + 100 * key)[0] for key in range(0, 24, 3)]
    pairs = list(zip(alone, among[::3], strict=True))
    same = sum(np.array_equal(*pair) for pair in pairs)
    until = [int(np.argmax((a != b).any(1))) if (a != b).any() else FRAMES for a, b in pairs]
    found = f"{same} of {len(pairs)} streams equal in all {FRAMES} frames; until frame {sorted(until)}"
    check("a seed alone and among 23 others", same == len(pairs) or not exact, found)


def plain_parity(tiny: TinyCsm) -> None:
    prompts = prompts_of(tiny, 6)
    expected = generate(tiny.model, prompts, [GREEDY] * 6, 12)
    model, _ = on_gpu(tiny, torch.float32)
    same = torch.equal(generate(model, prompts, [GREEDY] * 6, 12).cpu(), expected)
    check("plain model, float32", same, "12 frames of 6")


def turns(few: int) -> dict[str, Any]:
    """Settings by which 24 streams meet every pattern of steps."""
    return {"turns": {"few": few, "many": 3 * few}}


def vllm_stages(tiny: TinyCsm, *, plain_scheduler: bool, few: int) -> None:
    settings: dict[str, Any] = {
        **turns(few),
        **({} if plain_scheduler else {"scheduler_cls": OURS}),
        "max_num_seqs": 32,
        "max_num_batched_tokens": 256,
        "codec_dtype": "float32",
        "codec_fused": True,
        "gpu_memory_utilization": 0.3,  # a tiny model, and another job may be on the GPU
    }
    with vllm_stand(tiny.folder, dtype="bfloat16", **settings) as stand:
        stage("vLLM's codes", lambda: vllm_parity(tiny, stand))
        stage("vLLM's context", lambda: vllm_context(tiny, stand))
        stage("vLLM's aborts", lambda: vllm_abort(tiny, stand))
        stage("vLLM's seeds", lambda: vllm_seeds(tiny, stand, exact=False))
        stage("vLLM's scheduler", lambda: vllm_steady(tiny, stand, plain_scheduler=plain_scheduler))


def vllm_exact_seeds(tiny: TinyCsm, *, few: int) -> None:
    """What 16 bits hide, in float32: which streams speak beside it is nothing to a stream."""
    settings: dict[str, Any] = {"scheduler_cls": OURS, "max_num_seqs": 32, "max_num_batched_tokens": 256}
    settings |= turns(few)
    with vllm_stand(
        tiny.folder, dtype="float32", codec_dtype="float32", codec_fused=True, gpu_memory_utilization=0.3, **settings
    ) as stand:
        stage("vLLM's seeds, float32", lambda: vllm_seeds(tiny, stand, exact=True))


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vllm", action="store_true", help="compare vLLM's engine too")
    parser.add_argument("--only-vllm", action="store_true", help="compare nothing else")
    parser.add_argument("--plain-scheduler", action="store_true", help="with vLLM's own scheduler")
    parser.add_argument("--few", type=int, default=4, help="so many of the 24 streams speak beside a beginning")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False  # float32 is compared as float32
    with tempfile.TemporaryDirectory() as place:
        tiny = make_tiny(Path(place))
        print("| | what | found |\n|---|---|---|")
        if not options.only_vllm:
            stage("noise", noise_parity)
            stage("plain model", lambda: plain_parity(tiny))
            for streams, alone in ((6, False), (6, True), (1, False), (1, True)):
                stage(
                    f"frame graphs, {streams} at once, alone {alone}",
                    lambda streams=streams, alone=alone: module_parity(tiny, streams=streams, alone=alone),
                )
            stage("Mimi", lambda: mimi_parity(tiny))
            stage("Mimi, fused", lambda: mimi_parity(tiny, fuse=True))
            odd = make_tiny(Path(place) / "odd", codec_head_dim=48)  # no width that the kernel has
            stage("Mimi, heads 48 wide", lambda: mimi_parity(odd, ", heads 48 wide"))
        if options.vllm or options.only_vllm:
            few: int = options.few
            stage("vLLM", lambda: vllm_stages(tiny, plain_scheduler=options.plain_scheduler, few=few))
            stage("vLLM, float32", lambda: vllm_exact_seeds(tiny, few=few))
    print("FAILED: " + ", ".join(failed) if failed else "all equal")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
