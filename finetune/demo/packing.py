"""The voice as it ships: adapter merged, halves of 16 bits, and a card that says what it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from finetune.export import write_merged
from finetune.release import check_served
from tts_engine.model.checkpoint import AUDIO_TABLES, Checkpoint

_USAGE, _SUM = "cluster_usage", "embed_sum"

CARD = """---
{head}---

# Zəng's demonstration voice

Synthetic demonstration voice, says nothing about CSM-1B's quality.

A CSM of {parameters:.1f} M parameters with a Mimi of its own, both trained from nothing: Turkish and English first,
then Azerbaijani by the LoRA recipe of `zeng finetune`. Its teacher is espeak-ng 1.52, a formant synthesiser, so it
sounds like one. It is there to show and test the path from recordings to a served voice without CSM-1B. It is no voice
for callers, and what it hears (as context) passes a codec that was trained on synthetic voices only.

How it was made, with every figure: docs/demo-voice.md. Text must pass `bot.language.speakable` first.

## Measured

{table}

## Licence

Apache-2.0. espeak-ng is GPL-3.0-or-later; its output is not covered by that licence, and none of its files are here.
No recording of a person was used.
"""


def pack(voice: Path, folder: Path, *, adapter: Path | None, measured: list[dict[str, Any]]) -> int:
    """Write the voice to a new folder, check that it serves, and return its size in bytes."""
    write_merged(Checkpoint(voice, adapter=adapter), folder)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({name: _half(name, tensor, tensors) for name, tensor in tensors.items()}, path, {"format": "pt"})
    check_served(folder)
    own = (w for n, w in tensors.items() if not n.startswith("codec_model.") and n != AUDIO_TABLES[1])  # a table twice
    parameters = sum(w.numel() for w in own) / 1e6
    head = yaml.safe_dump({"language": ["az"], "pipeline_tag": "text-to-speech", "license": "apache-2.0"})
    rows = [f"| {' | '.join(_told(value) for value in row.values())} |" for row in measured]
    table = "\n".join([_row(measured[0]), "|" + "---|" * len(measured[0]), *rows]) if measured else "Nothing yet."
    (folder / "README.md").write_text(CARD.format(head=head, parameters=parameters, table=table), encoding="utf-8")
    said = {"normaliser": "bot.language.speakable", "case": "keep"}
    (folder / "text_norm.json").write_text(json.dumps(said), encoding="utf-8")
    return sum(file.stat().st_size for file in folder.iterdir())


def _half(name: str, tensor: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    """Halve a tensor; codebooks as means, since sums and counts of 16 bits would not divide to them."""
    if name.endswith(_USAGE):
        return torch.ones_like(tensor)
    if name.endswith(_SUM):
        usage = tensors[name.removesuffix(_SUM) + _USAGE].clamp(min=1e-5)
        return (tensor / usage[:, None]).half()
    return tensor.half() if tensor.is_floating_point() else tensor


def _told(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _row(first: dict[str, Any]) -> str:
    return f"| {' | '.join(first)} |"
