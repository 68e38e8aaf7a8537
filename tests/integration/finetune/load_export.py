"""Load an exported checkpoint with whatever `transformers` is on the path; print its version and a loss."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import transformers

from finetune.config import LossSettings
from finetune.training.batch import collate
from finetune.training.loss import loss_parts
from finetune.training.sample import TrainingTurn, build_sample
from finetune.voice import prompt_builder
from tts_engine.model.config import CsmConfig

torch.set_num_threads(1)
folder = Path(sys.argv[1])
model = transformers.CsmForConditionalGeneration.from_pretrained(folder).eval()
config = CsmConfig.read(folder)
codes = np.random.default_rng(0).integers(1, 60, (9, config.num_codebooks)).astype(np.int16)
sample = build_sample(prompt_builder(folder, config), [TrainingTurn(0, "Salam, necəsən?", codes)])
with torch.no_grad():
    parts = loss_parts(model, collate([sample], [sample.target]), LossSettings(depth_share=1.0))
print(transformers.__version__, float(parts.first), float(parts.depth))
