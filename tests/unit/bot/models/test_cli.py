from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

from bot.models.cli import ProgressView, make_cli
from bot.models.fetch import BytesFetched, FileReady, SourceFailed, SourceTried
from bot.models.registry import WHISPER_BASE
from bot.models.settings import ModelSettings


def _run(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    settings = ModelSettings(cache_dir=tmp_path, hub=False, packages=False)
    result = CliRunner().invoke(make_cli(lambda: settings), list(arguments), env={"COLUMNS": "300"})
    return result.exit_code, result.output


def _pretend_present(folder: Path) -> None:
    (folder / WHISPER_BASE.name).mkdir()
    for file in WHISPER_BASE.files:
        with (folder / WHISPER_BASE.name / file.name).open("wb") as out:
            out.truncate(file.size_bytes)


def test_list_says_what_is_missing_and_how_to_get_it(tmp_path: Path):
    status, said = _run(tmp_path, "list")
    assert status == 0
    assert "whisper-base" in said
    assert "MIT" in said
    assert "no: zeng models fetch whisper-base" in said
    _pretend_present(tmp_path)
    assert "no: " not in _run(tmp_path, "list")[1]


def test_path_prints_the_folder_or_the_remedy(tmp_path: Path):
    assert _run(tmp_path, "path", "whisper-base")[0] == 1
    _pretend_present(tmp_path)
    assert _run(tmp_path, "path", "whisper-base") == (0, f"{tmp_path / 'whisper-base'}\n")


def test_fetch_tells_why_it_could_not(tmp_path: Path):
    status, said = _run(tmp_path, "fetch")
    assert status == 1
    assert "error: no source served whisper-base" in said
    status, said = _run(tmp_path, "fetch", "whisper-huge")
    assert status == 1
    assert "known models: whisper-base" in said


def test_every_event_is_drawn():
    out = io.StringIO()
    with Progress(console=Console(file=out, width=100)) as progress:
        view = ProgressView(progress)
        for event in (
            SourceTried("the hub"),
            SourceFailed("the hub", "no route"),
            BytesFetched("model.bin", 1, 4),
            BytesFetched("model.bin", 4, 4),
            FileReady("model.bin"),
        ):
            view.show(event)
        assert [(task.description, task.completed, task.total) for task in progress.tasks] == [("model.bin", 4, 4)]
    for said in ("asking the hub", "did not serve it: no route", "model.bin is ready"):
        assert said in out.getvalue()
