"""Reads JSON bodies, bounded in bytes and time, and writes errors as JSON."""

from __future__ import annotations

import asyncio
import math

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from tts_engine.error_codes import HTTP_STATUS, body_of
from tts_engine.errors import SpeechCapacityError, SpeechError, SpeechRequestError

MAX_BODY_BYTES = 4 * 1024 * 1024  # a turn's audio of 2 MiB as base64, and room


async def read_body(request: Request, *, timeout_s: float) -> bytes:
    """Read the whole body.

    Raises `SpeechRequestError` as soon as it is too long, `HTTPException` 408 if it has not come in time, and
    starlette's `ClientDisconnect` if it never will.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise SpeechRequestError(f"the body has more than {MAX_BODY_BYTES} bytes; send less audio")
    except TimeoutError:
        # the rest may still come: it must not be read as the next request
        raise HTTPException(408, f"the body did not come within {timeout_s:g} s", {"connection": "close"}) from None
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
