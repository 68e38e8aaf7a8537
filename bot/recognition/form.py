"""The multipart form of `/v1/audio/transcriptions`, checked: every field known, every value possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

_FIELDS_LIMIT = 12


class RefusedError(Exception):
    """The request cannot be served; `status`, `param` and the message go to the client in OpenAI's error form."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.retry_after_s = retry_after_s


class TranscriptionFields(BaseModel):
    """OpenAI's fields that make sense for a short utterance; a field that is not here is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")
    prompt: str = Field(default="", max_length=2000)
    temperature: float = Field(default=0.0, ge=0.0, le=1.0)
    response_format: Literal["json", "text", "verbose_json"] = "json"


@dataclass(frozen=True, slots=True)
class Upload:
    """A checked request."""

    fields: TranscriptionFields
    file: bytes


async def read_upload(request: Request, *, limit_bytes: int) -> Upload:
    """Read and check the form; raises `RefusedError`."""
    _check_length(request, limit_bytes)
    try:
        async with request.form(max_files=1, max_fields=_FIELDS_LIMIT) as form:
            texts: dict[str, str] = {}
            file: bytes | None = None
            for name, value in form.multi_items():
                if name in texts or (name == "file" and file is not None):
                    raise RefusedError(422, f"{name} is given twice", param=name)
                if isinstance(value, UploadFile) and name == "file":
                    file = await value.read()
                elif isinstance(value, str) and name != "file":
                    texts[name] = value
                else:
                    raise RefusedError(422, f"{name}: the audio goes into `file`, all else is text", param=name)
    except (HTTPException, MultiPartException) as error:
        raise RefusedError(400, "the body is not multipart/form-data with at most one file") from error
    if file is None:
        raise RefusedError(422, "file is missing: send the audio as multipart/form-data", param="file")
    return Upload(fields=_checked(texts), file=file)


def _check_length(request: Request, limit_bytes: int) -> None:
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise RefusedError(411, "Content-Length is missing; send the form in one piece")
    if int(length) > limit_bytes:
        raise RefusedError(413, f"the upload has {length} bytes; up to {limit_bytes} are read", param="file")


def _checked(texts: dict[str, str]) -> TranscriptionFields:
    try:
        return TranscriptionFields.model_validate(texts)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise RefusedError(422, f"{name}: {first['msg']}", param=name) from error
