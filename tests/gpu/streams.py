"""Streams in real time through the real server: underruns, first audio, aborts. One command, one table.

    python -m tests.gpu.random_csm_1b /dev/shm/csm-1b
    python -m tests.gpu.streams /dev/shm/csm-1b --load 64:60 --poisson 20:15 --load 512:20 --hugging-face

The server is a process, the listeners are others (`--clients`; tests/gpu/listeners.py says what they do and what they
count). `--load STREAMS:SECONDS` keeps so many streams speaking, utterance after utterance, each of 4 to 12 s, for so
long after all have begun, which they do at times spread out by `--arrivals` a second; `--abort` of the utterances are
cut off at a random point. `--poisson RATE:SECONDS` begins utterances of 4 s at random times. With random weights a
stream ends by its frame count. With `--quote-s` each stream is a call, of which an utterance quotes so many seconds;
the share of them that the server did not compute again stands below the row.

`--soak STREAMS:SECONDS` is a load of which every minute has two rows: as it goes, the memory of the processes and the
places taken; when it has ended, first audio, underruns and lateness of what began in that minute, which are to stay as
they are. All loads name what stalled them: collections of 10 ms and more in either process, the server's loop held up,
the listeners' own loops held up (then the row is void: the listeners were the wall).

A process of listeners that dies makes its row INCOMPLETE: what it heard until then counts, its exit code and its last
words stand below the table, and the others go on. With `--heard FOLDER` all that was heard stays there, a line an
utterance, as it is heard: should the machine go before the table is printed, `tests.gpu.heard` makes it of that.

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
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from tests.gpu.context_turns import context_turns
from tests.gpu.heard import HEAD, Heard, minutes, row
from tests.gpu.listeners import TEXT, TIMEOUTS, Load, run_listeners
from tests.gpu.server_processes import busy_s, children, cores, memory_mb, spent, stalls, where

FRAME_HZ = 12.5
ROOT = Path(__file__).parents[2]
_SOAK_HEAD = "| soak | server MB | vLLM MB | places taken | server cores | vLLM |\n|---|--:|--:|--:|--:|--:|"
_MAX_LOG_LINE_BYTES = 1 << 20
_TIMED = """
import tts_engine.backend.vllm_engine as engine
from tests.fakes.timed_executor import ARGUMENTS
from tts_engine.cli import app
engine.runner_arguments = lambda streams: dict(ARGUMENTS)
app()
"""


async def metrics(urls: tuple[str, ...]) -> Counter[str]:
    """What the servers count, by name and labels, summed; one that does not answer counts nothing: the load goes on."""
    counted: Counter[str] = Counter()
    for url in urls:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                page = (await client.get(f"{url}/metrics")).raise_for_status().text
        except httpx.HTTPError as error:
            print(f"/metrics did not answer: {error!r}", file=sys.stderr, flush=True)
            continue
        lines = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
        counted.update({name: float(value) for name, _, value in lines})  # pyright: ignore[reportArgumentType] - floats add as well
    return counted


def quoted(now: Counter[str], earlier: Counter[str]) -> str:
    """Say how much earlier sound an utterance quoted, and how much of it came from the cache."""

    def since(name: str) -> float:
        return now[f"zeng_tts_context_{name}"] - earlier[f"zeng_tts_context_{name}"]

    frames = since("seconds_sum") * FRAME_HZ
    cached = f", {since('cached_frames_total') / frames:.1%} of its frames from the cache" if frames > 0 else ""
    return f"quoted: {since('seconds_sum') / max(since('seconds_count'), 1):.1f} s of earlier sound on average{cached}"


async def soak(load: asyncio.Task[Heard], urls: tuple[str, ...], pids: list[int], every_s: float) -> None:
    """Print every minute a row of what a load holds, until it has ended."""
    print(_SOAK_HEAD, flush=True)
    began = time.monotonic()
    while not load.done():
        below, now = all_below(pids), time.monotonic()
        before = busy_s(pids), busy_s(below)
        await asyncio.wait({load}, timeout=every_s)
        took = time.monotonic() - now
        places = (await metrics(urls))["zeng_tts_streams_active"]
        print(
            f"| {time.monotonic() - began:.0f} s | {memory_mb(pids):.0f} | {memory_mb(below):.0f} | {places:.0f} |"
            f" {cores(pids, before[0], took):.2f} | {cores(below, before[1], took):.2f} |",
            flush=True,
        )


def all_below(pids: list[int]) -> list[int]:
    """Return the processes below these."""
    return [below for pid in pids for below in children(pid)]


@asynccontextmanager
async def served(options: argparse.Namespace, log: Path, *arguments: str) -> AsyncGenerator[tuple[str, int], None]:
    """`zeng tts` with the checkpoint, in a process of its own and watched: where it is ready, and its process id."""
    engines = 1 if options.shared else options.servers
    shared = {"ZENG_TTS__CSM__ENGINE_SOCKET": str(log.parent / "csm.sock")} if options.shared else {}
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'tests/gpu/watch'}:{os.environ.get('PYTHONPATH', '')}",
        "WATCH_LOG": str(log),
        **({"WATCH_WHERE": str(log.parent)} if options.where else {}),
        "TIMED_STEP_MS": str(options.step_ms or 0),
        "ZENG_TTS__BACKEND": options.backend,
        "ZENG_TTS__CSM__MODEL": str(options.model),
        "ZENG_TTS__CSM__STREAMS": str(options.slots // engines),
        "ZENG_TTS__CSM__DEVICE": options.codec_device,
        "ZENG_TTS__CSM__GPU_MEMORY": str(0.8 / engines),
        **shared,
        "ZENG_TTS__MAX_CONNECTIONS": "4096",
        "ZENG_TTS__FIRST_AUDIO_TIMEOUT_S": "30",
    }
    command = [sys.executable, "-m", "tts_engine"] if options.step_ms is None else [sys.executable, "-c", _TIMED]
    process = await asyncio.create_subprocess_exec(
        *[*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        limit=_MAX_LOG_LINE_BYTES,
    )
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    assert process.stdout is not None
    assert process.stderr is not None
    passing = {asyncio.create_task(pass_on(stream, ready)) for stream in (process.stdout, process.stderr)}
    await asyncio.wait({ready, *passing}, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():  # a stream that ends does so with its process
        await asyncio.wait(passing, timeout=10)  # it says why
        raise SystemExit("the server did not start")
    try:
        yield ready.result(), process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        print(f"the server ended with exit code {await process.wait()}", file=sys.stderr, flush=True)
        await asyncio.wait(passing, timeout=10)  # a process below that stays holds them open


async def pass_on(log: asyncio.StreamReader, ready: asyncio.Future[str]) -> None:
    """Pass on all that the server says, which would wait for a reader; which fast paths are on goes to the table."""
    while line := await log.readline():
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
        if b"ready at" in line and not ready.done():
            ready.set_result(line.decode().split()[-1])
        if b"depth decoder: " in line:
            print("on:", line.decode(errors="replace").partition("depth decoder: ")[2].strip(), flush=True)


async def measure(load: Load, options: argparse.Namespace, *, every_s: float | None) -> None:
    """Run one load, a soak if it has minutes, and print all about it."""
    log, pids = Path(options.watch_folder, "stalls"), list(load.servers)
    stalls(log, pids)  # those before are nobody's
    below, earlier, now = all_below(pids), await metrics(load.urls), time.monotonic()
    known = spent(log.parent, [*pids, *below])
    before = busy_s(pids), busy_s(below)
    folder = Path(options.heard or options.watch_folder, f"{load.kind}-{load.size:g}-{load.seconds:g}-{now:.0f}")
    listening = asyncio.create_task(run_listeners(load, folder, processes=options.clients))
    if every_s is not None:
        await soak(listening, load.urls, pids, every_s)
        print(HEAD, flush=True)
    heard = await listening
    took = time.monotonic() - now
    taken = cores(pids, before[0], took), cores(below, before[1], took)
    each = {pid: cores([pid], before[0], took) for pid in pids}
    size = f"{load.size:g} a second" if load.kind == "poisson" else f"{load.size:g} streams"
    print(row(f"{size}, {load.seconds:g} s", heard, taken, took), flush=True)
    for lost in heard.lost:
        print(lost, flush=True)
    if len(pids) > 1:
        print("cores of each: " + ", ".join(f"{pid} {busy:.2f}" for pid, busy in each.items()), flush=True)
    print(f"stalls: {stalls(log, pids)}", flush=True)
    print(quoted(await metrics(load.urls), earlier), flush=True)
    if every_s is not None:
        print(minutes(heard, every_s), flush=True)
    if options.where:
        where(spent(log.parent, [*pids, *below]), known)


async def main(options: argparse.Namespace) -> None:
    """Start the servers once, then every load in order."""
    began = time.monotonic()
    gives_up_at = began + options.budget_s
    with tempfile.TemporaryDirectory(prefix="zeng-watch-") as options.watch_folder:
        async with AsyncExitStack() as running:
            log = Path(options.watch_folder, "stalls")
            commands = [("engine",)] * options.shared + [("serve", "--port", "0")] * options.servers
            started = [await running.enter_async_context(served(options, log, *command)) for command in commands]
            started = [*started[options.shared :], *started[: options.shared]]  # listeners know their servers by order
            urls, pids = tuple(url for url, _ in started[: options.servers]), tuple(pid for _, pid in started)
            print(f"{len(urls)} servers ready in {time.monotonic() - began:.0f} s", flush=True)
            for url in urls:  # compiles what is left
                first = Load("load", (url,), 1, 4.0, quote_s=options.quote_s)
                await run_listeners(first, Path(options.watch_folder, "first"), processes=1)
            if options.context:
                await context_turns(urls[0], TEXT, TIMEOUTS)
            print(HEAD, flush=True)
            for kind, text in options.loads:
                size, seconds = (float(part) for part in text.split(":"))
                ramp_s = size / options.arrivals
                if time.monotonic() + seconds + ramp_s + 10 > gives_up_at:
                    print(f"| {kind} {text}: no time left |", flush=True)
                    continue
                which = "poisson" if kind == "poisson" else "load"
                load = Load(which, urls, size, seconds, ramp_s, options.abort, options.quote_s, servers=pids)
                if not all(Path(f"/proc/{pid}").exists() for pid in pids):
                    print(f"| {kind} {text}: a server has ended |", flush=True)
                    continue
                await measure(load, options, every_s=min(60.0, seconds / 4) if kind == "soak" else None)


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
    parser.add_argument("--slots", type=int, default=1024, help="streams at most, of all servers")
    parser.add_argument("--servers", type=int, default=1, help="on the one GPU, each with an engine of its own")
    parser.add_argument("--shared", action="store_true", help="one engine for all servers, in a process of its own")
    parser.add_argument("--backend", default="vllm")
    parser.add_argument("--step-ms", type=float, help="without a model or a GPU: steps of so long")
    parser.add_argument("--budget-s", type=float, default=500.0)
    parser.add_argument("--hugging-face", action="store_true", help="tests.gpu.hugging_face afterwards: 200 s at most")
    parser.add_argument("--where", action="store_true", help="say where both processes spend their processor time")
    parser.add_argument("--context", action="store_true", help="time turns that quote earlier sound, too")
    parser.add_argument("--codec-device", default="cpu", help="where the encoder of callers' sound runs")
    parser.add_argument("--heard", type=Path, metavar="FOLDER", help="leave what was heard there, as it is heard")
    parser.set_defaults(loads=[])
    chosen = parser.parse_args()
    asyncio.run(main(chosen))
    if chosen.hugging_face:
        subprocess.run([sys.executable, "-m", "tests.gpu.hugging_face", str(chosen.model)], check=False)
