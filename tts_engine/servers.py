"""`SpeechServers`: several speech servers as one `SpeechClient`.

    async with SpeechServers(["http://10.0.0.1:8100", "http://10.0.0.2:8100"]) as speech:
        ...

Each conversation keeps to one of them (`homes.py`). An utterance that a server does not take, being away, full or
silent, is asked of the next; so is one that an engine fails on before its first sound, but once only: what broke two
engines is not given to a third. One that breaks off midway is not said again. Servers that share a Redis know each
other's conversations; else a conversation that moves is heard anew from there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from types import TracebackType
from typing import TypeVar

from tts_engine.client import SpeechClient, SpeechTimeouts
from tts_engine.errors import (
    SpeechCapacityError,
    SpeechEngineError,
    SpeechError,
    SpeechSilenceError,
    SpeechUnavailableError,
)
from tts_engine.homes import Homes
from tts_engine.protocol import ConversationTurn, SpeechRequest

PROBE_S = 1.0
FAILED_REST_S = 10.0  # of one that took utterances and did not say them: its /readyz says yes all the while
Answer = TypeVar("Answer")


class SpeechServers:
    """Speaks through whichever server has the conversation; fails by `tts_engine.errors` only."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        timeouts: SpeechTimeouts | None = None,
        warm_links: int = 2,
        on_change: Callable[[str, bool], None] = lambda _url, _answers: None,
    ) -> None:
        """`urls` as `SpeechClient` takes them, one at least; `on_change` is told when one goes (False) and is back."""
        self._urls = tuple(urls)
        self._timeouts = timeouts or SpeechTimeouts()
        self._clients = [SpeechClient(url, timeouts=timeouts, warm_links=warm_links) for url in urls]
        self._homes = Homes(len(self._clients), first=os.getpid())
        self._on_change = on_change
        self._open = AsyncExitStack()
        self._closed = False
        self._looking: dict[int, asyncio.Task[None]] = {}

    async def __aenter__(self) -> SpeechServers:
        async with AsyncExitStack() as opened:
            for client in self._clients:
                await opened.enter_async_context(client)
            self._open = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for task in self._looking.values():
            task.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)
        await self._open.aclose()

    @property
    def away(self) -> tuple[str, ...]:
        """Addresses of the servers that gave no answer, and have not come back."""
        return tuple(self._urls[server] for server in sorted(self._homes.away))

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        """As `SpeechClient.speak`; where all refuse, that one is full or what the last one said.

        All together have `first_audio_s` for the first chunk; one after which another may be asked has `next_server_s`.
        """
        conversation = request.conversation.id if request.conversation is not None else None
        now = asyncio.get_running_loop().time
        deadline = now() + self._timeouts.first_audio_s
        refusal: SpeechError | None = None
        broke_one = False
        servers = self._homes.order(conversation)
        for at, server in enumerate(servers):
            left_s = deadline - now()
            if refusal is not None and (left_s <= 0 or self._closed):
                break
            others = servers[at + 1 :]
            if others and (server in self._homes.away or not self._homes.away.issuperset(others)):
                left_s = min(left_s, self._timeouts.next_server_s)
            if conversation is not None:
                self._homes.asked(conversation, server)
            spoke = False
            try:
                async with aclosing(self._clients[server].speak(request, first_audio_s=left_s)) as audio:
                    async for pcm in audio:
                        if not spoke:
                            self._homes.spoke(conversation, server)
                        spoke = True
                        yield pcm
            except (SpeechCapacityError, SpeechUnavailableError, SpeechEngineError) as error:
                self._note(server, error, spoke=spoke, rushed=left_s < self._timeouts.next_server_s)
                broke = isinstance(error, SpeechEngineError) and not isinstance(error, SpeechSilenceError)
                if spoke or (broke and broke_one):
                    raise
                broke_one = broke_one or broke
                refusal = refusal if isinstance(refusal, SpeechCapacityError) else error
            else:
                self._homes.finished(server)
                return
        assert refusal is not None, "there is one server at least"
        raise refusal

    async def put_turn(self, conversation_id: str, turn: ConversationTurn) -> None:
        """As `SpeechClient.put_turn`, of the server where the conversation speaks; of another where that is away."""
        asked: set[int] = set()
        while True:
            server = next(each for each in self._homes.order(conversation_id) if each not in asked)
            asked.add(server)
            self._homes.asked(conversation_id, server)
            try:
                await self._clients[server].put_turn(conversation_id, turn)
            except SpeechUnavailableError:  # or its store is: that says nothing about its voice
                if len(asked) == len(self._clients):
                    raise
            else:
                return

    async def heard(self, conversation_id: str, turn_id: str, heard_s: float) -> None:
        """As `SpeechClient.heard`, of every server that may know of the turn: parts of it may be said by several."""
        await self._tell(
            self._homes.knowing(conversation_id), lambda client: client.heard(conversation_id, turn_id, heard_s)
        )

    async def forget(self, conversation_id: str) -> None:
        """Let every server that may know of a conversation forget it; one that is away forgets by itself, in time."""
        await self._tell(self._homes.forget(conversation_id), lambda client: client.forget(conversation_id))

    async def voices(self) -> tuple[str, ...]:
        """Names that `SpeechRequest.voice` may have, with every server that answers."""
        known = await self._answers(range(len(self._clients)), lambda client: client.voices())
        offered = [names for names in known if not isinstance(names, SpeechError)]
        return tuple(name for name in offered[0] if all(name in names for names in offered))

    async def hears_conversation(self) -> bool:
        """Say whether any voice hears earlier turns; raises where none is known to, and a server is away."""
        answers = await self._answers(range(len(self._clients)), lambda client: client.hears_conversation())
        if True not in answers:
            for answer in answers:
                if isinstance(answer, SpeechError):
                    raise answer
        return True in answers

    async def ready(self) -> bool:
        """Say whether any server can speak now; never raises."""
        return any(await asyncio.gather(*(client.ready() for client in self._clients)))

    async def _tell(self, knowing: Collection[int], tell: Callable[[SpeechClient], Awaitable[None]]) -> None:
        """Tell those who may know; where none of them answers the others, who may share a store with them."""
        if not knowing:
            return
        try:
            answers = await self._answers(knowing, tell)
        except SpeechUnavailableError:
            others = [server for server in range(len(self._clients)) if server not in knowing]
            if not others:
                raise
            await self._answers(others, tell)
            return
        for server, answer in zip(knowing, answers, strict=True):
            if isinstance(answer, SpeechError) and server not in self._homes.away:
                raise answer

    async def _answers(
        self, servers: Iterable[int], ask: Callable[[SpeechClient], Awaitable[Answer]]
    ) -> list[Answer | SpeechError]:
        """Ask several at once; raises what one says where none has an answer."""

        async def answer(server: int) -> Answer | SpeechError:
            try:
                return await ask(self._clients[server])
            except SpeechError as error:
                return error

        answers = await asyncio.gather(*map(answer, servers))
        if all(isinstance(each, SpeechError) for each in answers):
            for each in answers:
                if isinstance(each, SpeechError):
                    raise each
        return answers

    def _note(self, server: int, error: SpeechError, *, spoke: bool, rushed: bool) -> None:
        """Judge a server by what came of an utterance; a link that breaks midway may be that link's alone.

        Silence says nothing of one that was `rushed`: others had taken most of the time.
        """
        silent = isinstance(error, SpeechSilenceError)
        failed = spoke or (isinstance(error, SpeechEngineError) and not (silent and rushed))
        if failed and self._homes.failed(server):
            self._left(server, FAILED_REST_S)
        elif spoke:
            self._look(server, 0.0)
        elif isinstance(error, SpeechUnavailableError):
            self._left(server, PROBE_S)

    def _left(self, server: int, rest_s: float) -> None:
        """Ask a server last, until it is ready again."""
        if self._closed or (rest := self._went(server, rest_s)) is None:
            return
        if (doubt := self._looking.pop(server, None)) is not None:
            doubt.cancel()
        self._look(server, rest)

    def _went(self, server: int, rest_s: float) -> float | None:
        rest = self._homes.left(server, rest_s=rest_s, now=asyncio.get_running_loop().time())
        if rest is not None:
            self._on_change(self._urls[server], False)
        return rest

    def _look(self, server: int, rest_s: float) -> None:
        if server not in self._looking and not self._closed:
            self._looking[server] = asyncio.create_task(self._until_ready(server, rest_s))

    async def _until_ready(self, server: int, rest_s: float) -> None:
        await asyncio.sleep(rest_s)
        while not await self._clients[server].ready():
            self._went(server, PROBE_S)
            await asyncio.sleep(PROBE_S)
        if self._homes.came_back(server, now=asyncio.get_running_loop().time()):
            self._on_change(self._urls[server], True)
        del self._looking[server]
