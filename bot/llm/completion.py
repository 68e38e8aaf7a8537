"""A streamed chat completion as it comes in: server-sent events to clauses of text and functions called.

Sources: OpenAI's chat completion chunks as vLLM and Ollama send them; server-sent events (WHATWG HTML, 9.2).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.errors import LlmError
from bot.flows.actions import LlmCall
from bot.llm.clauses import Clauses
from bot.llm.prompt import NOT_UNDERSTOOD
from bot.llm.thoughts import Thoughts

MOST_CHARS = 1200  # of an answer: a minute and a half of speech
_MOST_CALLS = 8
_MOST_ARGUMENT = 2000  # characters
_LENIENT = ConfigDict(frozen=True)  # servers add fields of their own


class _Function(BaseModel):
    model_config = _LENIENT
    name: str | None = None
    arguments: str | None = None


class _Call(BaseModel):
    model_config = _LENIENT
    id: str | None = None
    index: int | None = None
    function: _Function = _Function()


class _Delta(BaseModel):
    model_config = _LENIENT
    content: str | None = None
    tool_calls: tuple[_Call, ...] | None = None


class _Choice(BaseModel):
    model_config = _LENIENT
    delta: _Delta = _Delta()


class _Chunk(BaseModel):
    model_config = _LENIENT
    choices: tuple[_Choice, ...] = ()
    error: object = None


@dataclass(slots=True)
class _Written:
    """A function called, as far as it was written."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Completion:
    """Feed it lines of the stream; it raises `LlmError` at what no such server sends."""

    def __init__(self) -> None:
        self._thoughts = Thoughts()
        self._clauses = Clauses()
        self._calls: list[_Written] = []
        self._chars = 0
        self.begun = False  # whether anything was written yet
        self.is_over = False

    def feed(self, line: str) -> list[str]:
        """Take a line; gives the clauses that it completes."""
        if not line.startswith("data:"):
            return []
        data = line[5:].strip()
        if data == "[DONE]":
            self.is_over = True
            return []
        try:
            chunk = _Chunk.model_validate_json(data)
        except ValidationError:
            raise LlmError("the server at [llm] url sent what is no chunk of a chat completion") from None
        if chunk.error is not None:
            raise LlmError("the server at [llm] url failed in the middle of an answer: see its log")
        delta = chunk.choices[0].delta if chunk.choices else _Delta()
        for call in delta.tool_calls or ():
            self._take_call(call)
        return self._take_text(delta.content or "")

    def rest(self) -> str:
        """Give the text after the last clause."""
        return self._clauses.end()

    def calls(self) -> tuple[LlmCall, ...]:
        """Give the functions called, in their order; what has no readable value is called without one."""
        written = sorted(self._calls, key=lambda call: call.index)
        return tuple(LlmCall(call.name, _value(call.arguments)) for call in written if call.name != NOT_UNDERSTOOD)

    def _take_text(self, text: str) -> list[str]:
        if not text:
            return []
        self.begun = True
        text = self._thoughts.without(text)[: MOST_CHARS - self._chars]
        self._chars += len(text)
        self.is_over = self.is_over or self._chars >= MOST_CHARS
        return self._clauses.feed(text)

    def _take_call(self, call: _Call) -> None:
        self.begun = True
        written = self._written(call)
        if written is None:
            if len(self._calls) >= _MOST_CALLS:
                return
            following = max((other.index for other in self._calls), default=-1) + 1
            written = _Written(following if call.index is None else call.index)
            self._calls.append(written)
        written.id = written.id or call.id or ""
        written.name += call.function.name or ""
        written.arguments = (written.arguments + (call.function.arguments or ""))[:_MOST_ARGUMENT]

    def _written(self, call: _Call) -> _Written | None:
        """Find the call that a piece goes on with; None where it begins one.

        Servers that send whole calls leave the index out, or give all of them 0 and an id each; others give a new id to
        every piece, but the name only to the first.
        """
        for written in reversed(self._calls):
            if call.index is None or written.index == call.index:
                named = bool(call.function.name and written.name)
                other = call.index is None or bool(call.id and written.id and call.id != written.id)
                return None if named and other else written
        return None


def _value(arguments: str) -> str:
    try:
        found = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return ""
    value = found.get("value") if isinstance(found, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        return ""
    return str(value).encode("utf-8", "replace").decode()  # half an emoji is no text
