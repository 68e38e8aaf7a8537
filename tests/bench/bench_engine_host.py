"""What a frame of N streams costs the host, without a GPU or a model: CPU time a step, part by part.

    python tests/bench/bench_engine_host.py
    python tests/bench/bench_engine_host.py --sizes 256 --profile

Engine (in the environment of tests/vllm_env.sh): vLLM's real engine loop and our scheduler, over an executor without a
model that does for each request what vLLM's runner does for it on the host (tests/fakes/timed_executor.py). Server: the
real WebSocket server over our backend, which is sent the frames over the socket that the engine would send them over;
its listeners are another process. `--pace` is the time from step to step in frames: at 1 no stream gets ahead and every
frame is a message of its own, the dearest there is; at 0.75 messages grow as they do on a GPU that is three quarters
busy. `--stretch` makes a frame last longer than 80 ms, so that a small machine keeps up. A step is a frame of all.
`--only shared`: the same server before an engine in a process of its own (`zeng tts engine`), and what that one takes.
"""
# ruff: noqa: PLC0415 - each part runs in an environment of its own

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import multiprocessing
import os
import pstats
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
FRAME_S = 0.08
SAMPLES, CODEBOOKS = 1920, 32
_ENGINE_HEAD = """\
| streams | engine, ms a step | schedule | prepare | update_from_output | rest | outlet (its thread) | gc 2, ms |
|--:|--:|--:|--:|--:|--:|--:|--:|"""
_SERVER_HEAD = """\
| streams | server, ms a step | inlet, pieces (its thread) | loop: send | messages a step | us a message | gc 2, ms |
|--:|--:|--:|--:|--:|--:|--:|"""
_SHARED_HEAD = """\
| streams | engine's process, ms a step | inlet, pieces (its thread) | loop: passing on | a server before it | its link's thread | loop: send |
|--:|--:|--:|--:|--:|--:|--:|"""  # noqa: E501 - a table's head


def walk_ms() -> float:
    began = time.thread_time()
    gc.collect()
    return (time.thread_time() - began) * 1000


def say(figures: dict[str, float]) -> None:
    print("FIGURES " + json.dumps(figures), flush=True)
    os._exit(0)  # neither vLLM's threads nor the listeners are waited for


# the engine


def engine(options: argparse.Namespace) -> None:
    """Print the figures of one size."""
    from vllm import SamplingParams
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine import EngineCoreRequest
    from vllm.v1.engine.core import EngineCore

    from tests.fakes.timed_executor import ARGUMENTS, TimedExecutor
    from tts_engine.backend.vllm_plugin import register
    from tts_engine.backend.vllm_plugin.ids import STOP_ID
    from tts_engine.backend.vllm_plugin.inlet import Inlet

    register()
    place = Path(tempfile.mkdtemp())
    Inlet(place / "frames.sock", lambda *_: None, lambda: None)
    config = AsyncEngineArgs(
        model=options.model, skip_tokenizer_init=True, max_model_len=2048, max_num_seqs=2048, disable_log_stats=True,
        scheduler_cls="tts_engine.backend.vllm_plugin.scheduler.LeadAwareScheduler",
        additional_config={"csm": {"socket": str(place / "frames.sock"), "frame_s": FRAME_S}}, **ARGUMENTS,
    ).create_engine_config()  # fmt: skip
    core = EngineCore(config, TimedExecutor, log_stats=False)
    for key in range(options.streams):
        parameters = SamplingParams(
            temperature=0.0,
            max_tokens=1500,
            stop_token_ids=[STOP_ID],
            detokenize=False,
            extra_args={"csm": {"key": key}},
        )
        ids = [1 + (key * 31 + n * 7) % 200 for n in range(300 + key % 16)]  # blocks fill at different times
        request = EngineCoreRequest(str(key), ids, None, parameters, None, time.time(), None, None, None)
        core.add_request(*core.preprocess_add_request(request))
    spent: dict[str, float] = {}
    for owner, name, part in (
        (core.scheduler, "schedule", "schedule"),
        (core.model_executor, "execute_model", "prepare"),
        (core.model_executor, "sample_tokens", "prepare"),
        (core.scheduler, "update_from_output", "update"),
    ):
        count_time(owner, name, part, spent)
    while core.scheduler.waiting or any(each.is_prefill_chunk for each in core.scheduler.running):
        core.step_fn()
    for _ in range(20):
        core.step_fn()
    spent.clear()
    profile = cProfile.Profile(time.thread_time)
    outlet, began = core.model_executor.outlet_cpu_s, time.thread_time()
    if options.profile:
        profile.enable()
    for _ in range(options.steps):
        core.step_fn()
    took = time.thread_time() - began
    profile.disable()
    time.sleep(0.5)
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    a_step = {part: s / options.steps * 1000 for part, s in {"engine": took, **spent}.items()}
    a_step["outlet"] = (core.model_executor.outlet_cpu_s - outlet) / options.steps * 1000
    say(a_step | {"walk": walk_ms()})


