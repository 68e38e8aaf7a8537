"""`zeng models`: list, fetch, and say where model files are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from bot.errors import ModelFileError
from bot.models.cache import ModelCache
from bot.models.fetch import BytesFetched, Fetcher, FetchEvent, FileReady, SourceFailed, SourceTried
from bot.models.registry import MODELS, find
from bot.models.settings import ModelSettings

_Names = Annotated[list[str] | None, typer.Argument(help="Models; all of them if none is named.")]


class ProgressView:
    """Draws fetch events: one bar a download, one line an event."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def show(self, event: FetchEvent) -> None:
        """Draw one event."""
        match event:
            case BytesFetched(item, done, total):
                if item not in self._bars:
                    self._bars[item] = self._progress.add_task(item, total=total)
                self._progress.update(self._bars[item], completed=done)
            case SourceTried(source):
                self._progress.print(f"asking {source}")
            case SourceFailed(source, reason):
                self._progress.print(f"[yellow]{source} did not serve it: {reason}")
            case FileReady(file):
                self._progress.print(f"[green]{file} is ready")


def make_cli(settings: Callable[[], ModelSettings]) -> typer.Typer:
    """Build the commands; `settings` is called once a command runs, so `--help` reads no file."""
    cli = typer.Typer(help="Model files: list, fetch, find.", no_args_is_help=True)

    @cli.command("list")
    def list_command() -> None:
        """Show the models, their licences and whether they are here."""
        cache = ModelCache(settings().folder)
        table = Table("model", "for", "licence", "MB", "here")
        for model in MODELS:
            here = "yes" if cache.is_present(model) else f"no: zeng models fetch {model.name}"
            table.add_row(model.name, model.purpose, model.licence, str(round(model.size_bytes / 1_000_000)), here)
        Console().print(table)

    @cli.command("fetch")
    def fetch_command(names: _Names = None) -> None:
        """Fetch models that are missing or damaged, and verify those that are here."""
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            fetcher = Fetcher(settings=settings(), report=ProgressView(progress).show)
            try:
                folders = [fetcher.fetch(find(name)) for name in names or [model.name for model in MODELS]]
            except ModelFileError as error:
                progress.stop()
                typer.echo(f"error: {error}", err=True)
                raise typer.Exit(1) from error
        for folder in folders:
            typer.echo(folder)

    @cli.command("path")
    def path_command(name: Annotated[str, typer.Argument(help="A model's name.")]) -> None:
        """Print the folder of a model; status 1 if a file is missing."""
        try:
            typer.echo(ModelCache(settings().folder).require(find(name)))
        except ModelFileError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error

    return cli
