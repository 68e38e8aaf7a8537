from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from tests.fakes.tiny_csm import load_reference, write_tiny_csm
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.config import CsmConfig
from tts_engine.model.csm import CsmModel
from tts_engine.model.prompt import PromptBuilder
from tts_engine.model.tokenizer import TextTokenizer
from tts_engine.model.weights import load_csm

if TYPE_CHECKING:
    from transformers import CsmForConditionalGeneration


@dataclass(frozen=True, slots=True)
class TinyCsm:
    folder: Path
    config: CsmConfig
    model: CsmModel
    builder: PromptBuilder
    reference: CsmForConditionalGeneration


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyCsm:
    return make_tiny(tmp_path_factory.mktemp("tiny"), num_codebooks=8)


@pytest.fixture(autouse=True)
def _no_grad():
    torch.set_num_threads(1)
    with torch.no_grad():
        yield


def make_tiny(folder: Path, *, num_codebooks: int) -> TinyCsm:
    write_tiny_csm(folder, num_codebooks=num_codebooks)
    config = CsmConfig.read(folder)
    model = CsmModel(config)
    load_csm(model, Checkpoint(folder))
    builder = PromptBuilder(
        TextTokenizer.read(folder),
        num_codebooks=config.num_codebooks,
        codebook_size=config.codebook_size,
        positions=config.backbone.max_positions,
    )
    return TinyCsm(folder, config, model, builder, load_reference(folder))
