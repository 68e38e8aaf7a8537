"""`Asking`: what a flow asks of the world, each question in a task of its own; answers go back to the flow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from bot.flow_ports import Flow, FlowServices
from bot.flows.actions import AskLlm, CallTool, Understand

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Asking:
    """The questions of one call that are not answered yet."""

    def __init__(
        self,
        flow: Flow,
        services: FlowServices,
        *,
        spawn: Spawn,
        answered: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        """`spawn` starts a task, `answered` is called when the flow has been told something."""
        self._flow = flow
        self._services = services
        self._spawn = spawn
        self._answered = answered
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()
        self._llm: asyncio.Task[None] | None = None

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        return tuple(self._tasks)

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run work beside the conversation, until the call ends."""
        task = self._spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def ask(self, request: Understand | CallTool | AskLlm) -> None:
        """Ask; a question to the language model replaces the one before it."""
        match request:
            case Understand():
                self.start(self._understand(request))
            case CallTool():
                self.start(self._call_tool(request))
            case AskLlm():
                if self._llm is not None:
                    self._llm.cancel()  # about words that the caller has added to, or spoken over, since
                self._llm = self.start(self._ask_llm(request))

    async def _understand(self, request: Understand) -> None:
        answer = await self._services.understand(request)
        self._flow.understood(request.request_id, answer, now=self._now())
        self._answered()

    async def _call_tool(self, request: CallTool) -> None:
        answer = await self._services.call_tool(request)
        self._flow.tool_answered(request.request_id, answer, now=self._now())
        self._answered()

    async def _ask_llm(self, request: AskLlm) -> None:
        def said(clause: str) -> None:
            self._flow.llm_said(request.request_id, clause)
            self._answered()

        answer = await self._services.ask_llm(request, said)
        self._flow.llm_answered(request.request_id, answer, now=self._now())
        self._answered()
