from __future__ import annotations

import pytest

from telephony.audio.quality import mos, r_factor


def test_a_call_with_nothing_wrong_is_rated_as_g_107_rates_it() -> None:
    assert {r_factor(codec=codec, loss_percent=0) for codec in ("PCMU", "PCMA", "G722", "opus")} == {93.2}
    assert mos(93.2) == pytest.approx(4.41, abs=0.01)


def test_loss_costs_what_g_113_says_and_bursts_cost_more() -> None:
    # Ie-eff = 95 * 3 / (3 + 25.1) = 10.1
    assert r_factor(codec="PCMA", loss_percent=3) == pytest.approx(93.2 - 10.14, abs=0.01)
    assert r_factor(codec="PCMA", loss_percent=3, burst_ratio=3) < r_factor(codec="PCMA", loss_percent=3)


def test_each_codec_bears_loss_in_its_own_way_and_an_unknown_one_as_g_711() -> None:
    rated = {codec: r_factor(codec=codec, loss_percent=5) for codec in ("opus", "PCMU", "PCMA", "", "G722")}

    assert rated["opus"] > rated["PCMU"] == rated["PCMA"] == rated[""] > rated["G722"]


def test_delay_costs_nothing_to_100_ms_little_to_150_and_much_at_400() -> None:
    lost = [r_factor(codec="PCMA", loss_percent=0, delay_ms=ms) for ms in (0, 100, 150, 400)]

    assert lost[0] == lost[1]
    assert 0 < 93.2 - lost[2] < 5
    assert 93.2 - lost[3] == pytest.approx(24, abs=2)


@pytest.mark.parametrize(("r", "score"), [(-5, 1.0), (0, 1.0), (3, 1.0), (100, 4.5), (60, 3.1), (120, 4.5)])
def test_scores_stay_on_their_scale(r: float, score: float) -> None:
    assert mos(r) == pytest.approx(score, abs=0.01)
    assert r_factor(codec="G722", loss_percent=100, delay_ms=5_000) == 0
