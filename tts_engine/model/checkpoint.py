"""Tensors of a checkpoint by their Hugging Face names, read one at a time, with a PEFT adapter merged on the way.

A folder in the Hugging Face layout, or a hub id that is fetched into one. `sesame/csm-1b` keeps the original layout
in `model.safetensors` and this one in the files that its config.json calls `transformers_weights`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from tts_engine.model.adapter import Adapter
from tts_engine.model.errors import CheckpointError

_INDEXES = ("model.safetensors.index.json", "transformers.safetensors.index.json", "model.safetensors")
_WITHOUT_WEIGHTS = ["*.json", "tokenizer*"]


def resolve(model: str | Path) -> Path:
    """Return the folder of a model: a local one as it is, a hub id ("owner/name") fetched or from the hub's cache."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or str(model).count("/") != 1:
        raise CheckpointError(f"{model} is neither a folder nor a hub id such as 'sesame/csm-1b'")
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - heavy, and of no use for a local folder
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415 - as above

    try:
        folder = Path(snapshot_download(str(model), allow_patterns=_WITHOUT_WEIGHTS))
        named = _named_weights(folder)  # the original layout beside them is another 6 GB
        return Path(snapshot_download(str(model), allow_patterns=[*_WITHOUT_WEIGHTS, *named]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{model} cannot be fetched ({error}); accept its licence and log in, or name a local folder"
        ) from error


class Checkpoint:
    """Read-only view of a checkpoint folder; `adapter` is the folder of a PEFT adapter, if any."""

    def __init__(self, folder: Path, *, adapter: Path | None = None) -> None:
        self.folder = folder
        self._files = _locate(folder)
        self._adapter = Adapter(adapter) if adapter is not None else None
        self._open: dict[Path, Any] = {}
        if any(name.startswith("backbone.layers.") for name in self._files):
            raise CheckpointError(
                f"{folder} has CSM's original layout; use the Hugging Face one (config.json: transformers_weights)"
            )
        if self._adapter is not None:
            self._adapter.check(self._files)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def names(self, prefix: str = "") -> Iterator[str]:
        """Names that begin with `prefix`, in the order of the files."""
        return (name for name in self._files if name.startswith(prefix))

    def tensor(self, name: str) -> Tensor:
        """Return the tensor, with the adapter merged in; raises CheckpointError if there is none of that name."""
        if name not in self._files:
            raise CheckpointError(f"tensor {name} is missing in {self.folder}")
        path = self._files[name]
        if path not in self._open:
            self._open[path] = safe_open(path, framework="pt")
        tensor: Tensor = self._open[path].get_tensor(name)
        return self._adapter.merge(name, tensor) if self._adapter is not None else tensor

    def audio_table(self) -> Tensor:
        """Return the audio embedding, which backbone and depth share under either of two names, or both."""
        names = [name for name in AUDIO_TABLES if name in self]
        if not names:
            raise CheckpointError(f"tensor {AUDIO_TABLES[0]} is missing in {self.folder}")
        tables = [self.tensor(name) for name in names]
        if len(tables) == 2 and not torch.equal(*tables):
            raise CheckpointError(
                f"{names[0]} and {names[1]} in {self.folder} differ, but CSM ties them: training has broken the tie"
            )
        return tables[0]


AUDIO_TABLES = (
    "depth_decoder.model.embed_tokens.weight",
    "backbone_model.embed_tokens.embed_audio_tokens.weight",
)


def _named(folder: Path) -> str | None:
    """Which file config.json says that the weights are in, or their index."""
    config = folder / "config.json"
    return json.loads(config.read_text(encoding="utf-8")).get("transformers_weights") if config.exists() else None


def _weight_map(index: Path) -> dict[str, str]:
    entries: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    return entries


def _named_weights(folder: Path) -> set[str]:
    """Files, or patterns of files, that hold the weights of a model of which all but these is in a folder."""
    named = _named(folder)
    if named is None:
        return {"*.safetensors"}
    return set(_weight_map(folder / named).values()) if named.endswith(".json") else {named}


def _locate(folder: Path) -> dict[str, Path]:
    named = _named(folder)
    for candidate in (named,) if named else _INDEXES:
        path = folder / candidate
        if not path.exists():
            continue
        if path.suffix == ".json":
            return {name: folder / file for name, file in _weight_map(path).items()}
        with safe_open(path, framework="pt") as file:
            return dict.fromkeys(file.keys(), path)
    raise CheckpointError(f"{folder} has no weights: looked for {named or ', '.join(_INDEXES)}")
