"""What is exported is served: by the server's own settings the merged voice and the adapter over its base are one."""

from __future__ import annotations

from pathlib import Path

from finetune.config import RunSettings, parse_settings
from finetune.release import export, open_run
from finetune.training.loop import train
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import Base
from tts_engine.app import build_backend
from tts_engine.backend.port import AudioChunk, VoiceRequest
from tts_engine.settings import CsmSettings, TtsSettings


async def said(csm: CsmSettings) -> tuple[bytes, bytes]:
    """Codes and sound of a sentence, by the backend that the server makes of the settings."""
    backend = build_backend(TtsSettings(backend="torch", csm=csm))
    await backend.start()
    try:
        request = VoiceRequest("r", "Salam, necəsən?", "default", "az", 1.0, 7, 6, ())
        chunks = [item async for item in backend.generate(request) if isinstance(item, AudioChunk)]
    finally:
        await backend.close()
    return b"".join(chunk.codes for chunk in chunks), b"".join(chunk.pcm for chunk in chunks)


async def test_the_merged_voice_and_the_adapter_over_its_base_say_the_same(base: Base, tmp_path: Path):
    settings = {
        "base": str(base.folder), "data": str(write_prepared_folder(tmp_path / "data")), "precision": "fp32",
        "output": str(tmp_path / "run"), "schedule": {"steps": 8, "warmup_share": 0.0},
        "method": {"type": "lora", "rank": 4, "learning_rate": 0.03, "heads_learning_rate": 0.03},
        "batches": {"positions_per_step": 120, "positions_per_batch": 80}, "checks": {"every_steps": 8, "sentences": 0},
    }  # fmt: skip
    train(parse_settings(RunSettings, settings), lambda _: None)
    export(open_run(tmp_path / "run"), tmp_path / "voice")
    export(open_run(tmp_path / "run"), tmp_path / "adapter", adapter_only=True)
    merged = await said(CsmSettings(model=str(tmp_path / "voice")))
    assert len(merged[1]) > 0
    assert await said(CsmSettings(model=str(base.folder), adapter=tmp_path / "adapter")) == merged
    assert (await said(CsmSettings(model=str(base.folder))))[0] != merged[0]
