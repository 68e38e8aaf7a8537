"""Streams in real time through the real server: underruns, first audio, aborts. One command, one table.

    python -m tests.gpu.random_csm_1b /dev/shm/csm-1b
    python -m tests.gpu.streams /dev/shm/csm-1b --load 64:60 --poisson 20:15 --load 512:20 --hugging-face

The server is a process, the listeners are others (`--clients`), as they are in production. A listener begins to play
with an utterance's first chunk and never waits: every later chunk must be there before its time, or it counts as an
underrun. `--load STREAMS:SECONDS` keeps so many streams speaking, utterance after utterance, each of 4 to 12 s, for so
long after all have begun, which they do at times spread out by `--arrivals` a second; `--abort` of the utterances are
cut off at a random point. `--poisson RATE:SECONDS` begins utterances of 4 s at random times. With random weights a
stream ends by its frame count. With `--quote-s` each stream is a call, of which an utterance quotes so many seconds.

`--soak STREAMS:SECONDS` is a load of which every minute has a row, with the memory of the processes and the places
taken. All loads name what stalled them: collections of 10 ms and more in either process, the server's loop held up,
the listeners' own loops held up (then the row is void: the listeners were the wall).

For the next lease, at 1,000, 1,500 and 2,000 streams, then ten minutes at 70 % of what held:

    python -m tests.gpu.streams /dev/shm/csm-1b --slots 2048 --arrivals 200 --quote-s 20 --budget-s 400 \
        --load 1000:30 --load 1500:30 --load 2000:30
    python -m tests.gpu.streams /dev/shm/csm-1b --slots 2048 --arrivals 200 --quote-s 20 --budget-s 700 --soak 1400:600

Without a GPU the script itself is tried on a tiny checkpoint: with `--backend torch`, or in vLLM's environment
(tests/vllm_env.sh) with `--step-ms 60`, vLLM's engine over an executor without a model (tests/fakes/timed_executor.py).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
import numpy as np
import uvloop

from tests.gpu.context_turns import context_turns
from tts_engine.client import SpeechClient, SpeechTimeouts
from tts_engine.errors import SpeechError
from tts_engine.protocol import BYTES_PER_SECOND, ConversationContext, SpeechRequest

TEXT = "Salam, mən səsli köməkçiyəm. Sizə necə kömək edə bilərəm?"
FRAME_S = 0.08
ROOT = Path(__file__).parents[2]
_HEAD = """\
| load | said | aborted | failed | first ms p50 | p95 | underruns | late p99 ms | max | audio s | server cores | vLLM \
| listeners | their stall ms |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""
_SOAK_HEAD = "| soak | server MB | vLLM MB | places taken | server cores | vLLM |\n|---|--:|--:|--:|--:|--:|"
_TIMED = """
import tts_engine.backend.vllm_engine as engine
from tests.fakes.timed_executor import ARGUMENTS
from tts_engine.cli import app
engine.runner_arguments = lambda streams: dict(ARGUMENTS)
app()
"""
_TIMEOUTS = SpeechTimeouts(connect_s=10.0, first_audio_s=30.0, between_chunks_s=30.0)


@dataclass(slots=True)
class Heard:
    """What the listeners of one process heard."""

    first_audio_ms: list[float] = field(default_factory=list[float])
    late_ms: list[float] = field(default_factory=list[float])  # the worst chunk of each utterance; below 0: early
    utterances: int = 0
    aborted: int = 0
    failed: int = 0
    audio_s: float = 0.0
    cpu_s: float = 0.0
    stall_ms: float = 0.0  # the longest that their own loop was held up


async def watch_own_loop(heard: Heard) -> None:
    """Note how long the loop that this runs in was held up."""
    while True:
        due = time.perf_counter() + 0.01
        await asyncio.sleep(0.01)
        heard.stall_ms = max(heard.stall_ms, (time.perf_counter() - due) * 1000)


async def listen(
    client: SpeechClient,
    heard: Heard,
    *,
    frames: int,
    keep: int | None,
    seed: int,
    call: ConversationContext | None = None,
) -> None:
    """Play one utterance in real time; `keep` frames of it, then abort."""
    began, first, worst, held_s = time.perf_counter(), 0.0, float("-inf"), 0.0
    try:
        request = SpeechRequest(text=TEXT, max_new_tokens=frames, seed=seed, conversation=call)
        async with aclosing(client.speak(request)) as audio:
            async for pcm in audio:
                now = time.perf_counter()
                if held_s == 0.0:
                    first = now
                    heard.first_audio_ms.append((now - began) * 1000)
                else:
                    worst = max(worst, now - first - held_s)
                held_s += len(pcm) / BYTES_PER_SECOND
                if keep is not None and held_s >= keep * FRAME_S:
                    heard.aborted += 1
                    break
    except SpeechError as error:
        heard.failed += 1
        if heard.failed <= 3:
            print(f"failed: {error}", file=sys.stderr, flush=True)
        await asyncio.sleep(1.0)
        return
    heard.utterances += 1
    heard.audio_s += held_s
    heard.late_ms.append(worst * 1000)
    # What was made ahead of its time is played to its end before the next one begins.
    await asyncio.sleep(max(0.0, first + held_s - time.perf_counter()) if keep is None else 0.0)


