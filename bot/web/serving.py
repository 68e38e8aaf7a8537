"""`serve_web`: uvicorn within a process that minds its own signals."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import uvicorn


def serve_web(
    config: uvicorn.Config, stack: contextlib.AsyncExitStack, *, sockets: list[socket.socket] | None = None
) -> None:
    """Serve in a task of the running loop until the stack is closed; without sockets, where the configuration says.

    uvicorn by itself takes SIGTERM and SIGINT away from the process: it stops answering while calls are let end, which
    is when a balancer asks, and raises the signal once more when it has ended, as if somebody had sent a second one.
    """
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]  # a context manager that does nothing
    serving = asyncio.create_task(server.serve(sockets=sockets))

    async def close() -> None:
        server.should_exit = True
        await serving

    stack.push_async_callback(close)
