"""What an utterance costs the speech server, thread by thread: CPU time, without a GPU or a model.

    python tests/bench/bench_utterance.py
    python tests/bench/bench_utterance.py --against ../before --rounds 5

The server is `zeng tts serve` as it is, on vLLM's own engine over an executor without a model (tests/fakes/
timed_executor.py), in the environment of tests/vllm_env.sh. Its listeners are another process: connections that stay,
each a call that quotes up to 20 s of what it said before, utterance after utterance of 100 frames (8 s). `--against`
has servers of other checkouts run beside it, and the rounds take turns, so that all meet the same machine. Figures are
those of all rounds together; the spread (least, middle, most) is that of the rounds.
"""
# ruff: noqa: PLC0415 - the parts run in environments of their own

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[2]
TEXTS = (
    "Salam, mən səsli köməkçiyəm. Sizə necə kömək edə bilərəm?",
    "Sifarişiniz qəbul edildi, kuryer sabah saat onda sizdə olacaq.",
    "Bir dəqiqə gözləyin, zəhmət olmasa, məlumatı yoxlayıram.",
)
_HEAD = """\
| checkout | utterances | messages | main thread, us | vLLM's front end | inlet | rest | all, us an utterance | spread |
|---|--:|--:|--:|--:|--:|--:|--:|--:|"""


# the server


def serve(options: argparse.Namespace) -> None:
    """A process: says where it listens, then, for each line it reads, what its threads have taken."""
    import uvloop

    import tts_engine.backend.vllm_engine as engine
    from tests.fakes.timed_executor import ARGUMENTS
    from tts_engine.app import serve as serve_speech
    from tts_engine.settings import CsmSettings, TtsSettings

    def runner_arguments(_: int) -> dict[str, Any]:
        return dict(ARGUMENTS)

    engine.runner_arguments = runner_arguments
    csm = CsmSettings(model=options.model, streams=options.streams)
    settings = TtsSettings(backend="vllm", port=0, csm=csm, max_connections=options.streams + 8)
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer() -> None:
        if not sys.stdin.readline():
            os._exit(0)
        clocks = {each.name: time.pthread_getcpuclockid(each.ident or 0) for each in threading.enumerate()}
        figures = {name: time.clock_gettime(clock) for name, clock in clocks.items()}
        print(json.dumps({**figures, "all": time.process_time()}), file=told, flush=True)

    async def run() -> None:
        asyncio.get_running_loop().add_reader(0, answer)
        await serve_speech(settings, on_ready=lambda url: print(url, file=told, flush=True))

    uvloop.run(run())


# its listeners


async def speak(socket: Any, order: int, number: int, frames: int) -> int:
    """Say one utterance of a call; return in how many pieces it came."""
    config = {
        "type": "session.config",
        "max_new_tokens": frames,
        "conversation": {"id": f"call-{order}", "max_context_s": 20.0},
    }
    text = TEXTS[(order + number) % len(TEXTS)]
    for message in (config, {"type": "input.text", "text": text}, {"type": "input.done"}):
        await socket.send(json.dumps(message))
    messages = 0
    async for message in socket:
        if isinstance(message, bytes):
            messages += 1
        elif '"session.done"' in message:
            break
        elif '"type":"error"' in message:
            raise RuntimeError(message)
    return messages


def listen(options: argparse.Namespace) -> None:
    """A process: for each line it reads, speaks for so many seconds and says how much it heard."""
    import uvloop
    from websockets.asyncio.client import connect

    from tts_engine.protocol import STREAM_PATH

    async def keep_speaking(socket: Any, order: int, ends: float) -> list[int]:
        await asyncio.sleep(order / options.streams * options.frames * options.step_ms / 1000)
        heard: list[int] = []
        while time.monotonic() < ends:
            heard.append(await speak(socket, order, len(heard), options.frames))
        return heard

    async def run() -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        url = options.url.replace("http", "ws", 1) + STREAM_PATH
        sockets = [
            await connect(url, compression=None, max_size=None, open_timeout=60, ping_interval=None)
            for _ in range(options.streams)
        ]
        print("ready", flush=True)
        while line := await reader.readline():
            ends = time.monotonic() + float(line)
            heard = await asyncio.gather(*(keep_speaking(socket, n, ends) for n, socket in enumerate(sockets)))
            print(json.dumps([sum(map(len, heard)), sum(map(sum, heard))]), flush=True)

    uvloop.run(run())


