"""How long a turn that quotes 30 s of earlier sound waits for its first audio, by how much of it was read before."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import httpx
import numpy as np

from tts_engine.client import SpeechClient, SpeechTimeouts
from tts_engine.protocol import ConversationContext, ConversationTurn, SpeechRequest, TurnAudio

_FRAMES_QUOTED = 375  # 30 s
_THINKING_S = 0.5  # what a language model takes, at least


async def context_turns(url: str, text: str, timeouts: SpeechTimeouts, calls: int = 6) -> None:
    """Print first audio without context, and with it: never read, read before, read ahead, sent in the request.

    A conversation whose last request named its turns itself is not read ahead, so the next that quotes it by its name
    finds codes and nothing read. What the server says was cached stands beside each.
    """
    sound = TurnAudio(data=np.random.default_rng(0).integers(-3000, 3000, 15 * 16_000).astype("<i2").tobytes())
    took: dict[str, list[float]] = {}
    cached: dict[str, list[float]] = {}

    async def cached_frames() -> float:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            page = (await http.get(f"{url}/metrics")).text
        name = "zeng_tts_context_cached_frames_total "
        return float(next(line for line in page.splitlines() if line.startswith(name)).removeprefix(name))

    async with SpeechClient(url, timeouts=timeouts, warm_links=1) as client:

        async def speak(kind: str, context: ConversationContext | None) -> None:
            request = SpeechRequest(text=text, max_new_tokens=5, seed=1, conversation=context)
            earlier, began = await cached_frames(), time.perf_counter()
            async with aclosing(client.speak(request)) as audio:
                await anext(audio)
                took.setdefault(kind, []).append((time.perf_counter() - began) * 1000)
                async for _ in audio:
                    pass
            await asyncio.sleep(0.1)  # it is counted when it has ended
            cached.setdefault(kind, []).append(await cached_frames() - earlier)

        for call in range(calls):
            turns = [
                ConversationTurn(turn_id=f"{call}-{n}", role=role, text=f"{call} {text}", audio=sound)
                for n, role in enumerate(("user", "assistant"))
            ]
            cold, ahead = f"cold-{call}", f"ahead-{call}"
            await speak("none", None)
            await speak("none", ConversationContext(id=cold, mode="explicit", turn_id="0"))
            for turn in turns:
                await client.put_turn(cold, turn)
            await speak("never read", ConversationContext(id=cold))
            await speak("read before", ConversationContext(id=cold))
            for turn in turns:  # other words, so nothing of it is known
                await client.put_turn(ahead, turn.model_copy(update={"text": f"{turn.text} {turn.turn_id}"}))
            await asyncio.sleep(_THINKING_S)
            await speak("read ahead", ConversationContext(id=ahead))
            sent = tuple(turn.model_copy(update={"text": f"{turn.turn_id} {turn.text}"}) for turn in turns)
            await speak("sent in the request", ConversationContext(id=f"sent-{call}", mode="explicit", turns=sent))
    print(f"| 30 s of context | first audio p50 ms | most | frames of {_FRAMES_QUOTED} cached |\n|---|--:|--:|--:|")
    for kind, times in took.items():
        print(f"| {kind} | {np.median(times):.0f} | {max(times):.0f} | {np.median(cached[kind]):.0f} |", flush=True)
