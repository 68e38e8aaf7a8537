"""The folder that keeps model files, one sub-folder a model: a file is there whole and verified, or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bot.errors import ModelFileError
from bot.models.registry import Model, ModelFile

_BLOCK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """Digest of a file in hexadecimal; 145 MB takes about 0.1 s."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ModelCache:
    """Where each model lives under `folder`."""

    folder: Path

    def path(self, model: Model) -> Path:
        """Name the model's folder, whether or not it is there."""
        return self.folder / model.name

    def partial(self, model: Model) -> Path:
        """Name the folder of what is being fetched; on the same file system, for a finished file to move at once."""
        return self.folder / ".partial" / model.name

    def lock(self, model: Model) -> Path:
        """Name the file that a fetching process locks."""
        return self.folder / f".{model.name}.lock"

    def is_present(self, model: Model) -> bool:
        """Whether every file is there with its size. Digests were checked when it was put there."""
        return all(self.has(model, file) for file in model.files)

    def require(self, model: Model) -> Path:
        """Return the model's folder; raises `ModelFileError` with the remedy where a file is missing."""
        missing = [file.name for file in model.files if not self.has(model, file)]
        if missing:
            raise ModelFileError(
                f"model {model.name} is not in {self.path(model)} (missing or cut short: {', '.join(missing)}); "
                f"run `zeng models fetch {model.name}`, or set [models] cache_dir to the folder that has it"
            )
        return self.path(model)

    def put(self, model: Model, file: ModelFile, found: Path) -> None:
        """Move a fetched file into the model's folder if it is the pinned one; else remove it and raise."""
        digest = sha256_of(found)
        if digest != file.sha256:
            found.unlink()
            raise ModelFileError(
                f"what was fetched as {file.name} of {model.name} has sha256 {digest}, not {file.sha256}; "
                "it was removed; another source may have the right one"
            )
        target = self.path(model) / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        found.replace(target)

    def has(self, model: Model, file: ModelFile) -> bool:
        """Whether one file is there with its size."""
        path = self.path(model) / file.name
        return path.is_file() and path.stat().st_size == file.size_bytes

    def is_intact(self, model: Model, file: ModelFile) -> bool:
        """Whether one file has the pinned digest (reads all of it)."""
        return sha256_of(self.path(model) / file.name) == file.sha256
