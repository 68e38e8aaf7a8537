from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import ModelFileError
from bot.models.cache import ModelCache
from tests.fakes.models import CONFIG, WEIGHTS, small_model


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path / "cache")


def _found(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "found"
    path.write_bytes(content)
    return path


def test_a_model_is_present_once_every_file_is_in_place(cache: ModelCache, tmp_path: Path):
    model = small_model(tmp_path)
    assert not cache.is_present(model)
    for file, content in zip(model.files, (WEIGHTS, CONFIG), strict=True):
        cache.put(model, file, _found(tmp_path, content))
    assert cache.is_present(model)
    assert cache.require(model) == cache.path(model)
    assert (cache.path(model) / "model.bin").read_bytes() == WEIGHTS


def test_a_missing_model_names_its_files_and_the_remedy(cache: ModelCache, tmp_path: Path):
    model = small_model(tmp_path)
    cache.put(model, model.files[1], _found(tmp_path, CONFIG))
    with pytest.raises(ModelFileError, match=r"model\.bin\); run `zeng models fetch small`"):
        cache.require(model)


def test_a_file_that_is_not_the_pinned_one_never_gets_in(cache: ModelCache, tmp_path: Path):
    model = small_model(tmp_path)
    found = _found(tmp_path, b"other")
    with pytest.raises(ModelFileError, match="has sha256"):
        cache.put(model, model.files[0], found)
    assert not found.exists()
    assert not cache.has(model, model.files[0])


def test_a_file_of_another_size_is_not_there_and_a_changed_one_is_not_intact(cache: ModelCache, tmp_path: Path):
    model = small_model(tmp_path)
    weights = model.files[0]
    cache.put(model, weights, _found(tmp_path, WEIGHTS))
    assert cache.is_intact(model, weights)
    path = cache.path(model) / "model.bin"
    path.write_bytes(bytes(len(WEIGHTS)))
    assert cache.has(model, weights)
    assert not cache.is_intact(model, weights)
    path.write_bytes(b"short")
    assert not cache.has(model, weights)
