"""`one_thread`: what a library computes by OpenMP is computed by the thread that asks, whichever OpenMP serves it."""

from __future__ import annotations

import ctypes
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def one_thread(library: ctypes.CDLL) -> Generator[None]:
    """Keep `library` from starting or waking helpers, for this thread and for as long as this lasts.

    OMP_NUM_THREADS is read once, when a runtime is loaded, and the runtime that a library brings need not be the one
    that serves it: torch lends its own to every library that is linked after it. So both are told, if they are there.
    Helpers that meet some 200 times a sentence wait each time until the other has a core: with ten other processes on
    two cores a sentence took 4 s, and 40 ms without (docs/recognition.md).
    """
    runtimes = [
        runtime
        for runtime in (library, ctypes.CDLL(None))  # what it brings; what all libraries see
        if hasattr(runtime, "omp_set_num_threads")
    ]
    before = [runtime.omp_get_max_threads() for runtime in runtimes]
    for runtime in runtimes:
        runtime.omp_set_num_threads(1)
    try:
        yield
    finally:
        for runtime, threads in zip(runtimes, before, strict=True):
            runtime.omp_set_num_threads(threads)