async def keep_speaking(options: argparse.Namespace) -> Heard:
    """So many streams, utterance after utterance, for so long after all have begun."""
    heard, streams, seed, abort = Heard(), options.streams, options.seed, options.abort
    ramp_s, seconds = options.ramp_s, options.seconds
    async with SpeechClient(options.url, timeouts=_TIMEOUTS, warm_links=0, max_idle_links=streams + 8) as client:

        async def stream(number: int) -> None:
            name = f"{os.getpid()}-{number}"
            call = ConversationContext(id=name, max_context_s=options.quote_s) if options.quote_s else None
            dice = random.Random(seed * 10_000 + number)
            ends = time.perf_counter() + ramp_s + seconds
            await asyncio.sleep(dice.random() * ramp_s)
            while (left_s := ends - time.perf_counter()) > 1.0:
                frames = min(dice.randint(50, 150), round(left_s / FRAME_S))
                keep = dice.randint(1, frames - 1) if dice.random() < abort else None
                await listen(client, heard, frames=frames, keep=keep, seed=dice.randrange(2**31), call=call)

        watch = asyncio.create_task(watch_own_loop(heard))
        await asyncio.gather(*(stream(number) for number in range(streams)))
        watch.cancel()
    return heard


async def arrive(url: str, rate: float, seconds: float, seed: int) -> Heard:
    """Utterances of 4 s that begin at random times."""
    heard, dice = Heard(), random.Random(seed)
    async with SpeechClient(url, timeouts=_TIMEOUTS, warm_links=4) as client, asyncio.TaskGroup() as group:
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            await asyncio.sleep(dice.expovariate(rate))
            group.create_task(listen(client, heard, frames=50, keep=None, seed=dice.randrange(2**31)))
    return heard


def client_main(options: argparse.Namespace) -> None:
    """One process of listeners: its figures on standard output."""
    if options.as_client == "load":
        work = keep_speaking(options)
    else:
        work = arrive(options.url, options.streams, options.seconds, options.seed)
    gc.collect()
    gc.freeze()  # as the server does: what is imported is not walked again
    heard = uvloop.run(work)
    heard.cpu_s = time.process_time()
    print(json.dumps(asdict(heard)))


async def run_clients(kind: str, url: str, streams: float, seconds: float, options: argparse.Namespace) -> Heard:
    """Spread the load over processes and add up what they heard."""
    count = min(options.clients, max(1, int(streams) // 8))
    shares = (
        [streams / count] * count if kind == "poisson" else [len(r) for r in np.array_split(range(int(streams)), count)]
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.gpu.streams", str(options.model), "--as-client", kind, "--url", url,
            "--streams", str(share), "--seconds", str(seconds), "--ramp-s", str(streams / options.arrivals),
            "--abort", str(options.abort), "--seed", str(index), "--quote-s", str(options.quote_s),
            stdout=asyncio.subprocess.PIPE,
        )
        for index, share in enumerate(shares)
    ]  # fmt: skip
    total = Heard()
    for process in processes:
        out, _ = await process.communicate()
        part = Heard(**json.loads(out))
        total.first_audio_ms += part.first_audio_ms
        total.late_ms += part.late_ms
        total.utterances += part.utterances
        total.aborted += part.aborted
        total.failed += part.failed
        total.audio_s += part.audio_s
        total.cpu_s += part.cpu_s
        total.stall_ms = max(total.stall_ms, part.stall_ms)
    return total


def busy_s(pid: int) -> float:
    """Seconds of processor time that a process has taken, threads included (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Return the processes below a process, of every depth."""
    direct = [
        int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
    ]
    return direct + [below for child in direct for below in children(child)]


def memory_mb(pids: list[int]) -> float:
    """Resident memory of processes, without what they share twice (proc(5), smaps_rollup)."""
    pages = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(page.partition("\nPss:")[2].split()[0]) for page in pages) / 1024


