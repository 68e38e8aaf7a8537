"""Callers who correct themselves: `on beş, yox, on altı`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from bot.language.inverse.tokens import Token

_WORDS = frozenset({"yox", "xeyr", "xeyir", "pardon", "yanlis", "sehv", "bagislayin", "dogrusu"})
_MOST = 4  # in one turn


def corrections(sequence: Sequence[Token]) -> Iterator[tuple[Sequence[Token], Sequence[Token]]]:
    """Give what was said before and after each word that corrects, the last first, four at most."""
    places = (at for at in range(len(sequence) - 1, -1, -1) if sequence[at].plain in _WORDS)
    for at in islice(places, _MOST):
        yield sequence[:at], sequence[at + 1 :]
