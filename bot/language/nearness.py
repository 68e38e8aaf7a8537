"""How near the beginning of a word is to a spelling."""

from __future__ import annotations


def prefix_distance(prefix: str, word: str, *, limit: int) -> int:
    """Count the fewest edits from `prefix` to any beginning of `word`: what follows costs nothing."""
    previous = list(range(len(word) + 1))
    for row, letter in enumerate(prefix, start=1):
        current = [row]
        for column, other in enumerate(word, start=1):
            current.append(
                min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (letter != other))
            )
        if min(current) > limit:
            return limit + 1
        previous = current
    return min(*previous, limit + 1)
