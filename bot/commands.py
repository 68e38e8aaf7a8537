"""Commands of packages that know nothing of the whole service's settings."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.errors import LlmError
from bot.flows.actions import AskLlm, LlmAnswered
from bot.flows.loader import load_flow
from bot.flows.shipped import flow_path
from bot.flows.terminal import converse
from bot.llm.client import LanguageModel, open_client
from bot.llm.settings import LlmSettings
from bot.models.cli import make_cli as make_models_cli
from bot.models.doctor import Level, Port, examine, worst
from bot.models.settings import ModelSettings
from bot.recognition.cli import make_cli as make_stt_cli
from bot.recognition.settings import RecogniserServerSettings
from bot.settings import load_settings


def _recogniser_settings() -> tuple[RecogniserServerSettings, ModelSettings]:
    settings = load_settings(None)
    return settings.recogniser_server, settings.models


stt_app = make_stt_cli(_recogniser_settings)
models_app = make_models_cli(lambda: load_settings(None).models)


def chat(
    flow: Annotated[str, typer.Option(help="a file, or a flow that ships; else the one of the settings")] = "",
) -> None:
    """Hold the same conversation typed: a line is speech, `/1` presses keys, an empty line is silence."""
    settings = load_settings(None)
    loaded = load_flow(flow_path(flow or settings.flow.path))
    converse(
        loaded,
        variables={"operator": settings.flow.operator},
        private_hosts=settings.flow.private_hosts,
        llm=(lambda request: asyncio.run(_ask(settings.llm, request))) if settings.llm.url else None,
    )


async def _ask(settings: LlmSettings, request: AskLlm) -> LlmAnswered:
    clauses: list[str] = []
    try:
        async with open_client(settings) as client:
            answer = await LanguageModel(client, settings).ask(request, clauses.append)
    except LlmError as error:
        typer.echo(f"[{error}]", err=True)
        return LlmAnswered("", failed=True)
    return replace(answer, text=" ".join(filter(None, (*clauses, answer.text))))


def doctor() -> None:
    """Say what is missing on this machine, and the remedy; exits with 1 where something must be mended."""
    settings = load_settings(None)
    ports = (
        Port("[web] port", settings.web.host, settings.web.port),
        Port("[sip] port", settings.sip.host, settings.sip.port, udp=True),
    )
    findings = examine(settings.models, ports)
    table = Table("", "what", "found", "remedy")
    for finding in findings:
        told = (finding.level.value, finding.check, finding.detail, finding.remedy)
        table.add_row(*map(Text, told))  # as it is: "zeng[vllm]" is no markup
    Console().print(table)
    raise typer.Exit(1 if worst(findings) is Level.FAIL else 0)
