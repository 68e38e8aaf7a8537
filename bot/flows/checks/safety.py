"""What leaves the process: tools, transfers and personal data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from bot.flows.flow import Flow
from bot.flows.hours import weekdays
from bot.flows.problems import Problem, Severity
from bot.flows.run import personal_names
from bot.flows.source import Path
from bot.flows.states import CallState, TransferState
from bot.flows.toolspec import Tool
from bot.flows.transfer_target import as_sip_address, is_sip_address

# HTTP status to the status that `on` leads on from (bot/flows/tools.py); others are `error`.
STATUSES: Mapping[str, str] = {
    "ok": "2xx",
    "invalid": "400, 422",
    "denied": "401, 403",
    "not_found": "404",
    "conflict": "409",
    "busy": "429, 503",
    "error": "all others, and no answer",
}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def check_safety(flow: Flow) -> Iterator[Problem]:
    """Look at where data and calls go."""
    for name, tool in flow.tools.items():
        yield from _tool(flow, tool, ("tools", name))
    for name, state in flow.states.items():
        if isinstance(state, TransferState):
            yield from _transfer(flow, state, ("states", name, "transfer", "to"))
        if isinstance(state, CallState):
            yield from _statuses(state.on, ("states", name, "on"))
    yield from _calendar(flow)


def _tool(flow: Flow, tool: Tool, path: Path) -> Iterator[Problem]:
    yield from _statuses(tool.on, (*path, "on"))
    url = urlsplit(tool.http.url)
    if url.scheme == "http" and url.hostname not in _LOOPBACK:
        what = f"data goes to {url.hostname} in clear text"
        yield Problem("cleartext-http", what, "Use https.", (*path, "http", "url"), Severity.WARNING)
    if url.scheme == "http" and url.hostname not in _LOOPBACK and tool.http.auth is not None:
        what = "the secret is sent in clear text"
        yield Problem("cleartext-secret", what, "Use https.", (*path, "http", "auth"))
    if not tool.http.has_body:
        personal = personal_names(flow)
        for key, text in tool.send.items():
            if text.names() & personal:
                what = f"the personal value {key!r} becomes part of a URL, which servers log"
                yield Problem("pii-in-url", what, "Use POST.", (*path, "send", key), Severity.WARNING)


def _statuses(on: Mapping[str, str], path: Path) -> Iterator[Problem]:
    for status in on:
        if status not in STATUSES:
            remedy = f"There are: {', '.join(f'{name} ({code})' for name, code in STATUSES.items())}."
            yield Problem("unknown-status", f"no tool answers with the status {status!r}", remedy, (*path, status))


def _transfer(flow: Flow, state: TransferState, path: Path) -> Iterator[Problem]:
    for name in sorted(state.transfer.to.names() - flow.variables.keys()):
        what = f"the target of the transfer takes {name!r} from the call; a caller could choose whom you ring"
        yield Problem("target-from-call", what, "Use a fixed address or a variable of the flow.", path)
    text = state.transfer.to.text.strip()
    if state.transfer.to.is_fixed and not is_sip_address(text):
        remedy = f"Write {as_sip_address(text, host='host')}."
        yield Problem("no-sip-address", f"{text!r} is no SIP address", remedy, path)


def _calendar(flow: Flow) -> Iterator[Problem]:
    seen: set[int] = set()
    for key in flow.calendar.hours if flow.calendar else ():
        days = set(weekdays(key))
        if days & seen:
            what = f"the hours of {key!r} are given twice"
            yield Problem(
                "double-day", what, "Give each day once; several spans go into one text.", ("calendar", "hours", key)
            )
        seen |= days
