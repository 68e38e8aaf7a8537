from __future__ import annotations

import sys

import pytest

from tts_engine.backend.vllm_plugin.short_turns import TURN_S, take_short_turns


def test_a_thread_that_waits_is_let_in_sooner_than_python_would():
    before = sys.getswitchinterval()
    try:
        take_short_turns()
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
    finally:
        sys.setswitchinterval(before)
