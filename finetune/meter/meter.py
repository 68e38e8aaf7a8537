"""The meter: log-mel frames through ConvNeXt blocks to letters by CTC, under a million parameters.

Convolutions only: a codec is trained on crops, and what the meter makes of a crop should be what it makes of the whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as fn
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from finetune.meter.letters import ALPHABET, decode
from finetune.meter.mel import FLOOR, MelSpectrum
from finetune.whole_file import whole_file

RATE_HZ = 24_000
HOP = 240


@dataclass(frozen=True, slots=True)
class MeterConfig:
    bands: int = 64
    width: int = 128
    blocks: int = 10
    kernel: int = 9


class _Block(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.norm(self.mix(x).transpose(1, 2))
        return x + self.down(fn.gelu(self.up(mixed))).transpose(1, 2)


class Meter(nn.Module):
    """24 kHz samples to letters, one class each 20 ms."""

    def __init__(self, config: MeterConfig) -> None:
        super().__init__()
        self.config = config
        self.mel = MelSpectrum(RATE_HZ, 1024, HOP, config.bands)
        self.stem = nn.Conv1d(config.bands, config.width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(_Block(config.width, config.kernel) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, len(ALPHABET) + 1)

    def ear(self, samples: Tensor) -> Tensor:
        """Log-mel frames [B, bands, N / 240 + 1] of samples [B, N], about -1 to 1."""
        _, mel = self.mel(samples)
        return (mel.clamp(min=FLOOR).log() + 3.0) / 4.0

    def states(self, frames: Tensor) -> list[Tensor]:
        """Give the output [B, width, T] of the stem and of every block."""
        states = [self.stem(frames)]
        for block in self.blocks:
            states.append(block(states[-1]))
        return states

    def classes(self, state: Tensor) -> Tensor:
        """Log-probabilities [B, T, classes] of the last state."""
        return self.out(self.norm(state.transpose(1, 2))).float().log_softmax(-1)

    def forward(self, frames: Tensor) -> Tensor:
        return self.classes(self.states(frames)[-1])

    @torch.inference_mode()
    def read(self, samples: npt.NDArray[np.float32]) -> str:
        """Write down what a clip [N] at 24 kHz says."""
        heard = torch.from_numpy(np.ascontiguousarray(samples))[None].to(self.out.weight)
        if heard.shape[1] < 1024:
            return ""
        return decode(self(self.ear(heard))[0].argmax(-1).tolist())

    def read_all(self, clips: Sequence[npt.NDArray[np.float32]]) -> list[str]:
        return [self.read(clip) for clip in clips]


def steps(samples: int) -> int:
    """How many classes a clip gets."""
    return (samples // HOP + 2) // 2


def write_meter(meter: Meter, path: Path) -> None:
    """Write weights and config in one safetensors file, whole or not at all."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in meter.state_dict().items()}
    with whole_file(path) as partial:
        save_file(weights, partial, metadata={"config": json.dumps(asdict(meter.config))})


def read_meter(path: Path) -> Meter:
    """Read what `write_meter` wrote, frozen."""
    with safe_open(path, framework="pt") as file:
        meter = Meter(MeterConfig(**json.loads(file.metadata()["config"])))
        meter.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - no mapping
    return meter.eval().requires_grad_(requires_grad=False)
