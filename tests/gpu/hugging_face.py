"""How long a frame takes in Hugging Face's own `generate`: alone and 16 at once, as it comes and compiled.

    python -m tests.gpu.hugging_face /dev/shm/csm-1b --limit-s 300 [--report $OUT/hugging_face.md]

Each row is a process of its own that is ended at its limit, so that a compilation without end costs its row only, and
the whole ends in time. A row warms up at the very length it is timed at (a static cache that grows is compiled anew),
until two calls in a row take as long within a tenth. Half the frames are taken off the whole, so that prompt and
set-up do not count. bfloat16, 60 tokens of prompt, sampled, no codec.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROMPT = 60
ROWS = (
    # name, at once, seconds that it may take
    ("as it comes", 1, 60),
    ("as it comes", 16, 60),
    ("static cache, compiled", 1, 150),
    ("static cache, compiled", 16, 150),
    ("static cache", 1, 90),
)


def static_cache(csm: Any) -> None:
    """Caches of a fixed size; on a GPU transformers 5 compiles by itself over one."""
    csm.generation_config.cache_implementation = "static"
    csm.depth_decoder.generation_config.cache_implementation = "static"


def compiled(csm: Any, mode: str) -> None:
    """As the documentation of transformers has it ("Making the model go brrr")."""
    import torch  # noqa: PLC0415

    static_cache(csm)
    csm.forward = torch.compile(csm.forward, mode=mode)
    csm.depth_decoder.forward = torch.compile(csm.depth_decoder.forward, mode=mode)


def row(model: Path, name: str, batch: int, frames: int, warm_s: float) -> str:
    """Time one row; its line of the table."""
    import torch  # noqa: PLC0415 - in the row's own process
    from transformers import CsmForConditionalGeneration  # noqa: PLC0415

    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    torch.manual_seed(0)
    csm = CsmForConditionalGeneration.from_pretrained(model, dtype=torch.bfloat16).to(device).eval()
    if name == "static cache":
        static_cache(csm)
    elif name != "as it comes":
        compiled(csm, "reduce-overhead" if cuda else "default")
    ids = torch.randint(5, 200, (batch, PROMPT), device=device)
    arguments = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "output_audio": False, "do_sample": True}
    ends = time.perf_counter() + warm_s

    def call(count: int) -> tuple[float, int]:
        """Seconds and frames; with random weights hardly any stream ends before its time."""
        torch.manual_seed(1)
        began = time.perf_counter()
        said = csm.generate(**arguments, max_new_tokens=count, min_new_tokens=count)
        if cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - began, said.shape[1]

    warm = [call(frames)[0]]
    while len(warm) < 2 or (abs(warm[-1] / warm[-2] - 1) > 0.1 and time.perf_counter() < ends):
        warm.append(call(frames)[0])
    (long_s, many), (short_s, few) = (
        min((call(frames) for _ in range(2)), key=lambda pair: pair[0]),
        min((call(frames // 2) for _ in range(3)), key=lambda pair: pair[0]),
    )
    frame_ms = (long_s - short_s) / max(many - few, 1) * 1000
    return f"| Hugging Face, {name} | {batch} | {frame_ms:.1f} | {frame_ms / 80:.2f} | {warm[0]:.1f} | {len(warm)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--limit-s", type=float, default=300.0, help="all rows together")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row is not None:
        name, batch, limit_s = ROWS[options.row]
        print(row(options.model, name, batch, options.frames, 0.6 * limit_s), flush=True)
        return
    ends = time.monotonic() + options.limit_s
    lines = [
        "| way | at once | frame ms | of real time | first call s | calls to be warm |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    print("\n".join(lines), flush=True)
    for number, (name, batch, limit_s) in enumerate(ROWS):
        left_s = min(limit_s, ends - time.monotonic())
        line = f"| Hugging Face, {name} | {batch} | no time left |"
        if left_s > 15:
            argv = [sys.executable, "-m", "tests.gpu.hugging_face", str(options.model), "--row", str(number)]
            try:
                done = subprocess.run(
                    [*argv, "--frames", str(options.frames)],
                    capture_output=True,
                    text=True,
                    timeout=left_s,
                    check=False,
                )
                said = done.stdout.strip().splitlines()
                line = said[-1] if done.returncode == 0 and said else f"| Hugging Face, {name} | {batch} | failed |"
                if done.returncode:
                    print(done.stderr[-1500:], file=sys.stderr, flush=True)
            except subprocess.TimeoutExpired:
                line = f"| Hugging Face, {name} | {batch} | more than {left_s:.0f} s |"
        lines.append(line)
        print(line, flush=True)
        if options.report:
            options.report.parent.mkdir(parents=True, exist_ok=True)
            options.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
