"""The plain PyTorch voice through the backend port, from a checkpoint on disk to sound."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest

from finetune.export import write_merged
from tests.fakes.tiny_csm import write_tiny_adapter, write_tiny_csm
from tts_engine.backend.csm import CsmBackend
from tts_engine.backend.csm_engines import torch_engine
from tts_engine.backend.csm_voice import csm_voice
from tts_engine.backend.port import AudioChunk, ContextHeard, SpokenTurn, VoiceRequest
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.sampling import Sampling


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_csm(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    folder = tmp_path / "aygun"
    folder.mkdir()
    (folder / "voice.toml").write_text('text = "Salam."\n', encoding="utf-8")
    with wave.open(str(folder / "sample.wav"), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(0).integers(-3000, 3000, 48_000, np.int16).tobytes())
    return folder


async def speak(backend: CsmBackend, request: VoiceRequest) -> tuple[ContextHeard, bytes, bytes]:
    items = [item async for item in backend.generate(request)]
    heard = items[0]
    assert isinstance(heard, ContextHeard)
    chunks = [item for item in items[1:] if isinstance(item, AudioChunk)]
    return heard, b"".join(chunk.pcm for chunk in chunks), b"".join(chunk.codes for chunk in chunks)


def request(
    seed: int, *, voice: str = "default", context: tuple[SpokenTurn, ...] = (), frames: int = 8
) -> VoiceRequest:
    return VoiceRequest(f"r{seed}", "Sabahınız xeyir.", voice, "az", 1.0, seed, frames, context)


async def test_a_conversation_is_spoken_and_heard(folder: Path, voice: Path):
    backend = csm_voice(
        torch_engine(str(folder), slots=4, positions=512),
        str(folder),
        name="torch",
        voices=[voice],
        positions=512,
        sampling=Sampling(top_k=20),
    )
    await backend.start()
    try:
        question = await backend.encode(np.zeros(16_000, np.int16).tobytes(), 16_000)
        first = await speak(backend, request(1, voice="aygun"))
        context = (
            SpokenTurn("t1", "user", "Salam!", 1.0, question),
            SpokenTurn("t2", "assistant", "Bəli.", 0.64, first[2]),
        )
        second = await speak(backend, request(2, voice="aygun", context=context))
        assert second[0] == ContextHeard(turns=2, seconds=pytest.approx(1.64))
        assert (len(second[1]), len(second[2])) == (8 * 3840, 8 * 16)
    finally:
        await backend.close()


async def test_many_at_once_each_say_what_they_say_alone(folder: Path):
    backend = csm_voice(
        torch_engine(str(folder), slots=4, positions=256),
        str(folder),
        name="torch",
        positions=256,
        sampling=Sampling(top_k=20),
    )
    await backend.start()
    try:
        alone = [await speak(backend, request(seed)) for seed in range(4)]
        together = await asyncio.gather(*(speak(backend, request(seed)) for seed in range(4)))
        assert [codes for _, _, codes in together] == [codes for _, _, codes in alone]
        # sound may differ by rounding, since the codec works on other shapes
        for (_, one, _), (_, many, _) in zip(alone, together, strict=True):
            assert np.abs(np.frombuffer(one, "<i2").astype(int) - np.frombuffer(many, "<i2")).max() <= 2
    finally:
        await backend.close()


async def test_barge_in_frees_the_place_at_once(folder: Path):
    backend = csm_voice(torch_engine(str(folder), slots=1, positions=512), str(folder), name="torch", positions=512)
    await backend.start()
    try:
        for seed in range(5):
            stream = backend.generate(request(seed, frames=400))
            assert isinstance(await anext(stream), ContextHeard)
            await anext(stream)
            await stream.aclose()
            while True:
                try:
                    _, pcm, _ = await speak(backend, request(99, frames=2))
                    break
                except Exception as error:  # noqa: BLE001 - the place is free by the next step, not at once
                    assert type(error).__name__ == "SpeechCapacityError"  # noqa: PT017 - retried
                    await asyncio.sleep(0.005)
            assert len(pcm) == 2 * 3840
    finally:
        await backend.close()


async def test_a_base_with_an_adapter_says_what_the_merged_checkpoint_says(folder: Path, tmp_path: Path):
    adapter, merged = write_tiny_adapter(tmp_path / "adapter"), tmp_path / "merged"
    write_merged(Checkpoint(folder, adapter=adapter), merged)
    said: list[bytes] = []
    for model, over in ((folder, adapter), (merged, None), (folder, None)):
        backend = csm_voice(
            torch_engine(str(model), adapter=over, slots=1, positions=256),
            str(model),
            name="torch",
            adapter=over,
            positions=256,
        )
        await backend.start()
        try:
            said.append((await speak(backend, request(1)))[2])
        finally:
            await backend.close()
    assert said[0] == said[1]
    assert said[0] != said[2]
