"""`BoundedBody`: no request's body is kept beyond what the API has a use for."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BoundedBody:
    """ASGI middleware: answers 413 as soon as more has come, and closes the connection.

    FastAPI reads a body whole before a model may say how long a field may be.
    """

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted."""
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit_bytes:
                raise HTTPException(413, f"the body has more than {self._limit_bytes} bytes", {"connection": "close"})
            return message

        await self._app(scope, counted, send)
