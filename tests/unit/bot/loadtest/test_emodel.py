from __future__ import annotations

import pytest

from bot.loadtest.emodel import OPUS, mos, r_factor


def test_a_clear_line_has_the_r_and_mos_of_the_recommendation() -> None:
    assert r_factor(delay_ms=0, loss=0) == pytest.approx(93.2)
    assert mos(93.2) == pytest.approx(4.41, abs=0.01)


@pytest.mark.parametrize(("loss", "expected"), [(0.01, 89.6), (0.05, 77.4), (0.1, 66.1)])
def test_loss_costs_what_g_113_says_of_g_711_with_concealment(loss: float, expected: float) -> None:
    percent = 100 * loss
    assert r_factor(delay_ms=0, loss=loss) == pytest.approx(93.2 - 95 * percent / (percent + 25.1))
    assert r_factor(delay_ms=0, loss=loss) == pytest.approx(expected, abs=0.6)


def test_delay_costs_little_up_to_150_ms_and_much_at_400() -> None:
    assert r_factor(delay_ms=100, loss=0) == r_factor(delay_ms=0, loss=0)
    assert 93.2 - r_factor(delay_ms=150, loss=0) < 5
    assert 93.2 - r_factor(delay_ms=400, loss=0) == pytest.approx(24, abs=2)


def test_bursts_are_worse_than_the_same_loss_scattered() -> None:
    assert r_factor(delay_ms=0, loss=0.03, burst=3) < r_factor(delay_ms=0, loss=0.03)
    assert r_factor(delay_ms=0, loss=0.03, codec=OPUS) < r_factor(delay_ms=0, loss=0.03)


def test_mos_stays_between_1_and_4_5() -> None:
    assert mos(-3) == 1.0
    assert mos(3) == 1.0
    assert mos(120) == 4.5
