"""Sound on the disk: whole, or an error that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.data.audio import read_clip, write_flac
from tests.unit.finetune.data.sounds import noise
from tests.unit.finetune.full_disk import files_end_at


def test_a_full_disk_is_an_error_wherever_in_the_file_it_is_full(tmp_path: Path):
    samples = noise(1.0, -20)
    write_flac(tmp_path / "whole.flac", samples)
    size = (tmp_path / "whole.flac").stat().st_size
    for end in range(0, size, 3000):
        with files_end_at(end), pytest.raises(OSError, match="File too large"):
            write_flac(tmp_path / "torn.flac", samples)
    assert len(read_clip(tmp_path / "whole.flac")) == len(samples)
