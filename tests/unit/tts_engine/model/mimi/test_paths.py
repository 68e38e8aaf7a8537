from __future__ import annotations

import importlib.util

import pytest

from tests.fakes.tiny_codec import make_codec
from tts_engine.model.mimi.paths import fused


@pytest.mark.skipif(importlib.util.find_spec("triton") is not None, reason="Triton is there: see test_whole_frame")
def test_without_triton_the_plain_decoder_decodes():
    decoder = make_codec()
    decode, how = fused(decoder)
    assert decode is decoder
    assert how.startswith("plain PyTorch: No module named 'triton'")
