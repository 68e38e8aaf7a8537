"""`zeng stt`: the recogniser process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from bot.errors import BotError
from bot.models.settings import ModelSettings
from bot.recognition.app import serve
from bot.recognition.settings import RecogniserServerSettings


def make_cli(settings: Callable[[], tuple[RecogniserServerSettings, ModelSettings]]) -> typer.Typer:
    """Build the commands; `settings` is called once a command runs, so `--help` reads no file."""
    cli = typer.Typer(help="Speech recognition server.", no_args_is_help=True)

    @cli.callback()
    def stt() -> None:
        """Speech recognition server."""

    @cli.command("serve")
    def serve_command(
        host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
        port: Annotated[
            int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
        ] = None,
        threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of one recognition.")] = None,
    ) -> None:
        """Serve OpenAI's /v1/audio/transcriptions with Whisper."""
        server, models = settings()
        given = {
            name: value for name, value in (("host", host), ("port", port), ("threads", threads)) if value is not None
        }
        try:
            serve(RecogniserServerSettings.model_validate({**server.model_dump(), **given}), models)
        except BotError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error

    return cli
