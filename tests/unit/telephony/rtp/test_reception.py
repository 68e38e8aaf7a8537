from __future__ import annotations

import pytest

from telephony.rtp.reception import Reception


def receive(numbers: list[int], *, start: int = 0, delay_s: float = 0.0) -> Reception:
    reception = Reception(1, 8_000)
    for number in numbers:
        reception.update((start + number) & 0xFFFF, timestamp=number * 160, now=number * 0.02 + delay_s)
    return reception


def test_nothing_received_is_nothing_lost() -> None:
    reception = Reception(1, 8_000)

    assert (reception.expected, reception.lost) == (0, 0)
    assert reception.block(last_sender_report=0, delay_since_last=0).fraction_lost == 0


def test_gaps_are_lost_also_where_the_numbers_wrap() -> None:
    reception = receive([n for n in range(100) if n not in {20, 50, 51}], start=65_500)

    assert reception.lost == 3
    assert reception.expected == 100


def test_reordered_packets_are_not_lost_and_duplicates_count_against_the_loss() -> None:
    reception = receive([0, 2, 1, 3, 3])

    assert reception.lost == -1


def test_numbers_that_begin_again_keep_the_loss_so_far() -> None:
    reception = receive([0, 1, 3])
    for number in range(30_000, 30_010):
        reception.update(number, timestamp=None, now=1.0)

    assert reception.lost == 1


def test_fraction_is_of_the_interval_since_the_last_report() -> None:
    reception = receive([n for n in range(40) if n % 4])
    first = reception.block(last_sender_report=5, delay_since_last=6)
    for number in range(40, 50):
        reception.update(number, timestamp=number * 160, now=number * 0.02)
    second = reception.block(last_sender_report=5, delay_since_last=6)

    assert (first.fraction_lost, first.lost) == (9 * 256 // 39, 9)
    assert (second.fraction_lost, second.lost) == (0, 9)
    assert (first.last_sender_report, first.delay_since_last) == (5, 6)


def test_highest_number_carries_its_cycles() -> None:
    reception = receive(list(range(100)), start=65_500)

    assert reception.block(last_sender_report=0, delay_since_last=0).highest_sequence == 65_500 + 99


def test_steady_packets_have_no_jitter() -> None:
    assert receive(list(range(100)), delay_s=0.5).jitter == pytest.approx(0, abs=1e-3)


def test_a_packet_that_is_late_once_counts_for_a_sixteenth() -> None:
    reception = receive(list(range(10)))
    reception.update(10, timestamp=1600, now=0.2 + 0.016)  # 128 units (RFC 3550 section 6.4.1)

    assert reception.jitter == pytest.approx(128 / 16, rel=1e-6)


def test_jitter_approaches_the_mean_difference_of_transit() -> None:
    reception = Reception(1, 8_000)
    for number in range(400):
        late_s = 0.010 if number % 2 else 0.0
        reception.update(number, timestamp=number * 160, now=number * 0.02 + late_s)

    assert reception.jitter == pytest.approx(80, rel=0.01)


def test_timestamps_may_wrap_and_jump_without_jitter() -> None:
    reception = Reception(1, 8_000)
    for number in range(100):
        timestamp = (2**32 - 800 + number * 160 + (100_000 if number > 50 else 0)) & 0xFFFFFFFF
        reception.update(number, timestamp=timestamp, now=number * 0.02)

    assert reception.jitter == pytest.approx(0, abs=1e-3)


def test_events_count_but_have_no_say_in_jitter() -> None:
    reception = receive(list(range(10)))
    for number in range(10, 20):
        reception.update(number, timestamp=None, now=number * 0.05)

    assert reception.received == 20
    assert reception.jitter == pytest.approx(0, abs=1e-3)
