from __future__ import annotations

from pathlib import Path

import pytest
import torch

from finetune.budget import Budget
from finetune.codec.model import Codec
from finetune.codec.settings import CodecTraining
from finetune.codec.training import Crops, Progress, train_codec
from finetune.errors import TrainingError
from tests.unit.finetune.codec.small import SHAPE, vowels

TRAINING = CodecTraining(batch=4, crop_frames=8, warmup_steps=10, check_every_steps=10, save_every_steps=10)
SOUND = vowels(20.0)


def _train(folder: Path, steps: int, told: list[str] | None = None, **changed: object) -> Progress:
    torch.manual_seed(0)
    training = TRAINING.model_copy(update=changed)
    tell = (lambda _: None) if told is None else told.append
    return train_codec(Codec(SHAPE), training, SOUND, folder, Budget(steps=steps), tell, lambda: None)


def _mels(told: list[str]) -> list[float]:
    return [float(line.split("mel ")[1].split()[0]) for line in told if " mel " in line]


def test_sixty_steps_lower_the_loss_and_use_the_codes(tmp_path: Path) -> None:
    told: list[str] = []
    progress = _train(tmp_path, 60, told)
    assert progress.step == 60
    assert progress.quantised
    assert _mels(told)[-1] < 0.8 * _mels(told)[0]
    used = [float(one) for one in told[-1].split("used ")[1].split()]
    assert min(used) > 4.0


def test_a_codec_that_collapses_is_given_up_early(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="codec step"):
        _train(tmp_path, 200, learning_rate=0.9, clip_norm=1e6)


def test_a_run_that_was_killed_goes_on_from_its_checkpoint_to_the_same_codec(tmp_path: Path) -> None:
    changed = {"save_every_steps": 6, "check_every_steps": 8, "continuous_share": 0.25}
    _train(tmp_path / "whole", 18, **changed)
    told = _KilledAt("codec step 16 ")
    with pytest.raises(_Killed):
        _train(tmp_path / "killed", 18, told, **changed)
    assert torch.load(tmp_path / "killed/codec.pt", weights_only=True)["progress"].startswith('{"step": 12,')
    assert _train(tmp_path / "killed", 18, **changed).step == 18
    killed, whole = (torch.load(tmp_path / name / "codec.pt", weights_only=True) for name in ("killed", "whole"))
    for part in ("codec", "hearing"):
        assert all(torch.equal(tensor, whole[part][name]) for name, tensor in killed[part].items())


class _Killed(BaseException):
    pass


class _KilledAt(list[str]):
    def __init__(self, beginning: str) -> None:
        self.beginning = beginning

    def append(self, line: str) -> None:
        if line.startswith(self.beginning):
            raise _Killed


def test_crops_are_a_function_of_the_step() -> None:
    crops = Crops(SOUND, frames=4, batch=3, seed=7)
    assert crops.draw(5).shape == (3, 4 * 1920)
    assert torch.equal(crops.draw(5), crops.draw(5))
    assert not torch.equal(crops.draw(5), crops.draw(6))