async def quoted(url: str) -> tuple[float, float]:
    """Seconds of earlier sound that all utterances so far have quoted, and how many utterances have."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            page = (await client.get(f"{url}/metrics")).text
    except httpx.HTTPError:
        return float("nan"), float("nan")
    found = dict(line.split() for line in page.splitlines() if line.startswith("zeng_tts_context_seconds_"))
    return float(found["zeng_tts_context_seconds_sum"]), float(found["zeng_tts_context_seconds_count"])


def stalls(log: Path, pid: int) -> str:
    """What the watched processes noted since the last call, in words."""
    taken = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    found: dict[str, list[float]] = {}
    for line in taken:
        which, *kind, ms = line.split()
        whose = "server" if int(which) == pid else "vLLM"
        found.setdefault(f"{whose} {' '.join(kind)}", []).append(float(ms))
    said = [f"{name}: {len(ms)} of 10 ms and more, the longest {max(ms):.0f}" for name, ms in sorted(found.items())]
    return "; ".join(said) or "nothing of 10 ms and more"


async def soak(url: str, pid: int, streams: float, seconds: float, options: argparse.Namespace) -> Heard:
    """A load, and every minute a row of what it holds."""
    load = asyncio.create_task(run_clients("load", url, streams, seconds, options))
    print(_SOAK_HEAD, flush=True)
    every_s, began = min(60.0, seconds / 4), time.monotonic()
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        while not load.done():
            below = children(pid)
            before = time.monotonic(), busy_s(pid), sum(map(busy_s, below))
            await asyncio.wait({load}, timeout=every_s)
            took = time.monotonic() - before[0]
            try:
                page = (await client.get(f"{url}/metrics")).text
            except httpx.HTTPError as error:  # the load goes on, and so does its account
                page = "zeng_tts_streams_active nan"
                print(f"/metrics did not answer: {error!r}", file=sys.stderr, flush=True)
            (places,) = (line.split()[-1] for line in page.splitlines() if line.startswith("zeng_tts_streams_active "))
            cores = (busy_s(pid) - before[1]) / took, (sum(map(busy_s, below)) - before[2]) / took
            print(
                f"| {time.monotonic() - began:.0f} s | {memory_mb([pid]):.0f} | {memory_mb(below):.0f} |"
                f" {float(places):.0f} | {cores[0]:.2f} | {cores[1]:.2f} |",
                flush=True,
            )
    print(_HEAD, flush=True)
    return await load


@asynccontextmanager
async def served(options: argparse.Namespace, streams: int, log: Path) -> AsyncGenerator[tuple[str, int], None]:
    """`zeng tts serve` with the checkpoint, in a process of its own and watched: its URL and its process id."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'tests/gpu/watch'}:{os.environ.get('PYTHONPATH', '')}",
        "WATCH_LOG": str(log),
        **({"WATCH_WHERE": str(log.parent)} if options.where else {}),
        "TIMED_STEP_MS": str(options.step_ms or 0),
        "ZENG_TTS__BACKEND": options.backend,
        "ZENG_TTS__CSM__MODEL": str(options.model),
        "ZENG_TTS__CSM__STREAMS": str(streams),
        "ZENG_TTS__CSM__DEVICE": options.codec_device,
        "ZENG_TTS__CSM__GPU_MEMORY": "0.8",
        "ZENG_TTS__MAX_CONNECTIONS": "4096",
        "ZENG_TTS__FIRST_AUDIO_TIMEOUT_S": "30",
    }
    command = [sys.executable, "-m", "tts_engine"] if options.step_ms is None else [sys.executable, "-c", _TIMED]
    process = await asyncio.create_subprocess_exec(
        *[*command, "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    assert process.stderr is not None
    passing = asyncio.create_task(pass_on(process.stderr))
    while b"ready at" not in (line := await process.stdout.readline()):
        if not line:
            raise SystemExit("the server did not start")
    try:
        yield line.decode().split()[-1], process.pid
    finally:
        process.terminate()
        await process.wait()
        await passing


async def pass_on(log: asyncio.StreamReader) -> None:
    """Pass the server's log on, and say of it what is to stand beside the table: which fast paths are on."""
    while line := await log.readline():
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
        if b"depth decoder: " in line:
            print("on:", line.decode(errors="replace").partition("depth decoder: ")[2].strip(), flush=True)


def spent(folder: Path, pids: list[int]) -> dict[str, Counter[str]]:
    """Microseconds of processor time of the watched processes' threads until now, by place (watch/watch_where.py)."""
    found: dict[str, Counter[str]] = {}
    for pid in pids:
        if (place := folder / str(pid)).exists():
            threads: dict[str, dict[str, int]] = json.loads(place.read_text())
            found |= {f"process {pid}, thread {name}": Counter(places) for name, places in threads.items()}
    return found


def where(found: dict[str, Counter[str]], earlier: dict[str, Counter[str]], *, least_s: float = 0.2) -> None:
    """Print what threads have spent since."""
    for name, places in found.items():
        since = places - earlier.get(name, Counter())
        if (total := since.total()) >= least_s * 1e6:
            print(f"{name}: {total / 1e6:.1f} s", flush=True)
            for place, us in since.most_common(14):
                print(f"  {us / total:5.1%} {place}", flush=True)


def row(name: str, heard: Heard, cores: tuple[float, float], took: float) -> str:
    """A line of the table."""
    first, late = np.array(heard.first_audio_ms or [np.nan]), np.array(heard.late_ms or [np.nan])
    under = int((late > 0).sum())
    return (
        f"| {name} | {heard.utterances} | {heard.aborted} | {heard.failed} | {np.percentile(first, 50):.0f} |"
        f" {np.percentile(first, 95):.0f} | {under} | {np.percentile(late, 99):.0f} | {late.max():.0f} |"
        f" {heard.audio_s:.0f} | {cores[0]:.2f} | {cores[1]:.2f} | {heard.cpu_s / took:.2f} | {heard.stall_ms:.0f} |"
    )


async def main(options: argparse.Namespace) -> None:
    """Start the server once, then every load in order."""
    gives_up_at = time.monotonic() + options.budget_s
    began = time.monotonic()
    place = tempfile.TemporaryDirectory(prefix="zeng-watch-")
    log = Path(place.name) / "stalls"
    async with served(options, options.slots, log) as (url, pid):
        print(f"server ready in {time.monotonic() - began:.0f} s", flush=True)
        await run_clients("load", url, 1, 4.0, options)  # what is compiled on first use
        if options.context:
            await context_turns(url, TEXT, _TIMEOUTS)
        print(_HEAD, flush=True)
        for kind, text in options.loads:
            size, seconds = (float(part) for part in text.split(":"))
            if time.monotonic() + seconds + size / options.arrivals + 10 > gives_up_at:
                print(f"| {kind} {text}: no time left |", flush=True)
                continue
            stalls(log, pid)  # those before are nobody's
            below, earlier = children(pid), await quoted(url)
            known = spent(log.parent, [pid, *below])
            before = time.monotonic(), busy_s(pid), sum(map(busy_s, below))
            if kind == "soak":
                heard = await soak(url, pid, size, seconds, options)
            else:
                heard = await run_clients(kind, url, size, seconds, options)
            took = time.monotonic() - before[0]
            cores = (busy_s(pid) - before[1]) / took, (sum(map(busy_s, below)) - before[2]) / took
            name = (
                f"{size:.0f} a second, {seconds:.0f} s" if kind == "poisson" else f"{size:.0f} streams, {seconds:.0f} s"
            )
            print(row(name, heard, cores, took), flush=True)
            print(f"stalls: {stalls(log, pid)}", flush=True)
            sound_s, count = (now - then for now, then in zip(await quoted(url), earlier, strict=True))
            print(f"quoted: {sound_s / max(count, 1):.1f} s of earlier sound on average", flush=True)
            if options.where:
                where(spent(log.parent, [pid, *below]), known)
    place.cleanup()


class _Load(argparse.Action):
    def __call__(
        self, _: object, namespace: argparse.Namespace, values: object, option_string: str | None = None
    ) -> None:
        namespace.loads = [*namespace.loads, ((option_string or "").strip("-"), values)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--load", action=_Load, metavar="STREAMS:SECONDS")
    parser.add_argument("--poisson", action=_Load, metavar="RATE:SECONDS")
    parser.add_argument("--soak", action=_Load, metavar="STREAMS:SECONDS")
    parser.add_argument("--abort", type=float, default=0.2)
    parser.add_argument("--arrivals", type=float, default=100.0, help="first utterances a second")
    parser.add_argument("--quote-s", type=float, default=0.0, help="earlier sound of the stream's call, at most")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--slots", type=int, default=1024)
    parser.add_argument("--backend", default="vllm")
    parser.add_argument("--step-ms", type=float, help="without a model or a GPU: steps of so long")
    parser.add_argument("--budget-s", type=float, default=500.0)
    parser.add_argument("--hugging-face", action="store_true", help="tests.gpu.hugging_face afterwards: 200 s at most")
    parser.add_argument("--where", action="store_true", help="say where both processes spend their processor time")
    parser.add_argument("--context", action="store_true", help="time turns that quote earlier sound, too")
    parser.add_argument("--codec-device", default="cpu", help="where the encoder of callers' sound runs")
    parser.add_argument("--as-client", choices=("load", "poisson"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--streams", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--ramp-s", type=float, default=1.0, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.set_defaults(loads=[])
    chosen = parser.parse_args()
    if chosen.as_client:
        chosen.streams = chosen.streams if chosen.as_client == "poisson" else int(chosen.streams)
        client_main(chosen)
    else:
        asyncio.run(main(chosen))
        if chosen.hugging_face:
            subprocess.run([sys.executable, "-m", "tests.gpu.hugging_face", str(chosen.model)], check=False)
