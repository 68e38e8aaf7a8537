"""Fetches what the service needs and the machine lacks, with a progress bar."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from bot.models.cache import ModelCache
from bot.models.fetch import BytesFetched, Fetcher, FetchEvent, FileReady, SourceFailed, SourceTried
from bot.models.registry import find
from bot.models.settings import ModelSettings


def fetch_missing(name: str, settings: ModelSettings) -> None:
    """Fetch a model unless the cache has it. Raises `ModelFileError` with the remedy."""
    model = find(name)
    if ModelCache(settings.folder).is_present(model):
        return
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def show(event: FetchEvent) -> None:
            match event:
                case SourceTried(source):
                    console.print(f"{name}: asking {source}")
                case SourceFailed(source, reason):
                    console.print(f"{name}: {source} has it not ({reason})")
                case BytesFetched(item, done, total):
                    if item not in tasks:
                        tasks[item] = progress.add_task(item, total=total or None)
                    progress.update(tasks[item], completed=done)
                case FileReady(file):
                    console.print(f"{name}: {file} is in its place")

        Fetcher(settings, report=show).fetch(model)
