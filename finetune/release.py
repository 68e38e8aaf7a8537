"""`zeng finetune export`: what of a run goes to the server, checked before it is called done."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from finetune.card import model_card
from finetune.config import RunSettings, read_settings
from finetune.data.manifest import Prepared, read_prepared
from finetune.errors import ConfigError, TrainingError
from finetune.export import write_merged
from finetune.training.checkpoint import put_back, replace_folder
from finetune.training.servable import Servable, servable
from tts_engine.model.checkpoint import Checkpoint, resolve
from tts_engine.model.config import CsmConfig
from tts_engine.model.csm import CsmModel
from tts_engine.model.tokenizer import learnt_lower
from tts_engine.model.weights import load_csm

_HALF = ".lora_A.weight"


@dataclass(frozen=True, slots=True)
class Run:
    """A run's folder: its settings, what it left to serve, and the corpus it learnt from."""

    folder: Path
    settings: RunSettings
    servable: Servable
    prepared: Prepared


def open_run(folder: Path, which: str = "best") -> Run:
    """Open a run; `which` is `best` or `last`. Raises ConfigError if there is no such thing yet."""
    settings = read_settings(RunSettings, folder / "run.yaml")
    path = folder / which
    put_back(path)
    if not path.exists():
        raise ConfigError(f"{path} is not there yet; let the run come to a check, or take the other one", field="which")
    found = servable(settings.method, resolve(settings.base), path)
    _check_base(found)
    return Run(folder, settings, found, read_prepared(settings.data))


def _check_base(found: Servable) -> None:
    """Refuse an adapter over a base of another size, by its first and last pair; raises ConfigError."""
    if found.adapter is None:
        return
    checkpoint = Checkpoint(found.folder)
    with safe_open(found.adapter / "adapter_model.safetensors", framework="pt") as file:
        pairs = sorted(name for name in file.keys() if name.endswith(_HALF))  # noqa: SIM118 - no mapping
        for pair in {*pairs[:1], *pairs[-1:]}:
            name = pair.removeprefix("base_model.model.").removesuffix(_HALF)
            width, learnt = checkpoint.tensor(f"{name}.weight").shape[1], file.get_slice(pair).get_shape()[1]
            if width != learnt:
                raise ConfigError(
                    f"{found.folder} is not the base of {found.adapter}: {name} takes {width} values, not {learnt}",
                    field="base",
                )


def open_base(folder: Path) -> Run:
    """Open the base that a run began from, untrained, to compare with."""
    settings = read_settings(RunSettings, folder / "run.yaml")
    return Run(folder, settings, Servable(resolve(settings.base), None), read_prepared(settings.data))


def export(run: Run, output: Path, *, adapter_only: bool = False) -> None:
    """Write the folder that serves, with its card; a folder that is already there is refused."""
    if output.exists():
        raise ConfigError(f"{output} is already there; name another folder", field="output")
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if adapter_only:
        if run.servable.adapter is None:
            raise ConfigError("full training has no adapter; export the whole checkpoint", field="adapter_only")
        shutil.copytree(run.servable.adapter, partial)
    else:
        write_merged(Checkpoint(run.servable.folder, adapter=run.servable.adapter), partial)
        check_served(partial)
    lower = run.prepared.text_case == "lower" or learnt_lower(run.servable.folder, run.servable.adapter)
    said = {"normaliser": run.prepared.normaliser, "case": "lower" if lower else "keep"}
    (partial / "text_norm.json").write_text(json.dumps(said, indent=1), encoding="utf-8")
    card = model_card(run.folder, run.settings, run.prepared, run.servable.learnt, adapter_only=adapter_only)
    (partial / "README.md").write_text(card, encoding="utf-8")
    output.parent.mkdir(parents=True, exist_ok=True)
    replace_folder(partial, output)


def check_served(folder: Path) -> None:
    """Load the folder as the server does; raises TrainingError if a weight is missing or not finite."""
    checkpoint = Checkpoint(folder)
    load_csm(CsmModel(CsmConfig.read(folder)), checkpoint)
    for name in checkpoint.names():
        if not torch.isfinite(checkpoint.tensor(name)).all():
            raise TrainingError(f"{name} is not finite: export an earlier checkpoint")
