from __future__ import annotations

import random

import pytest

from telephony.audio.arrival import ArrivalDelay


def feed(arrivals: ArrivalDelay, delays_s: list[float], *, start: int = 0) -> None:
    for number, delay_s in enumerate(delays_s, start):
        arrivals.add(media_s=number * 0.02, now=number * 0.02 + delay_s, in_order=True)


def test_calm_line_needs_the_smallest_delay() -> None:
    arrivals = ArrivalDelay(limit_ms=200)

    feed(arrivals, [0.1] * 100)

    assert arrivals.quantile_ms == 5
    assert arrivals.fastest == pytest.approx(-0.1)


def test_quantile_covers_97_percent_of_the_delays() -> None:
    dice = random.Random(5)
    arrivals = ArrivalDelay(limit_ms=200)

    feed(arrivals, [dice.uniform(0, 0.05) for _ in range(3_000)])

    assert 45 <= arrivals.quantile_ms <= 55


def test_one_spike_does_not_move_the_quantile_but_several_do() -> None:
    arrivals = ArrivalDelay(limit_ms=200)
    spike = [0.0] * 40 + [0.103 - 0.02 * n for n in range(5)]

    feed(arrivals, spike)
    assert arrivals.quantile_ms == 5
    feed(arrivals, spike * 9, start=len(spike))
    assert arrivals.quantile_ms == 105


def test_sender_that_stopped_its_clock_is_measured_anew() -> None:
    arrivals = ArrivalDelay(limit_ms=200)
    feed(arrivals, [0.0] * 50)

    feed(arrivals, [0.15] * 200, start=50)

    assert arrivals.quantile_ms == 5
    assert arrivals.fastest == pytest.approx(-0.15)


def test_outage_beyond_the_limit_teaches_nothing() -> None:
    arrivals = ArrivalDelay(limit_ms=200)
    for number in range(60):
        feed(arrivals, [5.0 * number] * 2, start=2 * number)

    assert arrivals.quantile_ms == 5


def test_packet_out_of_order_is_counted_but_does_not_become_the_measure() -> None:
    arrivals = ArrivalDelay(limit_ms=200)
    feed(arrivals, [0.0] * 10)

    arrivals.add(media_s=0.0, now=0.2, in_order=False)

    assert arrivals.fastest == pytest.approx(0.0)


def test_delays_beyond_the_limit_count_as_the_limit() -> None:
    arrivals = ArrivalDelay(limit_ms=100)
    for number in range(500):
        arrivals.add(
            media_s=number * 0.02, now=number * 0.02 + (0.9 if number % 5 == 0 else 0.0), in_order=number % 5 != 0
        )

    assert arrivals.quantile_ms == 105


def test_measure_follows_the_window_of_two_seconds() -> None:
    arrivals = ArrivalDelay(limit_ms=200)
    feed(arrivals, [0.0])

    feed(arrivals, [0.03] * 101, start=1)

    assert arrivals.fastest == pytest.approx(-0.03)


def test_figures_stay_right_over_hours() -> None:
    arrivals = ArrivalDelay(limit_ms=200)

    feed(arrivals, [0.0] * 40_000)
    feed(arrivals, [0.0, 0.042] * 2_000, start=40_000)

    assert arrivals.quantile_ms == 45


def test_forgetting_begins_a_new_comparison() -> None:
    arrivals = ArrivalDelay(limit_ms=200)
    feed(arrivals, [0.0] * 10)

    arrivals.forget_fastest()
    feed(arrivals, [7.0], start=10)

    assert arrivals.fastest == pytest.approx(-7.0)
