"""Tools of a flow: HTTP calls written as data. Host and path are fixed; only arguments come from the call."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bot.flows.fields import Identifier, Text

_STRICT = ConfigDict(extra="forbid", frozen=True)


def _fixed_url(url: str) -> str:
    if "{{" in url:
        raise ValueError("the URL has a template: the host and path are fixed; put values into `send`")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the URL must begin with https:// and name a host")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("the URL has a user, a password or a fragment: name the secret in `auth` as env:NAME")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("the port of the URL is no number up to 65535") from None
    return url


class HttpCall(BaseModel):
    """One HTTP request. `auth` names an environment variable: `env:BOOKING_TOKEN`, sent as a bearer token."""

    model_config = _STRICT

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: Annotated[str, AfterValidator(_fixed_url)]
    timeout_s: float = Field(default=4.0, gt=0, le=30)
    retries: int = Field(default=1, ge=0, le=5)
    auth: Annotated[str, Field(pattern=r"^env:[A-Z][A-Z0-9_]*$")] | None = None

    @property
    def has_body(self) -> bool:
        """Whether arguments go into the body, as JSON, and not into the query."""
        return self.method in {"POST", "PUT", "PATCH"}


_SavedPath = Annotated[str, Field(pattern=r"^\$(?:\.[A-Za-z_]\w*|\[\d{1,4}\])*$")]


class Saved(BaseModel):
    """A value of the answer that is kept, by its place: `$.id`, `$.slots[0].time`."""

    model_config = _STRICT

    path: _SavedPath
    pii: bool = False


def _from_path(written: object) -> object:
    return {"path": written} if isinstance(written, str) else written


class Tool(BaseModel):
    """A tool: what it calls, what it sends and keeps, and which state follows which status."""

    model_config = _STRICT

    describe: str = ""
    http: HttpCall
    send: dict[Identifier, Text] = Field(default_factory=dict)
    save: dict[Identifier, Annotated[Saved, BeforeValidator(_from_path, json_schema_input_type=Saved | _SavedPath)]] = (
        Field(default_factory=dict[str, Saved])
    )
    filler: Text | None = None
    on: dict[Annotated[str, Field(pattern=r"^[a-z_]+$")], Identifier]

    @model_validator(mode="after")
    def _has_ok_and_error(self) -> Self:
        for status in ("ok", "error"):
            if status not in self.on:
                raise ValueError(f"`on` has no {status!r}: say which state follows it")
        return self

    @property
    def answer_timeout_s(self) -> float:
        """After how long the engine gives up on an answer, whatever the client does."""
        return (self.http.timeout_s + 1.0) * (self.http.retries + 1) + 2.0
