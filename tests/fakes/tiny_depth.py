"""A depth decoder of three codebooks and what a frame draws, for tests of its kernels in Triton's interpreter."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.fakes.tiny_csm import CODEBOOK_SIZE, write_tiny_csm
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.config import CsmConfig
from tts_engine.model.csm import CsmModel
from tts_engine.model.depth_decoder import DepthDecoder, Draws
from tts_engine.model.weights import load_csm

CODEBOOKS = 3


def need_interpreter() -> None:
    """Skip a module where Triton is not there, or would compile for a GPU."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("no Triton here: tests/triton_env.sh fetches it once", allow_module_level=True)
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("Triton would compile: TRITON_INTERPRET=1 runs its kernels here", allow_module_level=True)


def make_depth(folder: Path, dtype: torch.dtype = torch.float32) -> DepthDecoder:
    """Random weights whose logits are spread, as `tiny_csm` makes them."""
    write_tiny_csm(folder, num_codebooks=CODEBOOKS)
    model = CsmModel(CsmConfig.read(folder))
    load_csm(model, Checkpoint(folder))
    model.to(dtype)
    model.frames.prepare()
    return model.frames.depth


def a_frame(rows: int, dtype: torch.dtype = torch.float32, *, seed: int = 0) -> tuple[Tensor, Tensor, Draws]:
    """Backbone states, codebook 0, and draws of every kind: greedy rows, and sampled ones with their own top k."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, 64, generator=generator).to(dtype)
    first = torch.randint(0, CODEBOOK_SIZE, (rows,), generator=generator)
    keys = torch.randint(0, 2**32, (rows, CODEBOOKS), generator=generator)
    temperature = torch.tensor([0.9, 0.0, 0.5]).repeat(rows)[:rows]
    return hidden, first, Draws(keys, temperature, torch.arange(rows) % 20 + 1, 64)


def row(frame: tuple[Tensor, Tensor, Draws], index: int) -> tuple[Tensor, Tensor, Draws]:
    """The same for one row of it alone."""
    hidden, first, draws = frame
    here = slice(index, index + 1)
    return hidden[here], first[here], Draws(draws.keys[here], draws.temperature[here], draws.top_k[here], draws.limit)
