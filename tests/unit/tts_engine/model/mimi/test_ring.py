from __future__ import annotations

import pytest
import torch

from tts_engine.model.mimi.ring import in_one_kernel


@pytest.mark.parametrize(
    ("device", "steps", "head_dim", "fits"),
    [
        ("cuda", 2, 64, True),
        ("cuda", 2, 48, False),  # Triton has no range of 48
        ("cuda", 4, 64, False),  # several frames at once
        ("cpu", 2, 64, False),
    ],
)
def test_one_kernel_attends_for_a_frame_on_a_gpu_to_heads_of_a_width_it_has(
    device: str, steps: int, head_dim: int, fits: bool
):
    assert in_one_kernel(torch.device(device), steps=steps, head_dim=head_dim) is fits
