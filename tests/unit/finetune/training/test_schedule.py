from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.config import ScheduleSettings
from finetune.training.schedule import Deadline, rate


def test_the_rate_goes_up_in_a_line_and_down_to_its_last_share():
    settings = ScheduleSettings(steps=100, warmup_share=0.1, final_share=0.1)
    values = [rate(step, settings) for step in range(100)]
    assert values[0] == 1 / 11
    assert max(values) == 1.0
    assert values.index(1.0) == 10
    assert values[-1] < 0.101
    assert values[10:] == sorted(values[10:], reverse=True)


def run(seconds: list[float], *, time_s: float, steps: int, settled: int = 20) -> tuple[list[float], float]:
    """Go by a deadline, a step taking what `seconds` say, the last of them again and again; places, and time over."""
    deadline, left, places, step = Deadline(steps=steps, settled=settled), time_s, list[float](), 0
    while not places or places[-1] < steps:
        places.append(deadline.place(step, left_s=left))
        left -= seconds[min(step, len(seconds) - 1)]
        step += 1
    return places, left + seconds[min(step, len(seconds)) - 1]


@given(
    slow_s=st.floats(0.0, 30.0),
    early=st.lists(st.floats(0.02, 0.3), min_size=1, max_size=200),
    late_s=st.floats(0.02, 0.3),
)
def test_time_is_used_up_within_a_step_however_long_steps_turn_out_to_take(
    slow_s: float, early: list[float], late_s: float
):
    places, left_s = run([slow_s, *early, late_s], time_s=120.0, steps=20_000)
    assert -0.6 <= left_s <= 0.0 or slow_s > 120.0
    assert places == sorted(places)


def test_the_rate_is_at_its_last_share_when_time_is_up():
    settings = ScheduleSettings(steps=20_000, warmup_share=0.04, final_share=0.02)
    # the first steps are fast and those that follow three times slower, as where a trial had warmed up its own batches
    places, _ = run([30.0, *[0.08] * 60, 0.24], time_s=270.0, steps=20_000)
    rates = [rate(place, settings) for place in places]
    assert max(rates) > 0.999
    assert rates[-2] < 0.021
    assert rates.index(max(rates)) < 0.1 * len(rates)
    assert 900 < len(places) < 1200


def test_a_run_with_time_enough_ends_by_its_steps():
    places, left_s = run([0.1], time_s=1000.0, steps=50)
    assert places[-1] == 50
    assert len(places) == 51
    assert left_s > 900.0


def test_a_run_that_goes_on_does_not_begin_its_schedule_again():
    deadline = Deadline(steps=100, settled=2)
    assert [deadline.place(step, left_s=70.0 - step) for step in (60, 61)] == [60.0, 61.0]
    assert deadline.place(62, left_s=10.0) == 62.0
    assert deadline.place(63, left_s=5.0) == pytest.approx(81.0)


def test_without_time_the_first_place_is_the_end():
    assert Deadline(steps=100).place(0, left_s=0.0) == 100.0
