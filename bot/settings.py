"""Settings of the service: one TOML, overridden by `ZENG_SECTION__NAME`; unknown names are refused."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from bot.errors import SettingsError
from bot.llm.settings import LlmSettings
from bot.models.settings import ModelSettings
from bot.recognition.settings import RecogniserServerSettings, RecogniserSettings, UnderstandingSettings
from telephony.settings import RtpSettings, SipSettings, StreamSettings, WebRtcSettings
from tts_engine.settings import TtsSettings


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WebSettings(_Section):
    """The page and the HTTP API."""

    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)  # 0: any free port
    api_token_env: str = (
        ""  # environment variable with the token that placing calls needs; empty: only this machine may
    )
    call_records: bool = False  # GET /api/calls: figures of the last calls by id, for `zeng loadtest`; to all who ask


class WorkerSettings(_Section):
    """Bot workers."""

    count: int = Field(default=1, ge=1, le=256)
    calls: int = Field(default=12, ge=1, le=500)  # per worker; measured in docs/benchmarks.md
    drain_s: float = Field(default=30.0, ge=0)  # how long SIGTERM waits for calls
    call_limit_s: float = Field(default=3600.0, gt=0)  # a call that lasts longer is hung up


class TurnSettings(_Section):
    """When the caller has spoken, and when the bot may."""

    voice_threshold: float = Field(default=0.6, gt=0, lt=1)
    voice_release: float = Field(default=0.4, gt=0, lt=1)
    start_ms: int = Field(default=128, ge=32, le=1000)
    fade_ms: int = Field(default=40, ge=0, le=500)  # fall of the sound that starts recognition if idle; 0: none does
    pause_ms: int = Field(default=128, ge=64, le=2000)  # silence by the speech model that starts recognition
    whole_pause_ms: int = Field(default=200, ge=64, le=2000)  # from the sound's end: ends a turn that is a whole answer
    min_pause_ms: int = Field(default=224, ge=64, le=2000)  # from the sound's end: ends a turn whose text suffices
    end_of_turn_ms: int = Field(default=800, ge=200, le=5000)  # from the sound's end: ends any other
    smart_turn: bool = False  # judge the sound of pauses too (Smart Turn v3, 80 ms of a core a pause)
    smart_turn_threshold: float = Field(default=0.5, gt=0, lt=1)
    unfinished_turn_ms: int = Field(default=1600, ge=200, le=5000)  # patience with a turn that sounds unfinished
    recognition_timeout_ms: int = Field(default=6000, ge=500, le=30000)


class AnswererSettings(_Section):
    """Who answered a call that we placed; see docs/flows.md."""

    initial_silence_ms: int = Field(default=2500, ge=500, le=20000)  # from the answer, with nobody speaking
    silence_is: Literal["human", "machine"] = "human"  # whom such a silence is taken for
    greeting_ms: int = Field(default=2000, ge=500, le=10000)  # a greeting as long as this is a machine's
    most_words: int = Field(default=3, ge=1, le=20)  # with audible gaps between them; more are a machine's
    pause_ms: int = Field(default=800, ge=200, le=5000)  # silence after a short greeting: a human waits
    recorder_silence_ms: int = Field(default=3000, ge=500, le=20000)  # silence that ends a machine's greeting
    recorder_limit_s: float = Field(default=45.0, ge=1, le=300)  # of waiting for its end


class SpeechSettings(_Section):
    """The bot's side of the speech server."""

    url: str = ""  # empty: the service starts its own (`zeng tts serve`)
    voice: str = ""  # empty: the server's default
    prompt_cache_bytes: int = Field(default=64_000_000, ge=0)


class FlowSettings(_Section):
    """Which flow answers."""

    path: str = "klinika"  # a file, or the name of a flow that ships
    operator: str = ""  # a SIP address for the flow's `operator` variable; empty: refused politely
    private_hosts: tuple[str, ...] = ()  # host, or host:port, that tools may call though it is private
    stand_ins: dict[str, str] = Field(default_factory=dict[str, str])  # host:port of a tool: what is called instead


class RedisSettings(_Section):
    """Where conversations are kept."""

    url: str = ""  # empty: the service starts its own
    ttl_s: int = Field(default=3600, ge=60)


class Settings(BaseSettings):
    """All of it; frozen."""

    model_config = SettingsConfigDict(
        env_prefix="ZENG_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    sip: SipSettings = SipSettings()
    rtp: RtpSettings = RtpSettings()
    webrtc: WebRtcSettings = WebRtcSettings()
    stream: StreamSettings = StreamSettings()
    web: WebSettings = WebSettings()
    workers: WorkerSettings = WorkerSettings()
    turns: TurnSettings = TurnSettings()
    answerer: AnswererSettings = AnswererSettings()
    recogniser: RecogniserSettings = RecogniserSettings()
    recogniser_server: RecogniserServerSettings = RecogniserServerSettings()
    understanding: UnderstandingSettings = UnderstandingSettings()
    llm: LlmSettings = LlmSettings()
    speech: SpeechSettings = SpeechSettings()
    tts: TtsSettings = TtsSettings()
    flow: FlowSettings = FlowSettings()
    redis: RedisSettings = RedisSettings()
    models: ModelSettings = ModelSettings()

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


def load_settings(config: Path | None, overrides: dict[str, Any] | None = None) -> Settings:
    """Read the file (else the one that `ZENG_CONFIG` names), then the environment.

    A wrong or unknown name raises `SettingsError` that names it.
    """
    if config is None and (named := os.environ.get("ZENG_CONFIG")):
        config = Path(named)
    if config is not None and not config.is_file():
        raise SettingsError(f"no settings file at {config}; leave --config out to use the defaults")

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    try:
        return _FromFile(**(overrides or {}))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{config} is not TOML: {error}") from error
    except ValidationError as error:
        raise SettingsError("settings: " + "; ".join(map(_line, error.errors()))) from error


def _line(error: ErrorDetails) -> str:
    unknown = error["type"] == "extra_forbidden"
    what = "there is no such setting; docs/configuration.md has all names" if unknown else error["msg"]
    return f"[{'.'.join(map(str, error['loc']))}] {what}"
