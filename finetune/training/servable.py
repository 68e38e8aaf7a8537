"""What the server can load of a run: an adapter folder for LoRA, a whole checkpoint for full training."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from peft import PeftModel
from torch import Tensor

from finetune.config import Full, Lora, Method
from finetune.export import write_merged
from finetune.training.adaptation import Adaptation
from finetune.training.checkpoint import replace_folder
from tts_engine.model.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Servable:
    """A base folder and perhaps an adapter over it."""

    folder: Path
    adapter: Path | None

    @property
    def learnt(self) -> Path:
        """The folder that training wrote."""
        return self.adapter or self.folder


def write_servable(
    adaptation: Adaptation, weights: Mapping[str, Tensor], method: Method, base: Path, path: Path
) -> Servable:
    """Write the present state to `path`, whole or not at all; `weights` are all that is trained, whole."""
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    match method:
        case Lora():
            assert isinstance(adaptation.model, PeftModel)
            adaptation.model.save_pretrained(str(partial), save_embedding_layers=False)
        case Full():
            write_merged(Checkpoint(base), partial, changed=weights)
        case _:
            assert_never(method)
    replace_folder(partial, path)
    return servable(method, base, path)


def digest(folder: Path) -> str:
    """Name a folder's weights by what is in them."""
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


def servable(method: Method, base: Path, path: Path) -> Servable:
    """Name what `write_servable` wrote."""
    return Servable(base, path) if isinstance(method, Lora) else Servable(path, None)
