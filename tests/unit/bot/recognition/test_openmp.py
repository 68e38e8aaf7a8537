from __future__ import annotations

import ctypes
from typing import cast

import pytest

from bot.recognition.openmp import one_thread


class _Runtime:
    """A library with OpenMP linked in, as far as it is asked."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def omp_get_max_threads(self) -> int:
        return self.threads

    def omp_set_num_threads(self, threads: int) -> None:
        self.threads = threads


def test_a_thread_has_afterwards_what_it_had_before():
    runtime = _Runtime(4)
    with one_thread(cast("ctypes.CDLL", runtime)):
        assert runtime.threads == 1
    assert runtime.threads == 4
    with pytest.raises(ZeroDivisionError), one_thread(cast("ctypes.CDLL", runtime)):
        _ = 1 / 0
    assert runtime.threads == 4


def test_a_library_without_openmp_is_left_alone():
    entered = False
    with one_thread(cast("ctypes.CDLL", object())):
        entered = True
    assert entered
