from __future__ import annotations

from pathlib import Path

import pytest

from bot.models import doctor
from bot.models.cache import ModelCache
from bot.models.doctor import Finding, Level, Program
from tests.fakes.models import CONFIG, WEIGHTS, small_model


def test_an_old_python_fails_with_the_remedy():
    assert doctor.check_python((3, 10, 4)).level is Level.FAIL
    assert doctor.check_python((3, 11, 0)) == Finding("python", Level.OK, "3.11.0")


def test_the_cache_is_made_and_left_clean(tmp_path: Path):
    folder = tmp_path / "a" / "b"
    assert doctor.check_cache(folder).level is Level.OK
    assert list(folder.iterdir()) == []


def test_a_cache_that_cannot_be_written_fails_with_the_remedy(tmp_path: Path):
    (tmp_path / "file").touch()
    found = doctor.check_cache(tmp_path / "file" / "models")
    assert found.level is Level.FAIL
    assert "[models] cache_dir" in found.remedy


def test_disk_is_asked_of_the_nearest_folder_that_exists(tmp_path: Path):
    assert str(tmp_path) in doctor.check_disk(tmp_path / "not" / "yet").detail


def test_a_model_fails_until_it_is_present(tmp_path: Path):
    model, cache = small_model(tmp_path), ModelCache(tmp_path / "cache")
    found = doctor.check_model(model, cache)
    assert (found.level, "zeng models fetch small" in found.remedy) == (Level.FAIL, True)
    cache.path(model).mkdir(parents=True)
    (cache.path(model) / "model.bin").write_bytes(WEIGHTS)
    (cache.path(model) / "config.json").write_bytes(CONFIG)
    assert doctor.check_model(model, cache).level is Level.OK


@pytest.mark.parametrize(("name", "level"), [("numpy", Level.OK), ("not_a_module_of_ours", Level.FAIL)])
def test_libraries(name: str, level: Level):
    found = doctor.check_library(name, "zeng[bot]")
    assert found.level is level
    assert bool(found.remedy) is (level is Level.FAIL)


def test_an_optional_backend_that_is_missing_only_warns():
    assert doctor.check_gpu_library("not_a_module_of_ours", "speech").level is Level.WARN
    assert doctor.check_gpu_library("numpy", "speech").level is Level.OK


def test_an_optional_program_that_is_missing_only_warns():
    missing = doctor.check_program(Program("no-such-program", "nothing", "no-such-package"))
    assert (missing.level, missing.remedy) == (Level.WARN, "apt install no-such-package if you want it")
    assert doctor.check_program(Program("sh", "all", "dash")).level is Level.OK


def test_what_an_empty_path_lacks_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert doctor.check_redis().check == "redis"
    for found in (doctor.check_redis(), doctor.check_espeak(), doctor.check_gpu()):
        assert (found.level is Level.OK) == (not found.remedy)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [((), Level.OK), ((Level.OK, Level.WARN), Level.WARN), ((Level.FAIL, Level.WARN, Level.OK), Level.FAIL)],
)
def test_the_gravest_level_counts(levels: tuple[Level, ...], expected: Level):
    assert doctor.worst(Finding("x", level, "") for level in levels) is expected
