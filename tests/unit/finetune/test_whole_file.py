from __future__ import annotations

from pathlib import Path

import pytest

from finetune.whole_file import whole_file, write_whole
from tests.unit.finetune.full_disk import files_end_at


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "clip.flac"

    with whole_file(path) as partial:
        partial.write_text("half", "utf-8")
        assert not path.exists()
        partial.write_text("whole", "utf-8")

    assert [(file.name, file.read_text("utf-8")) for file in tmp_path.iterdir()] == [("clip.flac", "whole")]


def test_one_that_cannot_be_written_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "clip.flac"
    path.write_text("before", "utf-8")

    with files_end_at(1000), pytest.raises(OSError, match="large"), whole_file(path) as partial:
        partial.write_bytes(bytes(2000))

    assert [(file.name, file.read_text("utf-8")) for file in tmp_path.iterdir()] == [("clip.flac", "before")]


def test_what_cannot_be_written_to_its_end_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "run.yaml"
    write_whole(path, "adı: Zəng\n")
    with files_end_at(100), pytest.raises(OSError, match="File too large"):
        write_whole(path, "a" * 1000)
    assert path.read_text(encoding="utf-8") == "adı: Zəng\n"
    write_whole(path, b"\xff\0")
    assert path.read_bytes() == b"\xff\0"
    assert list(tmp_path.iterdir()) == [path]
