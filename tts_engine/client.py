"""`SpeechClient`: the bot's way to the speech server; one for each worker.

    async with SpeechClient("http://127.0.0.1:8100") as client:
        async with aclosing(client.speak(SpeechRequest(text="Salam"))) as audio:
            async for pcm in audio:
                ...

Closing the generator, or cancelling the task that waits in it, sends `input.cancel` at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from types import TracebackType
from typing import TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field

from tts_engine.error_codes import error_of, error_of_response
from tts_engine.errors import SpeechError, SpeechSilenceError, SpeechUnavailableError
from tts_engine.link import SpeechLink
from tts_engine.protocol import (
    AudioStart,
    ConversationTurn,
    ErrorMessage,
    HeardUpdate,
    ServerMessage,
    SessionDone,
    SpeechRequest,
)

Answer = TypeVar("Answer")


class SpeechTimeouts(BaseModel):
    """How long the client waits before it gives up on a server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect_s: float = Field(default=1.0, gt=0)
    first_audio_s: float = Field(default=5.0, gt=0)  # from the request to the first chunk
    next_server_s: float = Field(default=2.0, gt=0)  # the same of a server, where there is another to ask
    between_chunks_s: float = Field(default=3.0, gt=0)
    cancel_s: float = Field(default=1.0, gt=0)  # after which the connection is not used again
    request_s: float = Field(default=2.0, gt=0)  # of everything that is not speech


