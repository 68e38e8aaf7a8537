from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bot.loadtest.analysis import Deed
from bot.loadtest.behaviour import StepKind
from bot.loadtest.floor import measure_floor, round_trips
from bot.loadtest.lines import CallFailed, Rung
from bot.loadtest.validity import faults
from tests.fakes.talking_bot import speech
from tests.unit.bot.loadtest.records import WELL


def test_each_tone_is_paired_with_its_echo_and_a_lost_one_counts_as_the_longest() -> None:
    quiet = np.zeros(16_000, np.int16)
    heard = np.concatenate([quiet, speech(0.1), quiet, quiet, speech(0.1)])
    deeds = tuple(Deed(n, 0, StepKind.SAY, at, at + 0.1) for n, at in enumerate((0.9, 2.0, 3.0)))

    assert round_trips(heard, deeds) == pytest.approx((100, 900, 100), abs=11)


class _NoLine:
    async def call(self) -> Rung:
        raise CallFailed("too slow")


async def test_an_echo_that_cannot_be_called_makes_the_run_invalid() -> None:
    (floor_ms,) = await measure_floor(_NoLine(), clips=None, hold_s=1.0)  # type: ignore[arg-type]

    assert faults(replace(WELL, floor_ms=floor_ms)) == ("an echo on this machine took 900 ms",)


async def test_without_a_line_there_is_no_floor() -> None:
    assert await measure_floor(None, clips=None, hold_s=1.0) == ()  # type: ignore[arg-type]
