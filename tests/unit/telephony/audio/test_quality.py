from __future__ import annotations

import pytest

from telephony.audio.quality import mos, r_factor


def test_a_call_with_nothing_wrong_is_rated_as_g_107_rates_it() -> None:
    assert r_factor(loss_percent=0) == pytest.approx(93.2)
    assert mos(93.2) == pytest.approx(4.41, abs=0.01)


def test_loss_costs_what_g_113_says_and_bursts_cost_more() -> None:
    # Ie-eff = 95 * 3 / (3 + 25.1) = 10.1
    assert r_factor(loss_percent=3) == pytest.approx(93.2 - 10.14, abs=0.01)
    assert r_factor(loss_percent=3, burst_ratio=3) < r_factor(loss_percent=3)


def test_delay_hurts_from_177_ms_on() -> None:
    slight = r_factor(loss_percent=0) - r_factor(loss_percent=0, delay_ms=150)
    heavy = r_factor(loss_percent=0) - r_factor(loss_percent=0, delay_ms=400)

    assert slight == pytest.approx(3.6, abs=0.01)
    assert heavy == pytest.approx(9.6 + 0.11 * 222.7, abs=0.01)


@pytest.mark.parametrize(("r", "score"), [(-5, 1.0), (0, 1.0), (3, 1.0), (100, 4.5), (60, 3.1)])
def test_scores_stay_on_their_scale(r: float, score: float) -> None:
    assert mos(r) == pytest.approx(score, abs=0.01)
    assert r_factor(loss_percent=100, delay_ms=5_000) == 0
