"""`LanguageModel`: asks an OpenAI-compatible server and gives its answer clause by clause."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import httpx
import structlog

from bot.errors import LlmError
from bot.flows.actions import AskLlm, LlmAnswered
from bot.llm.completion import Completion
from bot.llm.prompt import completion_request
from bot.llm.settings import LlmSettings

_log = structlog.get_logger("zeng.llm")
_MOST_BYTES = 2_000_000  # of a stream, whatever it holds


def open_client(settings: LlmSettings) -> httpx.AsyncClient:
    """Make the pooled client that all calls of a worker share."""
    limits = httpx.Limits(max_connections=settings.connections, keepalive_expiry=60)
    return httpx.AsyncClient(limits=limits, timeout=settings.timeout_s, trust_env=False, follow_redirects=False)


class LanguageModel:
    """Asks one question at a time of each call. Cancelling `ask` closes the stream, and so frees the server."""

    def __init__(self, client: httpx.AsyncClient, settings: LlmSettings) -> None:
        self._client = client
        self._settings = settings

    async def ask(self, request: AskLlm, said: Callable[[str], None]) -> LlmAnswered:
        """Give each clause to `said` as soon as it is written; the answer has the rest and the functions called.

        Raises `LlmError` when the server is away, slow, or answers what is no completion.
        """
        completion = Completion()
        try:
            async with asyncio.timeout(self._settings.first_word_timeout_s) as first_word:
                end = asyncio.get_running_loop().time() + self._settings.timeout_s
                async with contextlib.aclosing(self._lines(request)) as lines:
                    async for line in lines:
                        for clause in completion.feed(line):
                            said(clause)
                        if completion.begun:
                            first_word.reschedule(end)
                        if completion.is_over:
                            break
        except TimeoutError:
            what = "to the end of its answer" if completion.begun else "to the first word"
            raise LlmError(f"the server at [llm] url took too long {what}") from None
        except httpx.HTTPError as error:
            raise LlmError(f"the server at [llm] url failed: {type(error).__name__}") from error
        known = {function.name for function in request.functions}
        calls = completion.calls()
        for call in calls:
            if call.name not in known:  # no name or value in the log: a caller may have dictated them
                _log.warning("function refused: the state has none of that name")
        return LlmAnswered(completion.rest(), calls=tuple(call for call in calls if call.name in known))

    async def _lines(self, request: AskLlm) -> AsyncGenerator[str, None]:
        key = self._settings.api_key
        stream = self._client.stream(
            "POST",
            f"{self._settings.url.rstrip('/')}/chat/completions",
            json=completion_request(request, self._settings),
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
        )
        async with stream as response:
            if not response.is_success:
                raise LlmError(f"the server at [llm] url answers {response.status_code}: see its log")
            size = 0
            rest = ""
            async for text in response.aiter_text():
                size += len(text)
                if size > _MOST_BYTES:
                    raise LlmError("the server at [llm] url sends without end")
                *lines, rest = (rest + text).split("\n")
                for line in lines:
                    yield line.rstrip("\r")
            if rest:
                yield rest
