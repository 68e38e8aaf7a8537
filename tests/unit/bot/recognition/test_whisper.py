from __future__ import annotations

import pytest

from tests.fakes.recognition import heard


@pytest.mark.parametrize(("text", "low", "high"), [("", 0.0, 0.0), ("salam", 0.0, 1.0), ("salam " * 40, 2.4, 30.0)])
def test_only_repetition_compresses_well(text: str, low: float, high: float):
    assert low <= heard(text).compression_ratio <= high
