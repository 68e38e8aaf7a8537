"""The vLLM voice behind the backend port, with vLLM's engine in processes of its own, shared over a socket."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.tiny_csm import write_tiny_csm
from tests.fakes.vllm_environment import run_in_vllm
from tts_engine.backend.csm import CsmBackend
from tts_engine.backend.csm_engines import torch_engine
from tts_engine.backend.csm_voice import csm_voice
from tts_engine.backend.port import AudioChunk, SpokenTurn, VoiceRequest
from tts_engine.model.sampling import Sampling

FRAMES = 6


async def say(backend: CsmBackend, seed: int, context: tuple[SpokenTurn, ...] = ()) -> list[list[int]]:
    wanted = VoiceRequest(f"r{seed}", "Sabahınız xeyir.", "default", "az", 1.0, seed, FRAMES, context)
    chunks = [item async for item in backend.generate(wanted) if isinstance(item, AudioChunk)]
    return np.frombuffer(b"".join(chunk.codes for chunk in chunks), "<i2").reshape(-1, 8).tolist()


@pytest.mark.timeout(600)
async def test_the_vllm_voice_says_what_the_torch_voice_says(tmp_path: Path):
    """Three at once, one that is interrupted, a later turn that heard the first, and all again in the places left."""
    folder, results, plugins = write_tiny_csm(tmp_path / "tiny"), tmp_path / "said.json", tmp_path / "plugins"
    plugins.mkdir()
    script = Path(__file__).with_name("vllm_conversation.py")
    run_in_vllm(script, [folder, results], plugins=plugins, environment={"VLLM_CPU_OMP_THREADS_BIND": "nobind"})
    said = json.loads(results.read_text())
    backend = csm_voice(
        torch_engine(str(folder), slots=4, positions=512),
        str(folder),
        name="torch",
        positions=512,
        sampling=Sampling(top_k=20),
    )
    await backend.start()
    try:
        expected = [await say(backend, seed) for seed in range(4)]
        first = SpokenTurn("t1", "assistant", "Salam.", 2.88, np.array(expected[0], "<i2").tobytes() * 6)
        later = await say(backend, 9, (first,))
    finally:
        await backend.close()
    sound = FRAMES * 3840
    assert said["together"] == [[codes, sound] for codes in expected[:3]]
    assert said["again"] == [[codes, sound] for codes in expected]
    assert said["later"] == [later, sound]
    assert said["cached"] >= 10  # whole blocks of 32 positions, of which some are text
    assert said["health"] == [True, False]
