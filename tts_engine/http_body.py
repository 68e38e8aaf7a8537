"""Reads JSON bodies, bounded, and writes errors as JSON."""

from __future__ import annotations

import math

from fastapi import Request
from starlette.responses import JSONResponse

from tts_engine.error_codes import HTTP_STATUS, body_of
from tts_engine.errors import SpeechCapacityError, SpeechError, SpeechRequestError

MAX_BODY_BYTES = 4 * 1024 * 1024  # a turn's audio of 2 MiB as base64, and room


async def read_body(request: Request) -> bytes:
    """Read the whole body; raises `SpeechRequestError` as soon as it is too long."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise SpeechRequestError(f"the body has more than {MAX_BODY_BYTES} bytes; send less audio")
    return bytes(body)


def error_response(error: SpeechError) -> JSONResponse:
    """Write an error as OpenAI does, with Retry-After where it is of use."""
    body = body_of(error)
    status = HTTP_STATUS[body.error.code]
    headers = {}
    if status == 503:
        retry_after_s = error.retry_after_s if isinstance(error, SpeechCapacityError) else 1.0
        headers["retry-after"] = str(math.ceil(retry_after_s))
    return JSONResponse(body.model_dump(), status, headers)
