"""How much Python's collector may walk at a time in a worker, whose loop and media threads stand still meanwhile."""

from __future__ import annotations

import gc

# Measured at 400 calls a second (docs/media.md): a walk of the young takes 3 to 10 ms, of the middle 18 to 54. With
# twice as many young and the usual 10 of them in the middle that was 200; with the usual 10 of the middle in the old,
# all calls there are would be walked ten times as often, for 650 ms.
_YOUNG = 10_000  # objects; most of what a frame makes is gone by then, and need not be walked at all
_MIDDLE, _OLD = 3, 60  # walks of the generation before


def hold_back() -> None:
    """Leave what stands now out of all walks: it stays. Call it once all is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
