"""A PEFT adapter folder, merged into the base weights as they are read."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load_file
from torch import Tensor

from tts_engine.model.errors import CheckpointError

T = TypeVar("T")

_PREFIX = "base_model.model."


class Adapter:
    """LoRA pairs on linear layers, whole modules (`modules_to_save`) and trained rows of an embedding."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config: dict[str, Any] = self._read_config()
        self._down: dict[str, Tensor] = {}
        self._up: dict[str, Tensor] = {}
        self._whole: dict[str, Tensor] = {}
        self._rows: dict[str, Tensor] = {}
        for key, tensor in load_file(folder / "adapter_model.safetensors").items():
            self._sort(key, tensor)

    def check(self, names: Collection[str]) -> None:
        """Raise CheckpointError if the adapter changes a tensor that the base does not have."""
        for name in {*self._down, *self._up, *self._whole, *self._rows}:
            if name not in names:
                raise CheckpointError(f"{self.folder} adapts {name}, which the base checkpoint does not have")
        for name in self._down.keys() ^ self._up.keys():
            raise CheckpointError(f"{self.folder} has only one half of the LoRA pair of {name}")

    def merge(self, name: str, tensor: Tensor) -> Tensor:
        """Return the base tensor with this adapter's change; computed in float32, returned in the base's type.

        Raises CheckpointError if the adapter was made for a base of another size.
        """
        if name in self._whole:
            self._check_size(name, tensor, self._whole[name].shape)
            return self._whole[name].to(tensor.dtype)
        if name in self._rows:
            tensor = tensor.clone()
            rows: list[int] = self._row_numbers(name)
            self._check_size(name, tensor, (max(len(tensor), *(row + 1 for row in rows)), self._rows[name].shape[1]))
            tensor[rows] = self._rows[name].to(tensor.dtype)
            return tensor
        if name not in self._down:
            return tensor
        down, up = self._down[name].float(), self._up[name].float()
        self._check_size(name, tensor, (up.shape[0], down.shape[1]))
        return (tensor.float() + self._scale(name, down.shape[0]) * (up @ down)).to(tensor.dtype)

    def _check_size(self, name: str, tensor: Tensor, fits: Sequence[int]) -> None:
        if tuple(tensor.shape) != tuple(fits):
            raise CheckpointError(f"{self.folder} was made for a base of another size: {name} does not fit this one")

    def _read_config(self) -> dict[str, Any]:
        path = self.folder / "adapter_config.json"
        if not path.exists():
            raise CheckpointError(f"{path} is missing: {self.folder} is not a PEFT adapter")
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.get("use_dora") or config.get("fan_in_fan_out") or config.get("bias", "none") != "none":
            raise CheckpointError(f"{path}: only plain LoRA can be merged (no DoRA, biases or transposed weights)")
        if config.get("target_parameters"):
            raise CheckpointError(f"{path}: target_parameters cannot be merged; merge with PEFT before serving")
        return config

    def _sort(self, key: str, tensor: Tensor) -> None:
        name = key.removeprefix(_PREFIX)
        for suffix, place in (
            (".lora_A.weight", self._down),
            (".lora_B.weight", self._up),
            (".token_adapter.trainable_tokens_delta", self._rows),
        ):
            if name.endswith(suffix):
                place[name.removesuffix(suffix) + ".weight"] = tensor
                return
        if "lora_" in name or "trainable_tokens" in name:
            raise CheckpointError(f"{self.folder}: {key} is of a kind that cannot be merged here; merge with PEFT")
        self._whole[name.replace(".modules_to_save", "")] = tensor

    def _scale(self, name: str, rank: int) -> float:
        module = name.removesuffix(".weight")
        alpha = float(_pattern(self._config.get("alpha_pattern"), module, self._config["lora_alpha"]))
        return alpha / rank**0.5 if self._config.get("use_rslora") else alpha / rank

    def _row_numbers(self, name: str) -> list[int]:
        indices = self._config.get("trainable_token_indices")
        if isinstance(indices, dict):
            return _pattern(indices, name.removesuffix(".weight"), [])
        return list(indices or [])


def _pattern(patterns: dict[str, Any] | None, module: str, default: T) -> T:
    """PEFT's rule: a key names a module if it is the end of the module's path, or matches it as an expression."""
    for key, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return default
