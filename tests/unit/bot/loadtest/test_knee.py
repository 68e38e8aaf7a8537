from __future__ import annotations

import pytest

from bot.loadtest.knee import KneeSearch


def search(truth: int, *, first: int = 1, limit: int = 500) -> tuple[KneeSearch, list[int]]:
    """Run a search over a bot that holds up to `truth` calls."""
    found, tried = KneeSearch(first=first, limit=limit), []
    while (load := found.next_load()) is not None:
        tried.append(load)
        found.record(load, held=load <= truth)
    return found, tried


@pytest.mark.parametrize("truth", [1, 2, 3, 7, 40, 99, 100, 101, 333])
def test_the_knee_is_found_within_its_resolution_and_never_above_the_truth(truth: int) -> None:
    found, tried = search(truth)

    assert found.bounded
    assert truth - max(1, truth * 0.1) <= found.knee <= truth
    assert len(tried) <= 15


def test_it_doubles_then_halves() -> None:
    assert search(21)[1] == [1, 2, 4, 8, 16, 32, 24, 20, 22]


def test_a_bot_that_holds_the_limit_has_no_knee_below_it() -> None:
    found, tried = search(1000, limit=100)

    assert (found.knee, found.bounded, tried[-1]) == (100, False, 100)


def test_no_load_over_the_limit_is_tried_not_even_first() -> None:
    found, tried = search(1000, first=50, limit=10)

    assert (found.knee, tried) == (10, [10])


def test_a_bot_that_fails_at_once_has_none_at_all() -> None:
    found, tried = search(0, first=4)

    assert (found.knee, found.bounded) == (0, True)
    assert tried == [4, 2, 1]


def test_a_load_that_broke_once_is_not_believed_later() -> None:
    found = KneeSearch(first=4, limit=100)
    found.record(4, held=True)
    found.record(8, held=False)
    found.record(12, held=False)

    assert found.next_load() == 6


def test_a_spoiled_load_is_tried_once_more_and_does_not_move_the_search() -> None:
    found = KneeSearch(first=4, limit=100)
    found.record(4, held=True)
    found.spoiled(8)

    assert (found.next_load(), found.knee, found.bounded, found.stopped_at) == (8, 4, False, None)

    found.record(8, held=True)
    found.spoiled(16)  # another load may be spoiled once, too
    assert found.next_load() == 16
    found.record(16, held=False)
    assert found.next_load() == 12


def test_a_load_that_is_spoiled_twice_ends_the_search() -> None:
    found = KneeSearch(first=4, limit=100)
    found.record(4, held=True)
    found.spoiled(8)
    found.spoiled(8)

    assert (found.next_load(), found.knee, found.bounded, found.stopped_at) == (None, 4, False, 8)