def count_time(owner: Any, name: str, part: str, spent: dict[str, float]) -> None:
    function = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        began = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent[part] = spent.get(part, 0.0) + time.thread_time() - began

    setattr(owner, name, counted)


# the server


def send_frames(path: str, pipe: Connection) -> None:
    """A process: what vLLM's would send, at a pace."""
    import numpy as np

    from tts_engine.backend.vllm_plugin.outlet import SocketSender

    send = SocketSender(Path(path), gone=lambda: None)
    keys, steps, warm, every_s = pipe.recv()
    rows = np.random.default_rng(0).integers(-3000, 3000, (len(keys), SAMPLES + CODEBOOKS + 2), np.int16)
    rows[:, -1] = 1
    due = time.perf_counter()
    for step in range(warm + steps):
        if step == warm:
            pipe.send("warm")
        send(np.array(keys, np.int64), rows)
        due += every_s
        time.sleep(max(0.0, due - time.perf_counter()))
    pipe.send("done")
    time.sleep(600)


def listen(url: str, streams: int) -> None:
    """A process: so many listeners that read all they are sent."""
    import uvloop
    from websockets.asyncio.client import connect

    async def one(order: int) -> None:
        await asyncio.sleep(order / 100)
        async with connect(url, compression=None, max_size=None, open_timeout=60, ping_interval=None) as socket:
            for message in (
                {"type": "session.config", "max_new_tokens": 2000},
                {"type": "input.text", "text": "Salam."},
                {"type": "input.done"},
            ):
                await socket.send(json.dumps(message))
            async for _ in socket:
                pass

    async def all_of_them() -> None:
        await asyncio.gather(*(one(order) for order in range(streams)))

    uvloop.run(all_of_them())


class FedProcess:
    """Stands in for `VllmProcess`: the frames come from whoever connects to its socket."""

    failure = ""

    def __init__(self, path: Path, engine: Any) -> None:
        self._path, self._engine = path, engine

    def start(self) -> None:
        from tts_engine.backend.vllm_plugin.inlet import Inlet

        Inlet(self._path, self._engine._take, lambda: None)

    def call_soon(self, function: Any, *arguments: Any) -> None:
        """There is no vLLM to tell."""


def fed_engine(options: argparse.Namespace, place: Path) -> Any:
    from tts_engine.backend.csm_engines import vllm_engine
    from tts_engine.backend.vllm_engine import VllmSettings
    from tts_engine.backend.vllm_plugin.wire import RowFormat

    fed: Any = vllm_engine(options.model, VllmSettings(streams=options.streams))
    fed._process, fed._frame_s = FedProcess(place / "frames.sock", fed), FRAME_S * options.stretch
    fed._format = RowFormat(SAMPLES, CODEBOOKS)  # of the full size, whatever the checkpoint's
    return fed


async def endless(fed: Any, streams: int) -> list[int]:
    """Wait for all streams, and have them go on for ever; their keys."""
    while len(fed._streams) < streams:
        await asyncio.sleep(0.1)
    for stream in fed._streams.values():
        stream.frames_left = 1 << 30
    return list(fed._streams)


def clock_of(thread: str) -> int:
    [ident] = [each.ident for each in threading.enumerate() if each.name == thread]
    return time.pthread_getcpuclockid(ident or 0)