# both


class Checkout:
    """A server of one checkout, and its listeners."""

    def __init__(self, root: Path, name: str, options: argparse.Namespace, model: str) -> None:
        from tests.fakes.vllm_environment import vllm_python, vllm_variables

        self.name, self.rounds = name, list[dict[str, float]]()
        variables = vllm_variables(Path(tempfile.mkdtemp()), {"TIMED_STEP_MS": str(options.step_ms)})
        variables["PYTHONPATH"] = variables["PYTHONPATH"].replace(str(ROOT), str(root))
        shared = ["--streams", str(options.streams), "--frames", str(options.frames), "--step-ms", str(options.step_ms)]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the processes
        self._server = self._start([vllm_python(), __file__, "--part", "serve", "--model", model, *shared], variables)
        self._command = [sys.executable, __file__, "--part", "listen", *shared, "--url"]

    def connect(self) -> None:
        """Wait until the server is ready, and connect the listeners."""
        url = self._line(self._server)
        self._listeners = self._start([*self._command, url], {**os.environ, "PYTHONPATH": str(ROOT)})
        self._line(self._listeners)

    def speak(self, seconds: float) -> None:
        """A round."""
        before = self._ask(self._server, "figures")
        said, messages = self._ask(self._listeners, str(seconds))
        after = self._ask(self._server, "figures")
        took = {name: (s - before.get(name, 0.0)) * 1e6 for name, s in after.items()}
        self.rounds.append({"said": said, "messages": messages, **took})

    def row(self) -> str:
        """The table's."""
        said = sum(each["said"] for each in self.rounds)
        whole, main, front, inlet, messages = (
            sum(each[name] for each in self.rounds) / said
            for name in ("all", "MainThread", "csm-vllm", "csm-inlet", "messages")
        )
        each = [one["all"] / one["said"] for one in self.rounds]
        rest = whole - main - front - inlet
        return (
            f"| {self.name} | {said:,.0f} | {messages:.1f} | {main:.0f} | {front:.0f} | {inlet:.0f} | {rest:.0f} |"
            f" **{whole:.0f}** | {min(each):.0f}, {median(each):.0f}, {max(each):.0f} |"
        )

    def close(self) -> None:
        for process in (self._listeners, self._server):
            process.kill()

    def _start(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )

    def _ask(self, process: subprocess.Popen[str], what: str) -> Any:
        assert process.stdin is not None
        process.stdin.write(f"{what}\n")
        process.stdin.flush()
        return json.loads(self._line(process))

    def _line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        if not (line := process.stdout.readline().strip()):
            self._log.seek(0)
            raise SystemExit(f"{self.name}: {self._log.read().decode(errors='replace')[-3000:]}")
        return line


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    from tests.fakes.tiny_csm import write_tiny_csm

    model = options.model or str(write_tiny_csm(Path(tempfile.mkdtemp()) / "tiny", num_codebooks=32))
    checkouts = [Checkout(each.resolve(), each.name, options, model) for each in options.against]
    checkouts.append(Checkout(ROOT, "this", options, model))
    for each in checkouts:
        each.connect()
        each.speak(options.seconds)  # calls have something to quote, and both are warm
        each.rounds.clear()
    for _ in range(options.rounds):
        for each in checkouts:
            each.speak(options.seconds)
    print(_HEAD)
    for each in checkouts:
        print(each.row(), flush=True)
        each.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=192)
    parser.add_argument("--frames", type=int, default=100, help="of an utterance")
    parser.add_argument("--step-ms", type=float, default=40.0)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, nargs="+", default=[], metavar="CHECKOUT", help="others beside this")
    parser.add_argument("--model", help="a checkpoint; without it a tiny one is written")
    parser.add_argument("--part", choices=("serve", "listen"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part == "serve":
        serve(chosen)
    elif chosen.part == "listen":
        listen(chosen)
    else:
        sys.path.insert(0, str(ROOT))  # the parts have PYTHONPATH: the server's names its own checkout
        main(chosen)
