from __future__ import annotations

import pytest
import torch

from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.mimi.decoder import MimiDecoder
from tts_engine.model.mimi.precision import faithful
from tts_engine.model.mimi.weights import load_decoder


@pytest.fixture
def decoder(tiny: TinyCsm) -> MimiDecoder:
    decoder = MimiDecoder(tiny.config.mimi)
    load_decoder(decoder, Checkpoint(tiny.folder))
    return decoder


def test_float16_is_as_good_where_its_range_is_enough_and_bfloat16_is_not(decoder: MimiDecoder):
    assert faithful(decoder, torch.float16)
    assert not faithful(decoder, torch.bfloat16)
    assert decoder.first.weight.dtype is torch.float32


def test_float16_is_refused_where_a_layer_leaves_its_range(decoder: MimiDecoder):
    decoder.first.weight.mul_(1e6)
    decoder.last.weight.mul_(1e-6)
    assert not faithful(decoder, torch.float16)
