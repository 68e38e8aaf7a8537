"""What a worker lets Python's collector walk."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from bot.collector import hold_back


@pytest.fixture(autouse=True)
def collector_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_calls_that_come_fast_are_walked_in_small_parts() -> None:
    walked: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            walked.append(sum(len(gc.get_objects(generation=each)) for each in range(info["generation"] + 1)))

    hold_back()
    gc.callbacks.append(note)
    try:
        kept = [[] for _ in range(300_000)]
    finally:
        gc.callbacks.remove(note)

    assert len(kept) == 300_000
    assert len(walked) > 20
    assert max(walked) < 60_000  # of a worker's objects 50 ms


def test_what_was_loaded_is_walked_no_more() -> None:
    loaded = [[] for _ in range(1000)]

    hold_back()

    assert gc.get_freeze_count() > len(loaded)
