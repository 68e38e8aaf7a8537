"""Settings of the service: one TOML, overridden by `ZENG_SECTION__NAME`; unknown names are refused."""

from __future__ import annotations

import os
import tomllib
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as NoJsonError

from bot.errors import SettingsError
from bot.flows.transfer_target import as_sip_address
from bot.llm.settings import LlmSettings
from bot.models.settings import ModelSettings
from bot.recognition.settings import RecogniserServerSettings, RecogniserSettings, UnderstandingSettings
from bot.refusals import Location, refusals
from bot.setting_names import misspelt
from bot.urls import BareHost, HttpUrl, OptionalHttpUrl
from telephony.errors import SipParseError
from telephony.settings import RtpSettings, SipSettings, StreamSettings, WebRtcSettings
from telephony.sip.uri import SipUri, parse_uri
from tts_engine.settings import TtsSettings
from tts_engine.urls import RedisUrl

_NAMES = "docs/configuration.md has all names"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WebSettings(_Section):
    """The page and the HTTP API."""

    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)  # 0: any free port
    request_timeout_s: float = Field(default=10.0, gt=0)  # a request that has not come whole by then is cut off
    api_token_env: str = ""  # environment variable with the token that placing calls needs; empty: only this machine
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

    @model_validator(mode="after")
    def _release_is_lower(self) -> Self:
        if self.voice_release > self.voice_threshold:
            raise ValueError("[turns] voice_release is above voice_threshold: a voice would end as it begins; lower it")
        return self


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

    url: OptionalHttpUrl = ""  # empty: the service starts its own (`zeng tts serve`)
    more_urls: tuple[HttpUrl, ...] = ()  # further servers; see docs/voice.md, "Several speech servers"
    voice: str = ""  # empty: the server's default
    prompt_cache_bytes: int = Field(default=64_000_000, ge=0)


class FlowSettings(_Section):
    """Which flow answers."""

    path: str = "klinika"  # a file, or the name of a flow that ships
    operator: str = ""  # a SIP address for the flow's `operator` variable; empty: refused politely
    private_hosts: tuple[BareHost, ...] = ()  # host, or host:port, that tools may call though it is private
    stand_ins: dict[BareHost, BareHost] = Field(default_factory=dict[str, str])  # host:port of a tool: called instead

    @field_validator("operator")
    @classmethod
    def _is_sip(cls, operator: str) -> str:
        try:
            sound = not operator or isinstance(parse_uri(operator), SipUri)
        except SipParseError:
            sound = False
        if not sound:
            meant = as_sip_address(operator, host="pbx.example")
            raise ValueError(f"[flow] operator = {operator!r} is no SIP address: write {meant}")
        return operator


class RedisSettings(_Section):
    """Where conversations are kept."""

    url: RedisUrl = ""  # empty: the service starts its own
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

    @model_validator(mode="after")
    def _name_the_model_that_runs(self) -> Self:
        named, own = self.recogniser, self.recogniser_server.model
        if named.model not in {own, RecogniserSettings().model} and not (named.url or named.pipecat):
            raise ValueError(
                f"[recogniser] model = {named.model!r} without url: the service starts a recogniser of its own, which "
                f"runs {own!r}; set [recogniser_server] model, or the url of a server that has yours"
            )
        return self

    @model_validator(mode="after")
    def _has_ports_for_all_places(self) -> Self:
        count, calls = self.workers.count, self.workers.calls
        pairs = min(self.rtp.share(index, count).pairs() for index in range(count))
        if self.sip.enabled and pairs < calls:
            raise ValueError(
                f"[rtp] port_min {self.rtp.port_min} to port_max {self.rtp.port_max} has {pairs} pairs of ports for "
                f"the {calls} places of each worker: give {2 * count * calls} ports, or set [workers] calls"
            )
        return self

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


def settings_file(config: Path | None) -> Path | None:
    """Give the file that was named, else the one that `ZENG_CONFIG` names."""
    named = os.environ.get("ZENG_CONFIG")
    return Path(named) if config is None and named else config


def load_settings(config: Path | None, overrides: dict[str, Any] | None = None) -> Settings:
    """Read the file (else the one that `ZENG_CONFIG` names), then the environment.

    A wrong or unknown name raises `SettingsError` that names it.
    """
    config = settings_file(config)
    if config is not None and not config.is_file():
        raise SettingsError(f"no settings file at {config}; leave --config or ZENG_CONFIG out to use the defaults")

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    try:
        settings = _FromFile(**(overrides or {}))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{config} is not TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"{config} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{config} is not UTF-8: save it as that") from error
    except NoJsonError as error:
        raise SettingsError(f"environment: {_no_json(error)}") from error
    except ValidationError as error:
        lines = refusals(error, Settings, place=_place, unknown="there is no such setting", names=_NAMES)
        raise SettingsError("settings: " + "; ".join(lines)) from error
    # secrets have the names that the settings give them
    own = {settings.web.api_token_env, *(trunk.password_env for trunk in settings.sip.trunks)}
    if faults := misspelt(os.environ, Settings, own=own):
        raise SettingsError("environment: " + "; ".join(faults))
    return settings


def _no_json(error: NoJsonError) -> str:
    """Name the variable: pydantic-settings knows the section only, and what it could not read."""
    cause = error.__cause__
    value = cause.doc if isinstance(cause, JSONDecodeError) else None
    names = [name for name, told in os.environ.items() if name.upper().startswith("ZENG_") and told == value]
    named = ", ".join(names) or str(error)
    return f"""{named}: lists, tables and whole sections are written as JSON, such as '["10.0.0.0/8", "10.1.0.1"]'"""


def _place(location: Location) -> str:
    """Write `[sip] port: ` or, of a table of an array, `[[sip.trunks]] servers: `."""
    table = next((at for at, part in enumerate(location) if isinstance(part, int)), None)
    names = [part for part in location if isinstance(part, str)]
    if table is not None and len(names) > table:
        return f"[[{'.'.join(names[:table])}]] {'.'.join(names[table:])}: "
    if len(names) < 2:
        return f"[{names[0]}] " if names else ""
    return f"[{'.'.join(names[:-1])}] {names[-1]}: "
