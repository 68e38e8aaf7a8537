"""Runs in the environment of tests/vllm_env.sh: the vLLM voice behind the backend port, its engine in its own
processes, and shared as by `zeng tts engine`.

argv: a checkpoint, where the results go (.json). The results are compared by the tests.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from pathlib import Path

import numpy as np

from tts_engine.backend.csm import CsmBackend
from tts_engine.backend.csm_engines import describe, remote_engine, vllm_engine
from tts_engine.backend.csm_voice import csm_voice
from tts_engine.backend.engine_host import EngineHost
from tts_engine.backend.port import AudioChunk, ContextHeard, SpokenTurn, VoiceRequest
from tts_engine.backend.vllm_engine import VllmSettings
from tts_engine.listener import listening_at
from tts_engine.model.sampling import Sampling

FRAMES = 6


def request(seed: int, context: tuple[SpokenTurn, ...] = (), frames: int = FRAMES) -> VoiceRequest:
    return VoiceRequest(f"r{seed}", "Sabahınız xeyir.", "default", "az", 1.0, seed, frames, context)


async def say(backend: CsmBackend, wanted: VoiceRequest) -> tuple[list[list[int]], int]:
    """Codes, and how many bytes of sound."""
    chunks = [item async for item in backend.generate(wanted) if isinstance(item, AudioChunk)]
    codes = np.frombuffer(b"".join(chunk.codes for chunk in chunks), "<i2").reshape(-1, 8)
    return codes.tolist(), sum(len(chunk.pcm) for chunk in chunks)


async def barge_in(backend: CsmBackend) -> int:
    """Chunks heard before leaving."""
    async with aclosing(backend.generate(request(77, frames=300))) as stream:
        for _ in range(4):
            await anext(stream)
    return 3


async def main(folder: str, results: Path) -> None:
    settings = VllmSettings(
        streams=4,
        positions=512,
        dtype="float32",
        more={"kv_cache_memory_bytes": 32 << 20},
    )
    engine, path = vllm_engine(folder, settings), results.with_name("csm.sock")
    host = EngineHost(engine, describe(folder, adapter=None, positions=512, streams=engine.capacity))
    with listening_at(path) as listener:
        serving = asyncio.create_task(host.run(listener, lambda: None))
        remote = remote_engine(folder, path, adapter=None, positions=512)
        backend = csm_voice(remote, folder, name="vllm", positions=512, sampling=Sampling(top_k=20))
        try:
            results.write_text(json.dumps(await converse(backend)))
        finally:
            serving.cancel()
            await host.close()


async def converse(backend: CsmBackend) -> dict[str, object]:
    await backend.start()
    together = await asyncio.gather(*(say(backend, request(seed)) for seed in range(3)), barge_in(backend))
    spoken = np.array(together[0][0], "<i2").tobytes()
    context = (SpokenTurn("t1", "assistant", "Salam.", 2.88, spoken * 6),)
    backend.read_ahead("default", context)
    await asyncio.sleep(1)  # what a language model would take
    later = await say(backend, request(9, context))
    items = [item async for item in backend.generate(request(9, context)) if isinstance(item, ContextHeard)]
    again = [await say(backend, request(seed)) for seed in range(4)]
    healthy = backend.health().ready
    await backend.close()
    return {
        "together": together[:3],
        "later": later,
        "again": again,
        "cached": items[-1].cached_frames,
        "health": [healthy, backend.health().ready],
    }


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
