from __future__ import annotations

from pathlib import Path

import pytest

from finetune.whole import write_whole
from tests.unit.finetune.full_disk import files_end_at


def test_what_cannot_be_written_to_its_end_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "run.yaml"
    write_whole(path, "adı: Zəng\n")
    with files_end_at(100), pytest.raises(OSError, match="File too large"):
        write_whole(path, "a" * 1000)
    assert path.read_text(encoding="utf-8") == "adı: Zəng\n"
    write_whole(path, b"\xff\0")
    assert path.read_bytes() == b"\xff\0"
    assert list(tmp_path.iterdir()) == [path]
