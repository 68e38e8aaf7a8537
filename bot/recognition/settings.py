"""Settings of recognition and understanding: sections `[recogniser]`, `[recogniser_server]`, `[understanding]`."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.urls import HttpUrl, OptionalHttpUrl

ComputeType: TypeAlias = Literal[
    "default",
    "auto",
    "int8",
    "int8_float32",
    "int8_float16",
    "int8_bfloat16",
    "int16",
    "float16",
    "bfloat16",
    "float32",
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RecogniserSettings(_Section):
    """The bot's client. Any service with OpenAI's `/v1/audio/transcriptions` will do."""

    url: OptionalHttpUrl = ""  # with its /v1; empty: the service starts its own
    model: str = "whisper-base"  # the name that the server at `url` knows
    api_key: SecretStr | None = None
    language: str = "az"
    timeout_s: float = Field(default=4.0, gt=0)
    connections: int = Field(default=16, ge=1)
    pipecat: str = ""  # "module:Class" of any Pipecat speech service, instead of `url`; see docs/recognition.md
    pipecat_arguments: dict[str, str] = Field(default_factory=dict[str, str])  # for its constructor, e.g. api_key
    hint_chars: int = Field(default=120, ge=0, le=900)  # how much of a state's phrases is sent as the prompt


class RecogniserServerSettings(_Section):
    """`zeng stt serve`. The defaults are measured in docs/recognition.md."""

    host: str = "127.0.0.1"
    port: int = Field(default=8110, ge=0, le=65535)  # 0: any free port
    model: str = "whisper-base"
    language: str = "az"
    whole_vocabulary: bool = False  # True: any language and alphabet, slower
    compute_type: ComputeType = "int8"  # of CTranslate2; what the machine cannot do is told at the start
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(default=1, ge=1)  # of one recognition
    workers: int = Field(default=1, ge=1)  # recognitions side by side
    beam_size: int = Field(default=1, ge=1, le=10)  # 1 is greedy: a third faster with hints, as many intents
    window_min_s: float = Field(default=4.0, ge=3.0, le=30.0)  # the encoder sees at least this much
    window_margin_s: float = Field(default=1.5, ge=0.5, le=30.0)  # and this much silence after the speech
    queue_limit: int = Field(default=16, ge=1)  # recognitions waiting or running; more: 503
    upload_limit_bytes: int = Field(default=4_000_000, ge=100_000)
    request_timeout_s: float = Field(default=10.0, gt=0)  # an upload that has not come whole by then is cut off
    drain_timeout_s: int = Field(default=10, ge=0)


class UnderstandingSettings(_Section):
    """How an utterance that no rule matched is turned into an intent. Thresholds: docs/recognition.md."""

    engine: Literal["embedding", "llm", "off"] = "embedding"
    sound_weight: float = Field(default=0.25, ge=0)  # of the n-gram similarity, beside the embedding's 1
    stand_out_min: float = 0.12  # of the best candidate, against the second and the background; below it: no match
    margin_min: float = 0.005  # between the two best; below it they are the same
    cached_states: int = Field(default=256, ge=1)  # candidate sets whose phrases stay embedded
    llm_url: HttpUrl = "http://127.0.0.1:8000/v1"
    llm_model: str = ""
    llm_api_key: SecretStr | None = None
    llm_timeout_s: float = Field(default=1.5, gt=0)
