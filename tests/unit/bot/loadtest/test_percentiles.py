from __future__ import annotations

import numpy as np
import pytest

from bot.loadtest.percentiles import difference, summarise


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_percentiles_are_numpys_and_the_interval_holds_them() -> None:
    values = np.random.default_rng(1).gamma(4, 100, 400).tolist()

    found = summarise([values], rng())

    assert found is not None
    assert found.p95.value == pytest.approx(np.percentile(values, 95))
    assert found.p95.low < found.p95.value < found.p95.high
    assert (found.count, found.largest) == (400, max(values))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(2)
    truth = 100 * np.log(2)  # the median of the distribution drawn from
    covered = 0
    for _ in range(60):
        found = summarise([[value] for value in draw.exponential(100, 80).tolist()], rng())
        assert found is not None
        covered += found.p50.low <= truth <= found.p50.high

    assert covered >= 52  # 95 % of 60 less three deviations


def test_the_same_seed_gives_the_same_interval() -> None:
    values = [1.0, 5.0, 2.0, 8.0, 9.0]

    assert summarise([values], rng()) == summarise([values], rng())


def test_a_resample_has_numpys_percentiles_and_mean_however_uneven_the_calls() -> None:
    calls = [[4.0, 1.0, 9.0], [], [2.5], [7.0, 7.0]]
    for rank in (0, 37, 50, 95, 100):
        same = difference([[5.0]], [[5.0]], rank, rng())
        found = difference(calls, [[5.0]], rank, rng())
        assert same is not None
        assert found is not None
        assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
        assert found.first == pytest.approx(np.percentile([4, 1, 9, 2.5, 7, 7], rank))
        assert -4.0 <= found.low <= found.high <= 4.0
    mean = difference([[3.0, 3.0], [3.0]], [[5.0] * 2000], None, rng())
    assert mean is not None
    assert (mean.value, mean.low, mean.high) == (2.0, 2.0, 2.0)


def test_a_sample_too_large_to_be_drawn_at_once_has_the_interval_of_its_size() -> None:
    found = summarise([[value] for value in np.random.default_rng(4).normal(500, 50, 3000).tolist()], rng())

    assert found is not None
    assert found.p50.high - found.p50.low == pytest.approx(2 * 1.96 * 50 * (np.pi / 2 / 3000) ** 0.5, rel=0.25)


def test_two_runs_of_one_bot_whose_calls_differ_are_seldom_told_apart() -> None:
    draw = np.random.default_rng(6)

    def run() -> list[list[float]]:
        return [draw.normal(draw.normal(500, 60), 60, 20).tolist() for _ in range(8)]

    found = [difference(run(), run(), 50, rng()) for _ in range(40)]

    assert sum(one is not None and one.significant for one in found) <= 6  # 5 % of 40, and three deviations


def test_nothing_has_no_summary() -> None:
    assert summarise([], rng()) is None
    assert difference([[]], [[1.0]], 50, rng()) is None
    assert difference([[1.0]], [], 50, rng()) is None


def test_a_real_change_is_significant_and_chance_is_not() -> None:
    draw = np.random.default_rng(3)
    first = [draw.normal(500, 50, 200).tolist()]

    slower = difference(first, [draw.normal(550, 50, 200).tolist()], 50, rng())
    same = difference(first, [draw.normal(500, 50, 200).tolist()], 50, rng())
    faster = difference(first, [draw.normal(450, 50, 200).tolist()], 50, rng())

    assert slower is not None
    assert slower.significant
    assert slower.value == pytest.approx(50, abs=15)
    assert same is not None
    assert not same.significant
    assert faster is not None
    assert faster.significant
    assert faster.value < 0
