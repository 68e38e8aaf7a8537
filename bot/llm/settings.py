"""Settings of the language model: section `[llm]`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.urls import OptionalHttpUrl


class LlmSettings(BaseModel):
    """Any server with OpenAI's `/v1/chat/completions`, streaming and tool calls (vLLM, Ollama, a cloud)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: OptionalHttpUrl = ""  # with its /v1; empty: no language model, and flows go by their rules
    model: str = ""  # the name that the server knows
    api_key: SecretStr | None = None
    first_word_timeout_s: float = Field(default=4.0, gt=0)  # to the first token; then the flow goes on without it
    timeout_s: float = Field(default=15.0, gt=0, le=25)  # to the last
    max_tokens: int = Field(default=200, ge=16, le=2000)  # of one answer
    temperature: float = Field(default=0.2, ge=0, le=2)
    extra: dict[str, Any] = Field(default_factory=dict[str, Any])  # for the request as it is, where a server has more
    connections: int = Field(default=16, ge=1)
