"""Calling a tool, from a `call` state or for the language model, and keeping what its answer has."""

from __future__ import annotations

from bot.flows.actions import CallTool, ToolAnswered
from bot.flows.answers import value_at
from bot.flows.run import Phase, Run
from bot.flows.toolspec import Tool


def call(run: Run, name: str, *, now: float) -> None:
    """Call a tool with the values as they are."""
    tool = run.flow.tools[name]
    if tool.filler is not None:
        run.say(tool.filler)
    run.tool = name
    request = run.next_request(Phase.CALLING, answer_at=now + tool.answer_timeout_s)
    run.output.append(CallTool(request, name, {key: text.render(run.values) for key, text in tool.send.items()}))


def keep(run: Run, tool: Tool, answer: ToolAnswered) -> None:
    """Keep what `save` names; what the answer has not is forgotten, since that of an earlier one is not of this."""
    for name, saved in tool.save.items():
        value = value_at(answer.body, saved.path)
        if value is not None:
            run.keep(name, value, pii=saved.pii)
        else:
            run.values.pop(name, None)


def missing(run: Run, tool: Tool) -> tuple[str, ...]:
    """Name the slots that a tool sends and that have no value yet."""
    needed = {name for text in tool.send.values() for name in text.names() if name in run.flow.slots}
    return tuple(sorted(name for name in needed if not run.values.get(name)))
