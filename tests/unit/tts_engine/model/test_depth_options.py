from __future__ import annotations

import pytest

from tts_engine.model.depth_options import DepthOptions


@pytest.mark.parametrize("rows", [-1, 33])
def test_small_batches_have_at_most_as_many_rows_as_their_kernels(rows: int):
    with pytest.raises(ValueError, match="up to 32 rows"):
        DepthOptions(small_batch=rows)


def test_nothing_unmeasured_is_on_by_default():
    assert DepthOptions() == DepthOptions(small_batch=0, float8=False, alone=False)