def shared_engine(options: argparse.Namespace, place: Path, pipe: Connection) -> None:
    """A process: `zeng tts engine` with an engine that is fed."""
    import uvloop

    from tts_engine.backend.csm_engines import describe
    from tts_engine.backend.engine_host import EngineHost
    from tts_engine.collector import hold_back
    from tts_engine.listener import listening_at

    async def measured() -> None:
        fed = fed_engine(options, place)
        described = describe(options.model, adapter=None, positions=2048, streams=options.streams)
        host, loop = EngineHost(fed, described), asyncio.get_running_loop()
        with listening_at(place / "csm.sock") as listener:
            serving = asyncio.create_task(host.run(listener, lambda: None))
            hold_back()
            pipe.send(await endless(fed, options.streams))
            await loop.run_in_executor(None, pipe.recv)
            before = time.thread_time(), time.clock_gettime(clock_of("csm-inlet"))
            await loop.run_in_executor(None, pipe.recv)
            after = time.thread_time(), time.clock_gettime(clock_of("csm-inlet"))
            passed, read = ((late - early) / options.steps * 1000 for late, early in zip(after, before, strict=True))
            pipe.send({"host_loop": passed, "host_inlet": read})
            await serving

    uvloop.run(measured())


async def server(options: argparse.Namespace) -> None:
    """Print the figures of one size."""
    import uvicorn
    from prometheus_client import CollectorRegistry

    from tts_engine.backend.csm_engines import remote_engine
    from tts_engine.backend.csm_voice import csm_voice
    from tts_engine.collector import hold_back
    from tts_engine.engine.engine import EngineLimits, SpeechEngine
    from tts_engine.engine.memory_store import MemoryConversationStore
    from tts_engine.engine.utterance import UtteranceLimits
    from tts_engine.listener import listen as open_listener
    from tts_engine.metrics import SpeechMetrics
    from tts_engine.protocol import STREAM_PATH
    from tts_engine.routes_stream import StreamLimits
    from tts_engine.server import create_server

    frame_s, place = FRAME_S * options.stretch, Path(tempfile.mkdtemp())
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    host, its = spawn.Pipe()
    processes = [spawn.Process(target=shared_engine, args=(options, place, its), daemon=True)] if options.shared else []
    for process in processes:
        process.start()
    if options.shared:
        fed: Any = remote_engine(options.model, place / "csm.sock", adapter=None, positions=2048)
    else:
        fed = fed_engine(options, place)
    backend = csm_voice(fed, options.model, name="vllm")
    metrics = SpeechMetrics(CollectorRegistry())
    patient = UtteranceLimits(first_audio_timeout_s=600, chunk_timeout_s=600, max_audio_s=1e9)
    store = MemoryConversationStore(ttl_s=900, max_conversations=1, clock=time.monotonic)
    speech = SpeechEngine(backend, store, metrics, limits=EngineLimits(utterance=patient), clock=time.monotonic)
    await speech.start()
    listener = open_listener("127.0.0.1", 0, dead_after_s=600)
    limits = StreamLimits(max_connections=4096, stall_timeout_s=600)
    application = create_server(speech, metrics, limits)
    config = uvicorn.Config(application, log_level="warning", ws_per_message_deflate=False, ws_ping_interval=None)
    hold_back()
    serving = asyncio.create_task(uvicorn.Server(config).serve(sockets=[listener]))
    url = f"ws://127.0.0.1:{listener.getsockname()[1]}{STREAM_PATH}"
    others = [
        spawn.Process(target=send_frames, args=(str(place / "frames.sock"), theirs), daemon=True),
        spawn.Process(target=listen, args=(url, options.streams), daemon=True),
    ]
    for process in others:
        process.start()
    loop = asyncio.get_running_loop()
    keys = await loop.run_in_executor(None, host.recv) if options.shared else await endless(fed, options.streams)
    messages, sink = [0], fed._sink

    def count(events: Any) -> None:
        messages[0] += len(events)
        sink(events)

    fed._sink = count
    warm = 5 if options.pace >= 1 else 50  # the first second of every stream is frame by frame
    ours.send((keys, options.steps, warm, frame_s * options.pace))
    clock = clock_of("csm-engine" if options.shared else "csm-inlet")
    await loop.run_in_executor(None, ours.recv)
    profile = cProfile.Profile(time.thread_time)
    if options.profile:
        profile.enable()
    before = time.thread_time(), time.clock_gettime(clock), messages[0]
    host.send("begins")
    await loop.run_in_executor(None, ours.recv)
    await asyncio.sleep(0.3)
    after = time.thread_time(), time.clock_gettime(clock), messages[0]
    host.send("ends")
    beside: dict[str, float] = host.recv() if options.shared else {}
    profile.disable()
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
    sent, read, made = (late - early for late, early in zip(after, before, strict=True))
    walked = walk_ms()
    for process in (*processes, *others):
        process.kill()
    assert not serving.done()
    say({"loop": sent / options.steps * 1000, "inlet": read / options.steps * 1000, "messages": made / options.steps,
         "message": sent / made * 1e6, "walk": walked, **beside})  # fmt: skip


