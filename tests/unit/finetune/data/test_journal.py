"""What prepare has done is not forgotten: by a line that is torn, a disk that is full, or another version."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.data.clip import Clip, Rejection, Utterance
from finetune.data.journal import Journal, key_of
from finetune.data.reasons import Reason
from finetune.data.settings import PrepareSettings
from tests.unit.finetune.full_disk import files_end_at

CLIP = Clip("a", "clips/a.flac", "Salam", "0", 1.0, "a", "hash", None, 0.0, 11_000)
REJECTION = Rejection("b", Reason.AUDIO_SILENT)


def written(folder: Path) -> Path:
    (folder / "clips").mkdir()
    (folder / "clips/a.flac").write_bytes(b"fLaC")
    journal = Journal(folder / "journal.jsonl", folder)
    journal.add("one", (CLIP,))
    journal.add("two", (REJECTION,))
    journal.close()
    return folder / "journal.jsonl"


def opened(path: Path) -> Journal:
    journal = Journal(path, path.parent)
    journal.close()
    return journal


def test_lines_that_cannot_be_read_are_rows_to_be_done_anew(tmp_path: Path):
    path = written(tmp_path)
    strange = json.dumps({"key": "three", "outcomes": [{"id": "c", "colour": "red"}]})
    path.write_bytes(b"\0" * 40 + b"\n" + path.read_bytes() + strange.encode() + b'\n{"key": "torn')
    journal = Journal(path, tmp_path)
    assert journal.get("one") == (CLIP,)
    assert journal.get("two") == (REJECTION,)
    assert journal.get("three") is journal.get("torn") is None
    journal.add("four", (REJECTION,))
    journal.close()
    assert opened(path).get("four") == (REJECTION,)


def test_a_clip_that_a_power_cut_left_empty_is_made_anew(tmp_path: Path):
    path = written(tmp_path)
    (tmp_path / "clips/a.flac").write_bytes(b"")
    assert opened(path).get("one") is None


def test_a_row_is_done_anew_if_anything_that_decides_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sound = tmp_path / "a.wav"
    sound.write_bytes(b"RIFF")
    row = Utterance("a", sound, "Salam", "0")
    plain = {"corpus": tmp_path, "output": tmp_path / "out", "codec": "c"}
    settings = PrepareSettings(**plain)
    key = key_of(row, settings)
    others = {
        key_of(replace(row, **change), settings) for change in ({"text": "Sağ ol"}, {"end_s": 1.0}, {"target": False})
    }
    others |= {
        key_of(row, PrepareSettings(**plain, **change))
        for change in ({"filters": {"snr_min_db": 20}}, {"trim": {"vad": "energy"}}, {"text_case": "lower"})
    }
    for name, value in (("_RULES", 0), ("silero_path", lambda: None)):
        with monkeypatch.context() as changed:
            changed.setattr(f"finetune.data.journal.{name}", value)
            others.add(key_of(row, settings))
    sound.write_bytes(b"RIFF....")
    others.add(key_of(row, settings))
    assert len(others) == 9
    assert key not in others
    sound.write_bytes(b"RIFF")
    os.utime(sound, ns=(0, 0))
    before = key_of(row, settings)
    assert before == key_of(row, PrepareSettings(**{**plain, "output": tmp_path / "b"}, workers=3, consent="given"))


def test_a_full_disk_costs_nothing_that_is_done(tmp_path: Path):
    path = written(tmp_path)
    before = path.read_bytes()
    path.write_bytes(before + b'{"key": "torn')
    with files_end_at(len(before) // 2):
        journal = Journal(path, tmp_path)
        with pytest.raises(OSError, match="File too large"):
            journal.add("three", (REJECTION,))
        with pytest.raises(OSError, match="File too large"):
            journal.close()
    assert path.read_bytes() == before
