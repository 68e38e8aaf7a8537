"""Listeners of a speech server, in processes of their own, as they are in production.

A listener begins to play with an utterance's first chunk and never waits: every later chunk must be there before its
time, or it counts as an underrun. What they hear is written to a file as they hear it (tests/gpu/heard.py). One that
fails, by whatever exception, is counted and the stream goes on; a process that dies is named, and the others count.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import time
import traceback
from contextlib import aclosing, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import uvloop

from tests.gpu.heard import Heard, Notebook, Second, Utterance
from tts_engine.client import SpeechClient, SpeechTimeouts
from tts_engine.errors import SpeechError
from tts_engine.protocol import BYTES_PER_SECOND, ConversationContext, SpeechRequest

TEXT = "Salam, mən səsli köməkçiyəm. Sizə necə kömək edə bilərəm?"
FRAME_S = 0.08
TIMEOUTS = SpeechTimeouts(connect_s=10.0, first_audio_s=30.0, between_chunks_s=30.0)
_LAST_UTTERANCE_S = 90.0  # its 12 s, and all that TIMEOUTS allow it
_COMPLAINTS = 20  # of one process; the rest is counted
_LAST_LINES = 30


@dataclass(frozen=True, slots=True)
class Load:
    """What listeners are to do."""

    kind: Literal["load", "poisson"]
    urls: tuple[str, ...]  # of servers, among whom the processes of listeners are shared out
    size: float  # streams, or utterances a second
    seconds: float
    ramp_s: float = 1.0  # within which the streams begin
    abort: float = 0.0  # of the utterances
    quote_s: float = 0.0
    seed: int = 0
    servers: tuple[int, ...] = ()  # their processes, if they are known: without its server nobody listens on


class Listeners:
    """Those of one process."""

    def __init__(self, load: Load, notebook: Notebook) -> None:
        self._load = load
        self._notebook = notebook
        self._complaints = 0
        self._stall_ms = 0.0  # within this second

    async def run(self) -> None:
        """Do what is to be done."""
        watch = asyncio.create_task(self._watch_own_loop())
        if self._load.kind == "load":
            await self._keep_speaking()
        else:
            await self._arrive()
        watch.cancel()
        self._note_own(time.monotonic())

    async def _keep_speaking(self) -> None:
        """So many streams, utterance after utterance, for so long after all have begun."""
        load, streams = self._load, int(self._load.size)
        async with SpeechClient(load.urls[0], timeouts=TIMEOUTS, warm_links=0, max_idle_links=streams + 8) as client:

            async def stream(number: int) -> None:
                name = f"{os.getpid()}-{number}"
                call = ConversationContext(id=name, max_context_s=load.quote_s) if load.quote_s else None
                dice = random.Random(load.seed * 10_000 + number)
                ends = time.monotonic() + load.ramp_s + load.seconds
                await asyncio.sleep(dice.random() * load.ramp_s)
                while (left_s := ends - time.monotonic()) > 1.0:
                    frames = min(dice.randint(50, 150), round(left_s / FRAME_S))
                    keep = dice.randint(1, frames - 1) if dice.random() < load.abort else None
                    await self._listen(client, frames=frames, keep=keep, seed=dice.randrange(2**31), call=call)

            await asyncio.gather(*(stream(number) for number in range(streams)))

    async def _arrive(self) -> None:
        """Utterances of 4 s that begin at random times."""
        load, dice = self._load, random.Random(self._load.seed)
        async with SpeechClient(load.urls[0], timeouts=TIMEOUTS, warm_links=4) as client, asyncio.TaskGroup() as group:
            ends = time.monotonic() + load.seconds
            while time.monotonic() < ends:
                await asyncio.sleep(dice.expovariate(load.size))
                group.create_task(self._listen(client, frames=50, keep=None, seed=dice.randrange(2**31)))

    async def _listen(
        self,
        client: SpeechClient,
        *,
        frames: int,
        keep: int | None,
        seed: int,
        call: ConversationContext | None = None,
    ) -> None:
        """Play one utterance in real time; `keep` frames of it, then abort."""
        began, first, worst, held_s, outcome = time.monotonic(), None, None, 0.0, "said"
        try:
            request = SpeechRequest(text=TEXT, max_new_tokens=frames, seed=seed, conversation=call)
            async with aclosing(client.speak(request)) as audio:
                async for pcm in audio:
                    now = time.monotonic()
                    if first is None:
                        first = now
                    else:
                        late = now - first - held_s
                        worst = late if worst is None else max(worst, late)
                    held_s += len(pcm) / BYTES_PER_SECOND
                    if keep is not None and held_s >= keep * FRAME_S:
                        outcome = "aborted"
                        break
        except SpeechError as error:
            outcome = "failed"
            self._complain(f"failed: {error}")
        except Exception:  # noqa: BLE001 - a fault of the client's, which promises others; the other streams go on
            outcome = "failed"
            self._complain(traceback.format_exc())
        first_ms = None if first is None else (first - began) * 1000
        late_ms = None if worst is None or outcome == "failed" else worst * 1000
        self._notebook.write(Utterance(began, outcome, first_ms, late_ms, 0.0 if outcome == "failed" else held_s))
        if outcome == "failed":
            await asyncio.sleep(1.0)
        elif outcome == "said" and first is not None:
            # What was made ahead of its time is played to its end before the next one begins.
            await asyncio.sleep(max(0.0, first + held_s - time.monotonic()))

    async def _watch_own_loop(self) -> None:
        """Note every second how long the loop that this runs in was held up."""
        note_at = time.monotonic() + 1.0
        while True:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            self._stall_ms = max(self._stall_ms, (time.monotonic() - due) * 1000)
            if due >= note_at:
                self._note_own(due)
                note_at = due + 1.0

    def _note_own(self, now: float) -> None:
        if any(not Path(f"/proc/{server}").exists() for server in self._load.servers):
            print("the server has ended", file=sys.stderr, flush=True)
            os._exit(1)
        self._notebook.write(Second(now, self._stall_ms, time.process_time()))
        self._stall_ms = 0.0

    def _complain(self, what: str) -> None:
        self._complaints += 1
        if self._complaints <= _COMPLAINTS:
            print(what, file=sys.stderr, flush=True)


async def run_listeners(load: Load, folder: Path, *, processes: int) -> Heard:
    """Spread the load over processes, wait for all of them, and add up what they heard."""
    folder.mkdir(parents=True, exist_ok=True)
    count = min(processes, max(1, int(load.size) // 8))
    shares = (
        [load.size / count] * count
        if load.kind == "poisson"
        else [float(len(part)) for part in np.array_split(range(int(load.size)), count)]
    )
    heard = Heard()
    limit_s = load.ramp_s + load.seconds + _LAST_UTTERANCE_S

    async def one(index: int, size: float) -> None:
        place, said = folder / f"{index}.jsonl", folder / f"{index}.stderr"
        mine = slice(index % len(load.urls), index % len(load.urls) + 1)
        own = replace(load, size=size, seed=index, urls=load.urls[mine], servers=load.servers[mine])
        told = json.dumps(asdict(own))
        with said.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-X", "faulthandler", "-m", "tests.gpu.listeners"),
                told,
                str(place),
                stderr=stderr,
            )
        try:
            code = await asyncio.wait_for(process.wait(), limit_s)
            how = f"died after {time.monotonic() - heard.began:.0f} s with exit code {code}"
        except TimeoutError:
            how = f"did not end within {limit_s:.0f} s"
        finally:
            if process.returncode is None:
                process.kill()
        words = said.read_text(errors="replace")
        if process.returncode == 0:
            sys.stderr.write(words)
        else:
            last = "".join(f"\n    {line}" for line in words.splitlines()[-_LAST_LINES:]) or " nothing"
            heard.lost.append(f"listeners {index} ({size:g}) {how}; the last that they said:{last}")
            print(heard.lost[-1], file=sys.stderr, flush=True)  # the table says it too, when all others have ended

    async with asyncio.TaskGroup() as group:
        for index, size in enumerate(shares):
            group.create_task(one(index, size))
    for index in range(count):
        heard.read(folder / f"{index}.jsonl")
    return heard


if __name__ == "__main__":
    gc.collect()
    gc.freeze()  # as the server does: what is imported is not walked again
    with closing(Notebook(Path(sys.argv[2]))) as notes:
        uvloop.run(Listeners(Load(**json.loads(sys.argv[1])), notes).run())
