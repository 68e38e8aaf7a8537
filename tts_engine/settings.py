"""Settings of the speech server: section `[tts]`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tts_engine.protocol import MAX_TOP_K
from tts_engine.urls import RedisUrl


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EspeakSettings(_Section):
    """The voice without weights: espeak-ng in processes of its own."""

    processes: int = Field(default=2, ge=1, le=64)
    words_per_minute: int = Field(default=150, ge=80, le=450)  # at speed 1.0
    pitch: int = Field(default=50, ge=0, le=99)
    job_timeout_s: float = Field(default=10.0, gt=0)  # for 300 characters; measured 20 ms


class CsmSettings(_Section):
    """CSM-1B, by either engine that runs it."""

    model: str = "sesame/csm-1b"  # a folder, or an id on the hub
    adapter: Path | None = None  # a LoRA folder, merged when the weights are read
    voices: tuple[Path, ...] = ()  # folders with voice.toml and sample.wav; without any: speaker 0
    streams: int | None = Field(default=None, ge=1, le=4096)  # None: 4 with torch, 256 with vllm
    positions: int = Field(default=2048, ge=256, le=2048)  # of one prompt and its answer
    device: str = "cpu"  # torch: of the model; vllm: of the encoder of callers' audio
    dtype: Literal["float32", "bfloat16"] | None = None  # None: float32 with torch, bfloat16 with vllm
    codec_dtype: Literal["float32", "float16", "bfloat16"] | None = None  # vllm; None: float16 on a GPU if as good
    depth_alone: bool = True  # vllm: kernels of their own for a single stream (docs/benchmarks.md)
    codec_fused: bool = True  # vllm: kernels of its own for the codec (docs/benchmarks.md)
    engine_socket: Path | None = None  # of a `zeng tts engine` that several servers share; None: an engine of its own
    gpu_memory: float = Field(default=0.85, gt=0, lt=1)  # vllm: the part of the GPU's that it may take
    hung_after_s: float = Field(default=30.0, ge=2)  # vllm: an engine that owes a step for so long is started anew
    piece_chars: int | None = Field(default=None, ge=20)  # longer texts are said in pieces that hear each other
    hears_conversation: bool = True  # False: of a voice that was not taught with turns before its own
    temperature: float = Field(default=0.9, ge=0, le=2)
    depth_temperature: float = Field(default=0.9, ge=0, le=2)
    top_k: int = Field(default=50, ge=1, le=MAX_TOP_K)  # a request may ask for its own, of this and of temperature


class TtsSettings(_Section):
    """The speech server. Sizes and times bound what one client can cost the others."""

    host: str = "127.0.0.1"
    port: int = Field(default=8100, ge=0, le=65535)  # 0: any free port
    backend: Literal["espeak", "torch", "vllm"] = "espeak"
    voice: str = ""  # empty: the backend's first
    espeak: EspeakSettings = EspeakSettings()
    csm: CsmSettings = CsmSettings()

    max_streams: int | None = Field(default=None, ge=1, le=4096)  # utterances at once; None: what the backend carries
    max_connections: int = Field(default=1024, ge=1, le=65536)
    retry_after_s: float = Field(default=1.0, gt=0)  # what a client without a place is told

    first_audio_timeout_s: float = Field(default=10.0, gt=0)
    chunk_timeout_s: float = Field(default=5.0, gt=0)
    max_audio_s: float = Field(default=360.0, gt=0)  # of one utterance; 4096 characters take five minutes
    send_buffer_bytes: int = Field(default=262_144, ge=16_384)  # per connection, 5 s of 24 kHz PCM
    stall_timeout_s: float = Field(default=5.0, gt=0)  # a client that takes nothing for so long is cut
    body_timeout_s: float = Field(default=10.0, gt=0)  # within which a body must have come; twice that: head and body
    idle_timeout_s: float = Field(default=900.0, gt=0)  # a connection that asks nothing for so long is closed
    drain_timeout_s: float = Field(default=30.0, ge=0)  # how long SIGTERM waits for utterances

    redis_url: RedisUrl = ""  # empty: conversations are kept in memory
    redis_timeout_ms: int = Field(default=150, ge=10, le=5000)
    conversation_ttl_s: int = Field(default=900, ge=60)
    conversation_max_turns: int = Field(default=64, ge=4, le=1024)
    conversation_max_bytes: int = Field(default=131_072, ge=16_384)  # text and codes; 160 s of codes
    memory_max_conversations: int = Field(default=2048, ge=1)


class _TtsFile(BaseSettings):
    """The part of the service's settings file that is ours; its other sections are others' business."""

    model_config = SettingsConfigDict(
        env_prefix="ZENG_",
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        nested_model_default_partial_update=True,
    )

    tts: TtsSettings = TtsSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments over environment over file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_tts_settings(config: Path | None, overrides: Mapping[str, object] | None = None) -> TtsSettings:
    """Read `[tts]` of a file (else of the one that `ZENG_CONFIG` names), then `ZENG_TTS__*`, then `overrides`.

    Raises `ValueError` that names what is wrong.
    """
    if config is None and (named := os.environ.get("ZENG_CONFIG")):
        config = Path(named)
    if config is not None and not config.is_file():
        raise ValueError(f"no settings file at {config}; leave --config or ZENG_CONFIG out to use the defaults")

    class _FromFile(_TtsFile):
        model_config = SettingsConfigDict(toml_file=config)

    try:
        return _FromFile.model_validate({"tts": overrides} if overrides else {}).tts
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise ValueError("; ".join(faults)) from None
