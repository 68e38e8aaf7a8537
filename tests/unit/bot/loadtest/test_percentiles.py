from __future__ import annotations

import numpy as np
import pytest

from bot.loadtest.percentiles import difference, summarise


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_percentiles_are_numpys_and_the_interval_holds_them() -> None:
    values = np.random.default_rng(1).gamma(4, 100, 400).tolist()

    found = summarise(values, rng())

    assert found is not None
    assert found.p95.value == pytest.approx(np.percentile(values, 95))
    assert found.p95.low < found.p95.value < found.p95.high
    assert (found.count, found.largest) == (400, max(values))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(2)
    truth = 100 * np.log(2)  # the median of the distribution drawn from
    covered = 0
    for _ in range(60):
        found = summarise(draw.exponential(100, 80).tolist(), rng())
        assert found is not None
        covered += found.p50.low <= truth <= found.p50.high

    assert covered >= 52  # 95 % of 60 less three deviations


def test_the_same_seed_gives_the_same_interval() -> None:
    values = [1.0, 5.0, 2.0, 8.0, 9.0]

    assert summarise(values, rng()) == summarise(values, rng())


def test_nothing_has_no_summary() -> None:
    assert summarise([], rng()) is None
    assert difference([], [1.0], 50, rng()) is None
    assert difference([1.0], [], 50, rng()) is None


def test_a_real_change_is_significant_and_chance_is_not() -> None:
    draw = np.random.default_rng(3)
    first = draw.normal(500, 50, 200).tolist()

    slower = difference(first, draw.normal(550, 50, 200).tolist(), 50, rng())
    same = difference(first, draw.normal(500, 50, 200).tolist(), 50, rng())
    faster = difference(first, draw.normal(450, 50, 200).tolist(), 50, rng())

    assert slower is not None
    assert slower.significant
    assert slower.value == pytest.approx(50, abs=15)
    assert same is not None
    assert not same.significant
    assert faster is not None
    assert faster.significant
    assert faster.value < 0
