"""How long a frame takes in Hugging Face's `generate`: compiled as it can be, and as it comes, alone and 16 at once.

    python -m tests.gpu.hugging_face /dev/shm/csm-1b --limit-s 200 [--report $OUT/hugging_face.md]

Ways, each over a static cache for both decoders; `generate` of transformers 5 leaves the prompt uncompiled, so a cache
is made where torch.compile finds it at an address that stays:

- compiled: `generate`'s own compilation, mode `default`. Its own mode, `reduce-overhead`, gives a CUDA graph for the
  addresses of one cache, and `generate` makes the depth decoder a new one for every frame. CSM's depth decoder asks
  its cache for a position to count from (`torch.arange(past_seen_tokens, ...)`), which a static cache has on the GPU:
  it waits for the GPU there, and torch.compile gives the decoder up.
- CUDA graphs: mode `reduce-overhead`, over caches that are kept and emptied, told where a step begins, the depth
  decoder's position counted on the host. More than `generate` offers, and the best that its model code can do.

All rows are processes that load and compile at the same time, and are then timed one after another with nothing else
running. One that is not warm in time, or fails, says so in its row and costs nobody else anything. A row warms up at
the very length it is timed at, until two calls in a row take as long within a tenth. A frame is what half of the
frames more take, so that prompt and set-up do not count. bfloat16, 60 tokens of prompt, sampled, no codec.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

PROMPT = 60
ROWS = (
    ("CUDA graphs", 1),
    ("CUDA graphs", 16),
    ("compiled", 1),
    ("compiled", 16),
    ("as it comes", 1),
    ("as it comes", 16),
)
WARM_SHARE = 0.6
"""Of the whole limit: all rows are warm by then, or left out. The rest is for timing."""


def compiled(csm: Any, backend: str, *, graphs: bool) -> None:
    """Have `generate` compile each decoder's step of one position."""
    import torch  # noqa: PLC0415
    from transformers import CompileConfig  # noqa: PLC0415

    for decoder in (csm, csm.depth_decoder):
        config = CompileConfig(
            mode="reduce-overhead" if graphs and torch.cuda.is_available() else "default", backend=backend
        )
        config._compile_all_devices = True
        decoder.generation_config.cache_implementation = "static"
        decoder.generation_config.compile_config = config
    if graphs:
        _keep_cache(csm, prefill=None)
        _keep_cache(csm.depth_decoder, prefill=2)  # the backbone's state and codebook 0


def _keep_cache(decoder: Any, *, prefill: int | None) -> None:
    """Use one cache for all calls; with `prefill`, count its positions here, from so many on."""
    import torch  # noqa: PLC0415

    made: list[Any] = []
    # there is no other way to these
    make, fill, get = decoder._prepare_static_cache, decoder._prefill, decoder.get_compiled_call

    def prepare(*arguments: object, **named: object) -> Any:
        if made:
            made[0].reset()
        else:
            made.append(make(*arguments, **named))
            if prefill is not None:
                made[0].get_seq_length = lambda layer_idx=0: made[0].position
        made[0].position = 0
        return made[0]

    def fill_counted(*arguments: object, **named: object) -> Any:
        outputs = fill(*arguments, **named)
        made[0].position = prefill
        return outputs

    def get_marked(config: Any) -> Any:
        step = get(config)

        def marked(*arguments: object, **named: object) -> Any:
            torch.compiler.cudagraph_mark_step_begin()
            outputs = step(*arguments, **named)
            if prefill is not None:
                made[0].position += 1
            return outputs

        return marked

    decoder._prepare_static_cache, decoder._prefill = prepare, fill_counted
    decoder.get_compiled_call = get_marked


