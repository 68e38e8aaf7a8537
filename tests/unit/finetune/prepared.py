"""A prepared folder without recordings: codes drawn at random for a few texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from finetune.data.clip import Clip
from finetune.data.manifest import Entry, Prepared, write_manifest, write_prepared
from finetune.data.text import NORMALISER
from tests.unit.finetune.tiny import CODEBOOKS, CODES, TEXTS


def write_prepared_folder(
    folder: Path, *, clips: int = 12, held_out: int = 3, frames: tuple[int, int] = (3, 14), codec: str = ""
) -> Path:
    rng = np.random.default_rng(0)
    (folder / "codes").mkdir(parents=True)
    codes: dict[str, np.ndarray] = {}
    entries: list[Entry] = []
    for number in range(clips):
        name, length = f"c{number}", int(rng.integers(*frames))
        codes[name] = rng.integers(1, CODES, (length, CODEBOOKS)).astype(np.int16)
        text = f"{TEXTS[number % len(TEXTS)]} {'a' * number}"
        clip = Clip(name, f"clips/{name}.flac", text, "0", length * 0.08, name, name, None, 0.0, 11_000)
        entries.append(Entry(clip, "validation" if number < held_out else "train", 0, "one", length))
    save_file(codes, folder / "codes/one.safetensors")
    write_manifest(folder, entries)
    write_prepared(folder, Prepared(codec, CODEBOOKS, {"0": 0}, NORMALISER, "keep"), {}, {})
    return folder
