"""What a run needs to go on exactly: trained weights, the optimiser's state, and where it stood.

A checkpoint is a folder that is there as a whole or not at all. No state of a random generator is kept, since every
draw of a run is a function of its seed and its step.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from finetune.errors import TrainingError
from finetune.training.sharding import gathered, placed


@dataclass(frozen=True, slots=True)
class Best:
    """The best check so far; enough stops come first, then the held-out loss."""

    step: int
    loss: float
    stops: bool

    def worse_than(self, other: Best) -> bool:
        return (self.stops, -self.loss) < (other.stops, -other.loss)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: steps done, and the place of the next one in its epoch."""

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    best: Best | None = None
    stale: int = 0
    """Checks since the best."""
    corpus: str = ""
    """The corpus' digest; empty in checkpoints of before it was kept."""


def write_checkpoint(
    folder: Path,
    progress: Progress,
    weights: Mapping[str, Tensor],
    state: Mapping[str, Mapping[str, Tensor]],
    *,
    keep: int,
) -> Path:
    """Write `step_000123` with whole weights and the optimiser's state by their names; drop all but the newest `keep`.

    So a run may go on with another number of processes, whatever they hold.
    """
    path = folder / f"step_{progress.step:06d}"
    partial = folder / f".{path.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(dict(weights), partial / "weights.safetensors")
    try:
        torch.save({name: dict(own) for name, own in state.items()}, partial / "optimiser.pt")
    except RuntimeError as error:  # all that torch says of a full disk is where its writer stands
        raise OSError(f"{partial}/optimiser.pt cannot be written; is the disk full? ({error})") from error
    (partial / "progress.json").write_text(json.dumps(asdict(progress)), encoding="utf-8")
    replace_folder(partial, path)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return path


def replace_folder(partial: Path, path: Path) -> None:
    """Put a finished folder in its place, on the disk too; what dies in between leaves the old one to `put_back`."""
    for file in partial.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    if path.exists():
        old = _old(path)
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
        partial.rename(path)
        shutil.rmtree(old)
    else:
        partial.rename(path)


def put_back(path: Path) -> None:
    """Take the old folder again if the program died after it was taken away and before the new one was there."""
    if not path.exists() and _old(path).exists():
        _old(path).rename(path)


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def checkpoints(folder: Path) -> list[Path]:
    """All whole checkpoints, the newest last."""
    return sorted(folder.glob("step_??????"))


def read_progress(path: Path) -> Progress:
    """Read where the run stood at a checkpoint."""
    try:
        raw = json.loads((path / "progress.json").read_text(encoding="utf-8"))
        best = raw.pop("best")
        return Progress(**raw, best=Best(**best) if best else None)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def restore(path: Path, weights: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer) -> Progress:
    """Fill weights and optimiser; raises TrainingError if the checkpoint is another model's or method's."""
    try:
        stored = load_file(path / "weights.safetensors")
        state = torch.load(path / "optimiser.pt", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError) as error:
        raise _damaged(path, error) from error
    fill(weights, stored, path)
    _fill_optimiser(optimiser, weights, state)
    return read_progress(path)


def _damaged(path: Path, error: Exception) -> TrainingError:
    return TrainingError(f"{path} is damaged: remove it, and the run goes on from the one before ({error})")


def optimiser_state(
    optimiser: torch.optim.Optimizer, weights: Mapping[str, nn.Parameter], *, keep: bool
) -> dict[str, dict[str, Tensor]]:
    """Give the whole state by the names of the weights; all processes must call it, as `gathered`."""
    return {name: gathered(optimiser.state[weight], keep=keep) for name, weight in weights.items()}


def _fill_optimiser(
    optimiser: torch.optim.Optimizer, weights: Mapping[str, nn.Parameter], stored: Mapping[str, Mapping[str, Tensor]]
) -> None:
    names = {id(weight): name for name, weight in weights.items()}
    order = [weight for group in optimiser.param_groups for weight in group["params"]]
    state = {
        index: {key: placed(value, weight) for key, value in stored[names[id(weight)]].items()}
        for index, weight in enumerate(order)
    }
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def fill(weights: Mapping[str, nn.Parameter], stored: Mapping[str, Tensor], path: Path) -> None:
    """Copy stored weights into those of their names; raises TrainingError if they are not the same set."""
    if different := sorted(weights.keys() ^ stored.keys()):
        raise TrainingError(f"{path} is of another base or method: {different[0]} is in one of the two only")
    if unlike := next((name for name, weight in weights.items() if stored[name].shape != weight.shape), None):
        raise TrainingError(f"{path} is of another base, method or corpus: {unlike} has another shape")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(placed(stored[name], weight))
