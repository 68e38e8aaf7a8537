"""An OpenAI-compatible server that answers by a script: deterministic, on 127.0.0.1, with what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse


@dataclass(frozen=True)
class Answer:
    """One answer: text in the pieces in which it is sent, and functions called with their arguments."""

    pieces: Sequence[str] = ()
    calls: Sequence[tuple[str, Mapping[str, object]]] = ()
    status: int = 200
    stays_silent: bool = False  # never sends its first word
    breaks_off: bool = False  # goes away before the end
    raw: str | None = None  # sent instead
    hold: Callable[[int], Awaitable[None]] | None = None  # awaited before each piece, with its number


@dataclass
class LlmServer:
    """`url` is with its /v1; `asked` has the bodies of all requests."""

    answers: list[Answer]
    url: str = ""
    asked: list[dict[str, object]] = field(default_factory=list)
    closed_early: int = 0

    def last_user(self) -> str:
        """The content of the last user message."""
        messages = self.asked[-1]["messages"]
        return next(m["content"] for m in reversed(messages) if m["role"] == "user")  # type: ignore[index]

    def functions(self) -> list[str]:
        """The functions that the last request offered."""
        return [tool["function"]["name"] for tool in self.asked[-1].get("tools", [])]  # type: ignore[attr-defined]


def _chunk(delta: Mapping[str, object]) -> str:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
    chunk["choices"] = [{"index": 0, "delta": delta, "finish_reason": None}]
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


def app(server: LlmServer) -> FastAPI:
    """Make the application; the last answer stays."""
    made = FastAPI(openapi_url=None)

    @made.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        server.asked.append(await request.json())
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        if answer.status != 200:
            return JSONResponse({"error": "scripted"}, answer.status)
        return StreamingResponse(_stream(server, answer), media_type="text/event-stream")

    return made


async def _stream(server: LlmServer, answer: Answer) -> AsyncIterator[str]:
    done = False
    try:
        if answer.stays_silent:
            await asyncio.Event().wait()
        if answer.raw is not None:
            yield answer.raw
            return
        yield _chunk({"role": "assistant"})
        for number, piece in enumerate(answer.pieces):
            if answer.hold is not None:
                await answer.hold(number)
            yield _chunk({"content": piece})
        if answer.breaks_off:
            raise ConnectionError("scripted")
        for index, (name, arguments) in enumerate(answer.calls):
            written = json.dumps(arguments, ensure_ascii=False)
            yield _chunk({"tool_calls": [{"index": index, "id": f"t{index}", "type": "function",
                                          "function": {"name": name, "arguments": ""}}]})  # fmt: skip
            for half in (written[:3], written[3:]):
                yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": half}}]})
        yield _chunk({}).replace('"finish_reason": null', '"finish_reason": "stop"')
        yield "data: [DONE]\n\n"
        done = True
    finally:
        server.closed_early += not done


@asynccontextmanager
async def llm_server(*answers: Answer) -> AsyncIterator[LlmServer]:
    """Serve the answers, in order."""
    script = LlmServer(list(answers))
    server = uvicorn.Server(
        uvicorn.Config(app(script), host="127.0.0.1", port=0, log_level="critical", lifespan="off", ws="none")
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    script.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    try:
        yield script
    finally:
        server.force_exit = server.should_exit = True
        await serving