def row(model: Path, name: str, batch: int, frames: int, place: Path, backend: str) -> str:
    """Warm up, wait for `place/go`, time; its line of the table."""
    import torch  # noqa: PLC0415 - in the row's own process
    from transformers import CsmForConditionalGeneration  # noqa: PLC0415

    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    torch.manual_seed(0)
    csm: Any = CsmForConditionalGeneration.from_pretrained(model, dtype=torch.bfloat16).to(device).eval()
    if name != "as it comes":
        compiled(csm, backend, graphs=name == "CUDA graphs")
    ids = torch.randint(5, 200, (batch, PROMPT), device=device)
    arguments = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "output_audio": False, "do_sample": True}

    def call(count: int) -> tuple[float, int]:
        """Seconds and frames; with random weights hardly any stream ends before its time."""
        torch.manual_seed(1)
        began = time.perf_counter()
        said = csm.generate(**arguments, max_new_tokens=count, min_new_tokens=count)
        if cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - began, said.shape[1]

    first_s = call(frames)[0]
    call(frames)
    place.joinpath("warm").touch()
    while not place.joinpath("go").exists():
        time.sleep(0.05)
    warm = [call(frames)[0], call(frames)[0]]
    while abs(warm[-1] / warm[-2] - 1) > 0.1 and len(warm) < 5:
        warm.append(call(frames)[0])
    (long_s, many), (short_s, few) = (
        min((call(frames) for _ in range(2)), key=lambda pair: pair[0]),
        min((call(frames // 2) for _ in range(3)), key=lambda pair: pair[0]),
    )
    frame_ms = (long_s - short_s) / max(many - few, 1) * 1000
    return (
        f"| Hugging Face, {name} | {batch} | {frame_ms:.1f} | {frame_ms / 80:.2f} | {first_s:.1f} | {2 + len(warm)} |"
    )


@dataclass(slots=True)
class Row:
    """One row and its process, whose output is in `place`."""

    name: str
    batch: int
    place: Path
    process: subprocess.Popen[bytes]
    why: str = ""

    def is_warm(self) -> bool:
        return self.place.joinpath("warm").exists()

    def end(self, why: str) -> None:
        self.process.kill()
        self.process.wait()
        self.why = why

    def go(self, *, until: float) -> None:
        """Let it be timed."""
        self.place.joinpath("go").touch()
        try:
            self.process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self.end("not timed by the limit")

    def line(self) -> str:
        said = self.place.joinpath("stdout").read_text(errors="replace").strip().splitlines()
        if not self.why and self.process.returncode == 0 and said:
            return said[-1]
        return f"| Hugging Face, {self.name} | {self.batch} | {self.why or self._error()} | | | |"

    def _error(self) -> str:
        lines = [line.strip() for line in self.place.joinpath("stderr").read_text(errors="replace").splitlines()]
        errors = [line for line in lines if "Error" in line.partition(":")[0] and not line.startswith("File ")]
        last = errors[-1] if errors else (lines or ["no word"])[-1]
        return f"failed with {self.process.returncode}: {last[:200].replace('|', '/')}"


def begin(model: Path, frames: int, backend: str, number: int, place: Path) -> Row:
    name, batch = ROWS[number]
    place.mkdir()
    argv = [sys.executable, "-m", "tests.gpu.hugging_face", str(model), "--row", str(number), "--place", str(place)]
    threads = max((os.cpu_count() or 1) // len(ROWS), 1)
    with place.joinpath("stdout").open("wb") as out, place.joinpath("stderr").open("wb") as err:
        process = subprocess.Popen(
            [*argv, "--frames", str(frames), "--backend", backend],
            stdout=out,
            stderr=err,
            env=os.environ | {"TORCHINDUCTOR_COMPILE_THREADS": str(threads)},
        )
    return Row(name, batch, place, process)


def measure(model: Path, frames: int, backend: str, limit_s: float, only: list[int], say: TextIO) -> list[str]:
    """Lines of the table."""
    began = time.monotonic()
    ends, warm_by = began + limit_s, began + WARM_SHARE * limit_s
    lines = ["| way | at once | frame ms | of real time | first call s | calls |", "|---|--:|--:|--:|--:|--:|"]
    print("\n".join(lines), file=say, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rows = [begin(model, frames, backend, number, Path(folder, str(number))) for number in only]
        try:
            while time.monotonic() < warm_by and any(
                each.process.poll() is None and not each.is_warm() for each in rows
            ):
                time.sleep(0.2)
            for each in rows:
                if each.process.poll() is None and not each.is_warm():
                    each.end(f"not warm after {WARM_SHARE * limit_s:.0f} s")
            for each in rows:
                if each.process.poll() is None:
                    each.go(until=ends)
                lines.append(each.line())
                print(lines[-1], file=say, flush=True)
        finally:
            for each in rows:
                if each.process.poll() is None:
                    each.end("left out")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--limit-s", type=float, default=200.0, help="all rows together")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rows", type=int, nargs="+", default=list(range(len(ROWS))), help="numbers of rows, from 0")
    parser.add_argument("--backend", default="inductor", help="of torch.compile; aot_eager to try the rows anywhere")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row is not None:
        name, batch = ROWS[options.row]
        print(row(options.model, name, batch, options.frames, options.place, options.backend), flush=True)
        return
    lines = measure(options.model, options.frames, options.backend, options.limit_s, options.rows, sys.stdout)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
