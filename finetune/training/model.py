"""CSM as `transformers` has it, made fit for training: audio embedding tied, codec left out."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import cast

import torch
from torch import nn
from transformers import CsmConfig, CsmForConditionalGeneration
from transformers.utils import logging

from finetune.export import for_any_version
from tts_engine.model.checkpoint import Checkpoint


def load_csm_for_training(folder: Path, *, dtype: torch.dtype) -> CsmForConditionalGeneration:
    """Load the folder's model without Mimi, which is of no use once the codes are made (79 M parameters).

    transformers 5.0 to 5.20 leave the backbone's audio embedding random, because the file has the table under the
    depth decoder's name only; so it is read and tied here, whatever the version did. Before 5.21 they also refuse the
    config of a checkpoint that a later one has saved.
    """
    raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with _quiet():
        config = CsmConfig.from_dict(for_any_version(raw))
        loaded = CsmForConditionalGeneration.from_pretrained(
            folder, config=config, dtype=dtype, attn_implementation="sdpa"
        )
    model = cast("CsmForConditionalGeneration", loaded)
    del model.codec_model
    table = nn.Parameter(Checkpoint(folder).audio_table().to(dtype))
    tie_audio_embedding(model, table)
    return model.train()


def tie_audio_embedding(model: CsmForConditionalGeneration, table: nn.Parameter) -> None:
    """Make backbone and depth decoder read one table [codebooks * size, hidden]."""
    model.depth_decoder.model.embed_tokens.weight = table
    model.backbone_model.embed_tokens.embed_audio_tokens.weight = table


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Drop the notes on a tensor that is missing on loading: it is filled right after."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
