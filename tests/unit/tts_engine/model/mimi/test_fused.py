from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.fakes.tiny_csm import TinyCsm
from tests.fakes.tiny_depth import need_interpreter

need_interpreter()

from tts_engine.model.mimi import fused  # noqa: E402 - behind the skip
from tts_engine.model.mimi import ring as ring_module  # noqa: E402 - behind the skip
from tts_engine.model.mimi.fused import RingTile  # noqa: E402 - behind the skip
from tts_engine.model.mimi.ring import Ring  # noqa: E402 - behind the skip
from tts_engine.model.rope import inverse_frequencies  # noqa: E402 - behind the skip

pytestmark = pytest.mark.filterwarnings("ignore")  # Triton's interpreter on NumPy
FRAMES, WINDOW = 7, 8  # 14 positions, past the window


def attended(tiny: TinyCsm, head_dim: int) -> Tensor:
    """What two streams attend to, a frame at a time, the second from its own position on [FRAMES, 2, 2, heads * d]."""
    config = replace(tiny.config.mimi, window=WINDOW, head_dim=head_dim, num_layers=1)
    ring = Ring(config, slots=3, like=torch.zeros(1), steps_max=2)
    frequencies = inverse_frequencies(head_dim, config.rope)
    generator, slots = torch.Generator().manual_seed(0), torch.tensor([2, 0])
    out: list[Tensor] = []
    for frame in range(FRAMES):
        start = torch.tensor([2 * frame, max(0, 2 * frame - 4)])
        qkv = torch.randn(2, 2, 3, config.num_heads, head_dim, generator=generator)
        out.append(ring.attend(slots, start, 2, frequencies)(0, qkv))
    return torch.stack(out)


@pytest.mark.parametrize("tile", [None, RingTile(64, 2, 4), RingTile(16, 1, 4)])
def test_the_kernel_attends_as_plain_pytorch_does(
    tiny: TinyCsm, monkeypatch: pytest.MonkeyPatch, tile: RingTile | None
):
    expected = attended(tiny, 16)
    monkeypatch.setattr(ring_module, "in_one_kernel", lambda *_, **__: True)
    monkeypatch.setattr(fused, "RING_TILE", tile)
    assert torch.allclose(attended(tiny, 16), expected, atol=1e-5)


def test_heads_48_wide_are_not_for_the_kernel(tiny: TinyCsm, monkeypatch: pytest.MonkeyPatch):
    """Why `in_one_kernel` asks for the width."""
    attended(tiny, 48)
    monkeypatch.setattr(ring_module, "in_one_kernel", lambda *_, **__: True)
    with pytest.raises(Exception, match="power of 2"):
        attended(tiny, 48)
