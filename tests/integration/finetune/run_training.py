"""A training run as a process of its own: `python run_training.py RUN.yaml`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from finetune.config import RunSettings, read_settings
from finetune.training.loop import train

torch.set_num_threads(1)
train(
    read_settings(RunSettings, Path(sys.argv[1])),
    lambda message: print(message, flush=True),
    lambda: os.environ.get("INTERRUPTED") == os.environ.get("RANK", "0"),
)
