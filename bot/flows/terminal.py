"""A call in the terminal: a line is speech, `/1` presses keys, an empty line is silence."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import typer

from bot.flows.actions import (
    AskLlm,
    CallTool,
    HangUp,
    LlmAnswered,
    Say,
    SlotFilled,
    StateEntered,
    ToolAnswered,
    Transfer,
)
from bot.flows.flow import Flow
from bot.flows.rehearsal import Rehearsal
from bot.flows.tools import ToolClient

_KEYS = re.compile(r"/([0-9*#]+)")
_LOOPBACK = ("127.0.0.1", "localhost")
_BAKU = ZoneInfo("Asia/Baku")
_HELP = "A line is what you say; /1 or /0501234567# presses keys; an empty line is silence; Ctrl-D hangs up."


def converse(
    flow: Flow,
    *,
    variables: Mapping[str, str],
    private_hosts: tuple[str, ...] = (),
    llm: Callable[[AskLlm], LlmAnswered] | None = None,
) -> None:
    """Hold a call until either side ends it. Tools on loopback may always be called."""
    typer.secho(_HELP, dim=True)
    call = Rehearsal(
        flow,
        at=datetime.now(_BAKU).replace(tzinfo=None),
        variables=variables,
        tools=_HttpTools(flow, (*_LOOPBACK, *private_hosts)),
        llm=llm,
    )
    call.start()
    _show(call)
    while call.ended is None:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            return
        if not line:
            call.wait()
        elif keys := _KEYS.fullmatch(line):
            call.press(keys[1])
        elif line.startswith("/"):
            typer.secho(f"{line} are no keys. {_HELP}", dim=True)
            continue
        else:
            call.hear(line)
        _show(call)


def _show(call: Rehearsal) -> None:
    for action in call.actions:
        match action:
            case Say(text=text):
                typer.echo(text)
            case Transfer(to=to):
                typer.echo(f"[transfer to {to}]")
            case HangUp(reason=reason):
                typer.echo(f"[hang up: {reason.value}]")
            case StateEntered(state=state, why=why):
                typer.secho(f"[state {state}: {why}]", dim=True)
            case SlotFilled(name=name, value=value):
                typer.secho(f"[slot {name} = {value}]", dim=True)
            case AskLlm(functions=functions):
                typer.secho(f"[language model: {', '.join(f.name for f in functions)}]", dim=True)
            case CallTool(tool=tool):
                typer.secho(f"[tool {tool}]", dim=True)
            case _:
                pass
    if call.ended is None:
        slots = "".join(f", {name} = {value}" for name, value in call.engine.slots.items())
        typer.secho(f"[in {call.engine.state}{slots}]", dim=True)


class _HttpTools:
    """Calls the real tools, one at a time, each on a loop of its own."""

    def __init__(self, flow: Flow, private_hosts: tuple[str, ...]) -> None:
        self._flow = flow
        self._private_hosts = private_hosts

    def __call__(self, call: CallTool) -> ToolAnswered:
        return asyncio.run(self._call(call))

    async def _call(self, call: CallTool) -> ToolAnswered:
        async with ToolClient(secrets_by_name=os.environ, private_hosts=self._private_hosts) as client:
            return await client.call(self._flow, call)