def run_part(part: str, streams: int, options: argparse.Namespace, model: str) -> dict[str, float]:
    """Run one size of one part in a process of its own."""
    python, environment = sys.executable, {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    if part == "engine":
        from tests.fakes.vllm_environment import vllm_python, vllm_variables

        python = vllm_python()
        environment = vllm_variables(Path(tempfile.mkdtemp()), {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"})
    command = [
        python, __file__, "--part", part, "--streams", str(streams), "--steps", str(options.steps), "--model", model,
        "--pace", str(options.pace), "--stretch", str(options.stretch), *(["--profile"] if options.profile else []),
        *(["--shared"] if options.only == "shared" else []),
    ]  # fmt: skip
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    *said, last = ran.stdout.splitlines() or [""]
    if not last.startswith("FIGURES "):
        raise SystemExit(f"{part} at {streams}: {ran.stdout[-1000:]}{ran.stderr[-3000:]}")
    print("\n".join(said), end="\n" if said else "")
    return json.loads(last.removeprefix("FIGURES "))


def main(options: argparse.Namespace) -> None:
    """Print the two tables."""
    from tests.fakes.tiny_csm import write_tiny_csm

    model = options.model or str(write_tiny_csm(Path(tempfile.mkdtemp()) / "tiny"))
    if options.only in {None, "engine"}:
        print(_ENGINE_HEAD, flush=True)
        for streams in options.sizes:
            f = run_part("engine", streams, options, model)
            rest = f["engine"] - f["schedule"] - f["prepare"] - f["update"]
            print(f"| {streams:,} | {f['engine']:.2f} | {f['schedule']:.2f} | {f['prepare']:.2f} | {f['update']:.2f} |"
                  f" {rest:.2f} | {f['outlet']:.2f} | {f['walk']:.0f} |", flush=True)  # fmt: skip
    if options.only == "shared":
        print(_SHARED_HEAD, flush=True)
        for streams in options.sizes:
            f = run_part("server", streams, options, model)
            host, before = f["host_loop"] + f["host_inlet"], f["loop"] + f["inlet"]
            print(f"| {streams:,} | {host:.2f} | {f['host_inlet']:.2f} | {f['host_loop']:.2f} |"
                  f" {before:.2f} | {f['inlet']:.2f} | {f['loop']:.2f} |", flush=True)  # fmt: skip
    if options.only in {None, "server"}:
        print(_SERVER_HEAD, flush=True)
        for streams in options.sizes:
            f = run_part("server", streams, options, model)
            print(f"| {streams:,} | {f['loop'] + f['inlet']:.2f} | {f['inlet']:.2f} | {f['loop']:.2f} |"
                  f" {f['messages']:.0f} | {f['message']:.0f} | {f['walk']:.0f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 256, 1024, 2048])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--stretch", type=float, default=4.0)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--only", choices=("engine", "server", "shared"))
    parser.add_argument("--shared", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--model", help="a checkpoint; without it a tiny one is written")
    parser.add_argument("--part", choices=("engine", "server"), help=argparse.SUPPRESS)
    parser.add_argument("--streams", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part == "engine":
        engine(chosen)
    elif chosen.part == "server":
        import uvloop

        uvloop.run(server(chosen))
    else:
        main(chosen)
