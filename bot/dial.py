"""`zeng dial`: have the running service call somebody, and follow the call to its end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from bot.flows.variables import pairs_of
from bot.settings import Settings, load_settings
from bot.urls import http_url
from telephony.sip.uri import bracketed

_POLL_S = 0.3

Target = Annotated[str, typer.Argument(help="a SIP URI, or a number that a trunk is to call")]
FlowName = Annotated[str, typer.Option(help="a flow that ships, or one beside the service's own; else that one")]
Trunk = Annotated[
    str, typer.Option(help="name of a trunk in the settings; else the URI's own host, or the first that is up")
]
Caller = Annotated[str, typer.Option(help="user part of From")]
Variable = Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the flow; may be given again")]
Url = Annotated[str, typer.Option(help="the service; else as host and port of the settings' web section say")]
Config = Annotated[Path | None, typer.Option(help="TOML file; see docs/configuration.md")]


def dial(
    target: Target,
    flow: FlowName = "",
    trunk: Trunk = "",
    caller: Caller = "",
    variable: Variable = None,
    url: Url = "",
    config: Config = None,
) -> None:
    """Call TARGET; Ctrl-C hangs up. Exits with 1 when the call was not answered."""
    settings = load_settings(config)
    try:
        given = pairs_of(variable or [])
        base = http_url(url) if url else f"http://{bracketed(settings.web.host)}:{settings.web.port}"
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    body = {"target": target, "flow": flow, "trunk": trunk, "caller": caller, "variables": given}
    try:
        with httpx.Client(base_url=base, headers=_authorization(settings), timeout=10.0, trust_env=False) as client:
            call_id = _ask(client.post("/api/calls", json=body))["call_id"]
            answered = _follow(client, call_id)
    except httpx.HTTPError as error:
        raise _fail(f"no service at {base} ({error}): start it by `zeng serve`, or give --url") from error
    raise typer.Exit(0 if answered else 1)


def _authorization(settings: Settings) -> dict[str, str]:
    name = settings.web.api_token_env
    return {"Authorization": f"Bearer {os.environ.get(name, '')}"} if name else {}


def _follow(client: httpx.Client, call_id: str) -> bool:
    """Print each change until the end; whether the call was ever answered."""
    answered, shown, who = False, "", ""
    try:
        while True:
            status = _ask(client.get(f"/api/calls/{call_id}"))
            answered = answered or status["state"] == "answered" or _talked(status)
            if status["answered_by"] != who:
                who = status["answered_by"]
                typer.echo(f"answered by {who}")
            text = _line(status)
            if text != shown:
                typer.echo(text)
                shown = text
            if status["state"] == "ended":
                return answered
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        with contextlib.suppress(httpx.HTTPError):
            client.delete(f"/api/calls/{call_id}")
        typer.echo("hung up")
        return answered


def _talked(status: dict[str, Any]) -> bool:
    return status["state"] == "ended" and status["cause"] in ("caller_hung_up", "bot_hung_up", "transferred")


def _line(status: dict[str, Any]) -> str:
    q850 = "" if status["q850"] is None else f"Q.850 {status['q850']}"
    return " ".join(part for part in (status["state"], status["cause"], status["detail"], q850) if part)


def _ask(response: httpx.Response) -> dict[str, Any]:
    if response.is_success:
        return response.json()
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text[:200]
    raise _fail(f"{response.status_code}: {detail}")


def _fail(message: str) -> typer.Exit:
    print(f"zeng dial: {message}", file=sys.stderr)  # noqa: T201  # a command's output
    return typer.Exit(1)
