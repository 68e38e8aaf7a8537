"""Commands of packages that know nothing of the whole service's settings."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from bot.flows.cli import chat as flow_chat
from bot.models.cli import make_cli as make_models_cli
from bot.models.doctor import Level, Port, examine, worst
from bot.models.settings import ModelSettings
from bot.recognition.cli import make_cli as make_stt_cli
from bot.recognition.settings import RecogniserServerSettings
from bot.settings import load_settings
from bot.worker_parts import flow_path


def _recogniser_settings() -> tuple[RecogniserServerSettings, ModelSettings]:
    settings = load_settings(None)
    return settings.recogniser_server, settings.models


stt_app = make_stt_cli(_recogniser_settings)
models_app = make_models_cli(lambda: load_settings(None).models)


def chat(flow: str = "") -> None:
    """Hold the same conversation typed: a line is speech, # and digits are keys, an empty line is silence."""
    settings = load_settings(None)
    flow_chat(flow_path(flow or settings.flow.path))


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
        table.add_row(finding.level.value, finding.check, finding.detail, finding.remedy)
    Console().print(table)
    raise typer.Exit(1 if worst(findings) is Level.FAIL else 0)
