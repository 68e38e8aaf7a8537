"""`WorldServices`: what flows ask of the world: understanding, HTTP tools, a language model. Nothing here raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from bot.flows.actions import AskLlm, CallTool, LlmAnswered, ToolAnswered, Understand, Understood
from bot.metrics import CallMetrics
from bot.recognition.understanding import Understander

_log = structlog.get_logger("zeng.flow")


class Tools(Protocol):
    """See `bot.flows.tools`."""

    async def call(self, request: CallTool) -> ToolAnswered: ...


class Llm(Protocol):
    """See `bot.llm.client`."""

    async def ask(self, request: AskLlm, said: Callable[[str], None]) -> LlmAnswered: ...


class WorldServices:
    """Finished clients of one worker; a failure becomes an answer and a count."""

    def __init__(
        self,
        *,
        understander: Understander | None,
        tools: Tools,
        llm: Llm | None,
        metrics: CallMetrics,
    ) -> None:
        self._understander = understander
        self._tools = tools
        self._llm = llm
        self._metrics = metrics

    async def understand(self, request: Understand) -> Understood:
        """Choose among the candidates; None when nothing fits or nothing is configured."""
        if self._understander is None:
            return Understood(None)
        try:
            return await self._understander.understand(request.text, request.candidates)
        except Exception as error:  # noqa: BLE001  # a client's fault must not end the call
            self._failed("understanding", error)
            return Understood(None)

    async def call_tool(self, request: CallTool) -> ToolAnswered:
        """Call the tool; a failure is its `error`."""
        try:
            return await self._tools.call(request)
        except Exception as error:  # noqa: BLE001  # a client's fault must not end the call
            self._failed("tool", error)
            return ToolAnswered("error")

    async def ask_llm(self, request: AskLlm, said: Callable[[str], None]) -> LlmAnswered:
        """Ask the language model, clause by clause; without one the flow's own ladder goes on."""
        if self._llm is None:
            return LlmAnswered("", failed=True)
        try:
            return await self._llm.ask(request, said)
        except Exception as error:  # noqa: BLE001  # a client's fault must not end the call
            self._failed("llm", error)
            return LlmAnswered("", failed=True)

    def _failed(self, part: str, error: Exception) -> None:
        _log.warning("service failed", part=part, error=type(error).__name__)
        self._metrics.failure(part, error)
