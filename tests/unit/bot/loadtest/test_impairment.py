from __future__ import annotations

import itertools
import random

import pytest

from bot.loadtest.impairment import GilbertElliott, Impairment, NetworkModel


def fates(model: NetworkModel, count: int = 20_000, seed: int = 1) -> list[float | None]:
    way = Impairment(model, dice=random.Random(seed).random)
    return [way.take(now=0.02 * index) for index in range(count)]


def bursts(found: list[float | None]) -> list[int]:
    lengths, run = [], 0
    for fate in found:
        if fate is None:
            run += 1
        elif run:
            lengths.append(run)
            run = 0
    return lengths


@pytest.mark.parametrize("burst", [1.0, 4.0])
def test_so_many_are_lost_in_bursts_of_so_many(burst: float) -> None:
    found = fates(NetworkModel(GilbertElliott.of(0.05, burst)))

    lengths = bursts(found)
    assert found.count(None) / len(found) == pytest.approx(0.05, rel=0.15)
    assert sum(lengths) / len(lengths) == pytest.approx(max(burst, 1 / 0.95), rel=0.15)


def test_a_clear_line_passes_all_at_once() -> None:
    assert fates(NetworkModel(), 100) == [0.02 * index for index in range(100)]
    assert GilbertElliott.of(0.0, 3) == GilbertElliott()


def test_delay_and_jitter_lie_between_their_bounds_and_keep_the_order() -> None:
    found = [fate for fate in fates(NetworkModel(delay_s=0.1, jitter_s=0.05)) if fate is not None]

    late = [fate - 0.02 * index for index, fate in enumerate(found)]
    assert 0.1 <= min(late) < 0.105
    assert 0.145 < max(late) <= 0.15 + 1e-9
    assert found == sorted(found)


def test_reordering_lets_later_packets_overtake() -> None:
    way = Impairment(NetworkModel(reorder=0.1), dice=random.Random(3).random)
    found = [way.take(now=0.02 * index) for index in range(2000)]

    overtakes = sum(b < a for a, b in itertools.pairwise(found) if a is not None and b is not None)
    assert 0.9 * way.reordered < overtakes <= way.reordered  # of two that are held back neither overtakes the other
    assert way.reordered / way.passed == pytest.approx(0.1, rel=0.2)


def test_the_same_seed_gives_the_same_network() -> None:
    model = NetworkModel(GilbertElliott.of(0.1, 3), 0.05, 0.02, 0.05)

    assert fates(model, 500, seed=9) == fates(model, 500, seed=9)
    assert fates(model, 500, seed=9) != fates(model, 500, seed=10)
