"""The run's own record, a JSON object a line; a run that goes on forgets what came after its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from finetune.data.audio import RATE_HZ, Samples, write_flac
from finetune.errors import ConfigError


class Record:
    """`metrics.jsonl`, and TensorBoard's files beside it if that is asked for; one process at a time has a folder.

    Raises ConfigError if another process has it.
    """

    def __init__(self, folder: Path, *, step: int, tensorboard: bool) -> None:
        self._folder = folder
        self._lock = FileLock(folder / ".lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise ConfigError(f"another process trains in {folder}: wait for it, or end it", field="output") from None
        path = folder / "metrics.jsonl"
        self._board = _tensorboard(folder) if tensorboard else None
        self._file = path.open("a", encoding="utf-8")
        # cut off in place: written anew, all of it would be lost on a full disk
        self._file.truncate(sum(len(line) for line in _lines(path) if json.loads(line)["step"] <= step))

    def add(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Note the numbers of a step."""
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(f"{kind}/{name}", value, step)

    def sounds(self, step: int, texts: Sequence[str], sounds: Sequence[Samples]) -> None:
        """Keep what a check said, as files and for TensorBoard."""
        folder = self._folder / f"samples/step_{step:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        for number, (text, samples) in enumerate(zip(texts, sounds, strict=True)):
            write_flac(folder / f"{number}.flac", samples)
            (folder / f"{number}.txt").write_text(f"{text}\n", encoding="utf-8")
            if self._board is not None and len(samples):
                # clipped as in the file; else the package says so on the run's own lines
                self._board.add_audio(f"said/{number}", samples[:, None].clip(-1.0, 1.0), step, sample_rate=RATE_HZ)
                self._board.add_text(f"said/{number}", text, step)

    def close(self) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()
        self._lock.release()


def _lines(path: Path) -> list[bytes]:
    """All whole lines; the last one may be torn."""
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _tensorboard(folder: Path) -> Any:  # noqa: ANN401 - the package is optional
    try:
        from tensorboardX import SummaryWriter  # noqa: PLC0415 - optional
    except ImportError:
        raise ConfigError("needs the package: pip install tensorboardX", field="tensorboard") from None
    return SummaryWriter(str(folder / "tensorboard"))
