"""`SpeechServers`: several speech servers as one `SpeechClient`.

    async with SpeechServers(["http://10.0.0.1:8100", "http://10.0.0.2:8100"]) as speech:
        ...

Each conversation keeps to one of them (`homes.py`). An utterance that a server does not take, being away or full, is
asked of the next before anybody has waited for more than a connection; one that breaks off midway is not said again.
Servers that share a Redis know each other's conversations; else a conversation that moves is heard anew from there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from types import TracebackType
from typing import TypeVar

from tts_engine.client import SpeechClient, SpeechTimeouts
from tts_engine.errors import SpeechCapacityError, SpeechError, SpeechUnavailableError
from tts_engine.homes import Homes
from tts_engine.protocol import ConversationTurn, SpeechRequest

PROBE_S = 1.0
Answer = TypeVar("Answer")


class SpeechServers:
    """Speaks through whichever server has the conversation; fails by `tts_engine.errors` only."""

    def __init__(self, urls: Sequence[str], *, timeouts: SpeechTimeouts | None = None, warm_links: int = 2) -> None:
        """`urls` as `SpeechClient` takes them, one at least."""
        self._urls = tuple(urls)
        self._clients = [SpeechClient(url, timeouts=timeouts, warm_links=warm_links) for url in urls]
        self._homes = Homes(len(self._clients), first=os.getpid())
        self._open = AsyncExitStack()
        self._probing: dict[int, asyncio.Task[None]] = {}

    async def __aenter__(self) -> SpeechServers:
        for client in self._clients:
            await self._open.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._probing.values():
            task.cancel()
        await asyncio.gather(*self._probing.values(), return_exceptions=True)
        await self._open.aclose()

    @property
    def away(self) -> tuple[str, ...]:
        """Addresses of the servers that gave no answer, and have not come back."""
        return tuple(self._urls[server] for server in sorted(self._homes.away))

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        """As `SpeechClient.speak`; where all refuse, with what the last one said."""
        conversation = request.conversation.id if request.conversation is not None else None
        refusal: SpeechError | None = None
        for server in self._homes.order(conversation):
            spoke = False
            try:
                async with aclosing(self._clients[server].speak(request)) as audio:
                    async for pcm in audio:
                        if not spoke and conversation is not None:
                            self._homes.moved(conversation, server)
                        spoke = True
                        yield pcm
            except SpeechUnavailableError as error:
                self._left(server)
                refusal = error
            except SpeechCapacityError as error:
                refusal = error
            else:
                return
            if spoke:
                break
        assert refusal is not None, "there is one server at least"
        raise refusal

    async def put_turn(self, conversation_id: str, turn: ConversationTurn) -> None:
        """As `SpeechClient.put_turn`; the conversation lives there from now on."""
        server = self._homes.order(conversation_id)[0]
        self._homes.moved(conversation_id, server)
        await self._asked(server, self._clients[server].put_turn(conversation_id, turn))

    async def heard(self, conversation_id: str, turn_id: str, heard_s: float) -> None:
        """As `SpeechClient.heard`."""
        server = self._homes.order(conversation_id)[0]
        await self._asked(server, self._clients[server].heard(conversation_id, turn_id, heard_s))

    async def forget(self, conversation_id: str) -> None:
        """Let every server that knows of a conversation forget it; raises what the last of them to fail says."""
        failed: SpeechError | None = None
        for server in self._homes.forget(conversation_id):
            try:
                await self._asked(server, self._clients[server].forget(conversation_id))
            except SpeechError as error:
                failed = error
        if failed is not None:
            raise failed

    async def voices(self) -> tuple[str, ...]:
        """Names that `SpeechRequest.voice` may have, by the first server that answers."""
        return await self._first(lambda client: client.voices())

    async def hears_conversation(self) -> bool:
        """Say whether the voice hears earlier turns, by the first server that answers."""
        return await self._first(lambda client: client.hears_conversation())

    async def ready(self) -> bool:
        """Say whether any server can speak now; never raises."""
        return any(await asyncio.gather(*(client.ready() for client in self._clients)))

    async def _first(self, ask: Callable[[SpeechClient], Awaitable[Answer]]) -> Answer:
        *others, last = self._homes.order(None)
        for server in others:
            with suppress(SpeechUnavailableError):
                return await self._asked(server, ask(self._clients[server]))
        return await self._asked(last, ask(self._clients[last]))

    async def _asked(self, server: int, answer: Awaitable[Answer]) -> Answer:
        try:
            return await answer
        except SpeechUnavailableError:
            self._left(server)
            raise

    def _left(self, server: int) -> None:
        """Ask a server that gave no answer last, until it is ready again."""
        self._homes.left(server)
        if server not in self._probing:
            self._probing[server] = asyncio.create_task(self._probe(server))

    async def _probe(self, server: int) -> None:
        while not await self._clients[server].ready():  # noqa: ASYNC110 - another machine sets no event here
            await asyncio.sleep(PROBE_S)
        self._homes.came_back(server)
        del self._probing[server]
