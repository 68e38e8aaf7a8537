"""Fetches what the service needs and the machine lacks, with a progress bar."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from bot.models.cache import ModelCache
from bot.models.cli import ProgressView
from bot.models.fetch import Fetcher
from bot.models.registry import find
from bot.models.settings import ModelSettings


def fetch_missing(name: str, settings: ModelSettings) -> None:
    """Fetch a model unless the cache has it. Raises `ModelFileError` with the remedy."""
    model = find(name)
    if ModelCache(settings.folder).is_present(model):
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        Fetcher(settings, report=ProgressView(progress).show).fetch(model)
