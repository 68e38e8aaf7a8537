"""How near two spellings are."""

from __future__ import annotations


def distance(first: str, second: str, *, limit: int) -> int:
    """Count the edits (Levenshtein), or give `limit + 1` as soon as it is known to be more."""
    if abs(len(first) - len(second)) > limit:
        return limit + 1
    previous = list(range(len(second) + 1))
    for row, letter in enumerate(first, start=1):
        current = [row]
        for column, other in enumerate(second, start=1):
            current.append(min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (letter != other)))
        if min(current) > limit:
            return limit + 1
        previous = current
    return min(previous[-1], limit + 1)


def prefix_distance(prefix: str, word: str, *, limit: int) -> int:
    """Count the fewest edits from `prefix` to any beginning of `word`: what follows costs nothing."""
    previous = list(range(len(word) + 1))
    for row, letter in enumerate(prefix, start=1):
        current = [row]
        for column, other in enumerate(word, start=1):
            current.append(min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (letter != other)))
        if min(current) > limit:
            return limit + 1
        previous = current
    return min(*previous, limit + 1)