class SpeechClient:
    """Speaks, and keeps the server's memory of the conversation; fails by `tts_engine.errors` only."""

    def __init__(
        self, url: str, *, timeouts: SpeechTimeouts | None = None, warm_links: int = 2, max_idle_links: int = 32
    ) -> None:
        """`url` is `http://host:port` or `https://...`; `warm_links` are kept open and free."""
        self._timeouts = timeouts or SpeechTimeouts()
        self._stream_url = "ws" + url.rstrip("/").removeprefix("http")
        self._warm_links = warm_links
        self._max_idle_links = max_idle_links
        self._links: set[SpeechLink] = set()  # all that are open
        self._idle: deque[SpeechLink] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._settling: set[asyncio.Task[None]] = set()  # those that stop an utterance
        self._warming: asyncio.Task[None] | None = None
        self._closed = False
        self._http = httpx.AsyncClient(base_url=url, timeout=self._timeouts.request_s, trust_env=False)

    async def __aenter__(self) -> SpeechClient:
        await self._warm()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; utterances in progress end with `SpeechUnavailableError`."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*(link.close() for link in tuple(self._links)))
        while self._tasks:
            await asyncio.gather(*self._tasks)
        await self._http.aclose()

    async def speak(self, request: SpeechRequest, *, first_audio_s: float | None = None) -> AsyncGenerator[bytes, None]:
        """Speak `request` as PCM16, 24 kHz chunks of any even size, the first as soon as there is one.

        Raises `SpeechRequestError`, `SpeechCapacityError`, `SpeechUnavailableError`, `SpeechEngineError` or, of those,
        `SpeechSilenceError`, in the middle of the audio too. It never waits longer than the timeouts say, of which
        `first_audio_s` replaces one.
        """
        now = asyncio.get_running_loop().time
        deadline = now() + (self._timeouts.first_audio_s if first_audio_s is None else first_audio_s)
        link, answer = await self._begin(request, deadline)
        finished = False
        try:
            while not finished:
                if isinstance(answer, ErrorMessage):
                    raise error_of(answer)
                if isinstance(answer, bytes):
                    yield answer
                    deadline = now() + self._timeouts.between_chunks_s
                answer = await _by(deadline, link.receive())
                finished = isinstance(answer, SessionDone)
        finally:
            if finished:
                self._put_back(link)
            else:
                self._begin_settling(link)

    async def put_turn(self, conversation_id: str, turn: ConversationTurn) -> None:
        """Tell the server what the caller said, with the audio if there is any."""
        await self._request("PUT", _turn_path(conversation_id, turn.turn_id), turn)

    async def heard(self, conversation_id: str, turn_id: str, heard_s: float) -> None:
        """Tell the server how much of a turn the caller heard (after a barge-in); the rest is forgotten."""
        await self._request("PATCH", _turn_path(conversation_id, turn_id), HeardUpdate(heard_s=heard_s))

    async def forget(self, conversation_id: str) -> None:
        """Let the server forget a conversation (at hang-up)."""
        await self._request("DELETE", f"/v1/audio/conversations/{conversation_id}")

    async def voices(self) -> tuple[str, ...]:
        """Names that `SpeechRequest.voice` may have."""
        response = await self._request("GET", "/v1/audio/voices")
        return tuple(response.json()["voices"])

    async def hears_conversation(self) -> bool:
        """Say whether the voice hears earlier turns; one that does not needs none of their audio."""
        response = await self._request("GET", "/v1/audio/voices")
        return bool(response.json().get("hears_conversation", False))

    async def ready(self) -> bool:
        """Say whether the server can speak now; never raises."""
        try:
            await self._request("GET", "/readyz")
        except SpeechError:
            return False
        return True

    async def _begin(self, request: SpeechRequest, deadline: float) -> tuple[SpeechLink, bytes | ServerMessage]:
        """Ask, on whatever link; gives it with the first audio or error.

        A server that is full may be so by an utterance of ours that was cancelled a moment ago, on another
        link: once the server has confirmed that, it is asked again.
        """
        settling = tuple(self._settling)  # those that may have filled it: by the answer they may be done
        link, answer = await self._ask(request, deadline)
        if settling and isinstance(answer, ErrorMessage) and answer.code == "at_capacity":
            self._begin_settling(link)
            now = asyncio.get_running_loop().time
            await asyncio.wait(settling, timeout=min(self._timeouts.cancel_s, deadline - now()))
            if now() >= deadline:
                raise error_of(answer)
            link, answer = await self._ask(request, deadline)
        return link, answer

    async def _ask(self, request: SpeechRequest, deadline: float) -> tuple[SpeechLink, bytes | ServerMessage]:
        """Find a link that is alive, and wait for the first audio or error.

        An idle link may have died unnoticed, with a server that restarted: as long as nothing of the
        utterance has come, another link is tried, and at last a fresh one.
        """
        while True:
            idle = self._take_idle()
            link = idle or await _by(deadline, self._open())
            answered = False
            try:
                await _by(deadline, link.ask(request))
                answer = await _by(deadline, link.receive())
                if isinstance(answer, AudioStart):  # admitted by the server; its voice may still have no place
                    answer = await _by(deadline, link.receive())
                answered = True
            except SpeechUnavailableError:
                if idle is None:
                    raise
            else:
                return link, answer
            finally:
                if not answered:
                    self._begin_settling(link)

    def _take_idle(self) -> SpeechLink | None:
        link = None
        while self._idle and link is None:
            candidate = self._idle.pop()
            if candidate.usable:
                link = candidate
            else:
                self._links.discard(candidate)
        if len(self._idle) < self._warm_links and (self._warming is None or self._warming.done()):
            self._warming = self._run(self._warm())
        return link

    async def _open(self) -> SpeechLink:
        link = await SpeechLink.open(self._stream_url, timeout_s=self._timeouts.connect_s)
        if self._closed:
            await link.close()
            raise SpeechUnavailableError("the speech client is closed")
        self._links.add(link)
        return link

    def _begin_settling(self, link: SpeechLink) -> None:
        task = self._run(self._settle(link))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, link: SpeechLink) -> None:
        """Stop an utterance that was not read to its end, then take its link back or close it."""
        if await link.settle(timeout_s=self._timeouts.cancel_s):
            self._put_back(link)
        else:
            self._links.discard(link)
            await link.close()

    def _put_back(self, link: SpeechLink) -> None:
        if len(self._idle) < self._max_idle_links and not self._closed:
            self._idle.append(link)
        else:
            self._links.discard(link)
            self._run(link.close())

    async def _warm(self) -> None:
        """Open links ahead of need; a server that is away is met when somebody speaks."""
        try:
            while len(self._idle) < self._warm_links and not self._closed:
                self._idle.append(await self._open())
        except SpeechUnavailableError:
            return

    def _run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _request(self, method: str, path: str, body: BaseModel | None = None) -> httpx.Response:
        content = None if body is None else body.model_dump_json()
        headers = {"content-type": "application/json"} if body is not None else {}
        try:
            response = await self._http.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise SpeechUnavailableError(f"{method} {path}: no speech server answers: {error!r}") from error
        if response.is_error:
            raise error_of_response(response.status_code, response.content)
        return response


async def _by(deadline: float, answer: Coroutine[None, None, Answer]) -> Answer:
    try:
        async with asyncio.timeout_at(deadline):
            return await answer
    except TimeoutError as error:
        raise SpeechSilenceError("the speech server sent no audio in time") from error


def _turn_path(conversation_id: str, turn_id: str) -> str:
    return f"/v1/audio/conversations/{conversation_id}/turns/{turn_id}"
