"""Speech errors on the wire: one code for each class of `tts_engine.errors`, the same on HTTP and WebSocket."""

from __future__ import annotations

from typing import Literal, assert_never

from pydantic import BaseModel, ConfigDict, ValidationError

from tts_engine.errors import (
    SpeechCapacityError,
    SpeechEngineError,
    SpeechError,
    SpeechRequestError,
    SpeechUnavailableError,
)
from tts_engine.protocol import ErrorCode, ErrorMessage

# What a client sent comes back in these, at most so much of it: a field's own name may be a megabyte.
MAX_MESSAGE_CHARS = 512
MAX_PARAM_CHARS = 64

HTTP_STATUS: dict[ErrorCode, int] = {
    "invalid_request": 422,
    "invalid_state": 409,
    "at_capacity": 503,
    "unavailable": 503,
    "engine_error": 500,
}


class ErrorDetail(BaseModel):
    """OpenAI's error object, with `retry_after_s` added."""

    model_config = ConfigDict(frozen=True)

    message: str
    type: Literal["invalid_request_error", "server_error"]
    code: ErrorCode
    param: str | None = None
    retry_after_s: float | None = None


class ErrorBody(BaseModel):
    """Body of every HTTP answer that is an error."""

    model_config = ConfigDict(frozen=True)

    error: ErrorDetail


def message_of(error: SpeechError) -> ErrorMessage:
    """Write an error as a WebSocket message, cut to what may come back of what was sent."""
    message = str(error)[:MAX_MESSAGE_CHARS]
    match error:
        case SpeechRequestError():
            param = error.field and error.field[:MAX_PARAM_CHARS]
            return ErrorMessage(message=message, code="invalid_request", param=param)
        case SpeechCapacityError():
            return ErrorMessage(message=message, code="at_capacity", retry_after_s=error.retry_after_s)
        case SpeechUnavailableError():
            return ErrorMessage(message=message, code="unavailable")
        case _:
            return ErrorMessage(message=message, code="engine_error")


def body_of(error: SpeechError) -> ErrorBody:
    """Write an error as an HTTP body; its status is `HTTP_STATUS[body.error.code]`."""
    told = message_of(error)
    detail = ErrorDetail(
        message=told.message,
        type="invalid_request_error" if told.code == "invalid_request" else "server_error",
        code=told.code,
        param=told.param,
        retry_after_s=told.retry_after_s,
    )
    return ErrorBody(error=detail)


def error_of(told: ErrorMessage | ErrorDetail) -> SpeechError:
    """Make the exception that the server's message stands for."""
    match told.code:
        case "invalid_request" | "invalid_state":
            return SpeechRequestError(told.message, field=told.param)
        case "at_capacity":
            return SpeechCapacityError(told.message, retry_after_s=told.retry_after_s or 1.0)
        case "unavailable":
            return SpeechUnavailableError(told.message)
        case "engine_error":
            return SpeechEngineError(told.message)
        case _:
            assert_never(told.code)


def error_of_response(status: int, body: bytes) -> SpeechError:
    """Make the exception that an HTTP answer stands for, whoever wrote it."""
    try:
        return error_of(ErrorBody.model_validate_json(body).error)
    except ValidationError:
        # A proxy between us, or another server on that port.
        return SpeechUnavailableError(f"the speech server answered {status} without saying why")
