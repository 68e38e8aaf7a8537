"""A trained voice as a folder that serves: the whole checkpoint in the Hugging Face layout, or the adapter alone.

The whole one loads alike in transformers 4.57 to 5.23 and in tts_engine, which takes (measured on each):

- both names of the audio embedding in the file, since 5.0 to 5.20 leave the one that is missing random;
- `tie_word_embeddings` false, since versions before 5.21 refuse true;
- a tokenizer without padding, which a padded call leaves in its file and the processor then fails on.

Tensors are read by tts_engine's own reader, the adapter merged on the way, and those that training does not touch
(all of Mimi's) are the base's to the bit.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from finetune.errors import ConfigError
from tts_engine.model.checkpoint import AUDIO_TABLES, Checkpoint

SHARD_BYTES = 4_000_000_000
_WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")
_INDEX = "model.safetensors.index.json"


def write_merged(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    changed: Mapping[str, Tensor] | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write the checkpoint with its adapter merged, and with `changed` tensors in place of its own."""
    folder.mkdir(parents=True, exist_ok=False)
    for path in checkpoint.folder.iterdir():
        if path.is_file() and path.suffix not in _WEIGHTS and not path.name.endswith(".index.json"):
            shutil.copyfile(path, folder / path.name)
    _write_tensors(checkpoint, folder, changed or {}, shard_bytes)
    _portable_config(folder)
    _plain_tokenizer(folder)


def _write_tensors(checkpoint: Checkpoint, folder: Path, changed: Mapping[str, Tensor], shard_bytes: int) -> None:
    names = sorted({*checkpoint.names(), *AUDIO_TABLES})
    if unknown := sorted(changed.keys() - set(names)):
        raise ConfigError(f"{unknown[0]} is trained, but {checkpoint.folder} has no such tensor")
    table = next((changed[name] for name in AUDIO_TABLES if name in changed), None)
    like = checkpoint.audio_table()
    table = like if table is None else table.to(like.dtype)
    shard: dict[str, Tensor] = {}
    size, places, total = 0, dict[str, int](), 0
    number = 1
    for name in names:
        tensor = table.clone() if name in AUDIO_TABLES else _tensor(checkpoint, changed, name)
        if shard and size + tensor.nbytes > shard_bytes:
            save_file(shard, folder / f"model-{number:05d}.safetensors", metadata={"format": "pt"})
            shard, size, number = {}, 0, number + 1
        shard[name] = tensor.contiguous()
        places[name] = number
        size += tensor.nbytes
        total += tensor.nbytes
    if number == 1:
        save_file(shard, folder / "model.safetensors", metadata={"format": "pt"})
        return
    save_file(shard, folder / f"model-{number:05d}.safetensors", metadata={"format": "pt"})
    files = {name: f"model-{place:05d}-of-{number:05d}.safetensors" for name, place in places.items()}
    for place in range(1, number + 1):
        (folder / f"model-{place:05d}.safetensors").rename(folder / f"model-{place:05d}-of-{number:05d}.safetensors")
    index = {"metadata": {"total_size": total}, "weight_map": files}
    (folder / _INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


def _tensor(checkpoint: Checkpoint, changed: Mapping[str, Tensor], name: str) -> Tensor:
    tensor = checkpoint.tensor(name)
    if name not in changed:
        return tensor
    if changed[name].shape != tensor.shape:
        raise ConfigError(f"{name} is trained as {tuple(changed[name].shape)}, the base has {tuple(tensor.shape)}")
    return changed[name].to(tensor.dtype)


def _portable_config(folder: Path) -> None:
    config = _json(folder / "config.json")
    # which file has which layout is the base's affair: here there is one
    config.pop("transformers_weights", None)
    (folder / "config.json").write_text(json.dumps(for_any_version(config), indent=1), encoding="utf-8")


def for_any_version(config: dict[str, Any]) -> dict[str, Any]:
    """Make of a CSM's config one that all versions take: those before 5.21 refuse what later ones write."""
    made = {**config, "tie_word_embeddings": False, "tie_codebooks_embeddings": True}
    if isinstance(depth := made.get("depth_decoder_config"), dict):
        made["depth_decoder_config"] = {name: v for name, v in depth.items() if name != "tie_word_embeddings"}
    return made


def _plain_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    if path.exists():
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.save(str(path))


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
