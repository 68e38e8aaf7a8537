"""Azerbaijani text by sound: letters that a recogniser confuses become one, and letter n-grams compare what is left.

Whisper base writes `Gabulaya yazulmah isteyram` for `Qəbula yazılmaq istəyirəm`; by sound the two share most n-grams.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_NOT_WORD = re.compile(r"[^\w\s]|_")
# What Whisper base confuses over a telephone channel: ə/e/a, ı/i/y, o/ö, u/ü, q/k/g/ğ, x/h, s/ş/z, ç/c/j, d/t, b/p/v.
_SOUNDS = str.maketrans("əeâıyîöüğqkxşzçjtpvw", "aaaiiiouggghssccdbbb")
_LENGTHS = (2, 3)


def plain(text: str) -> str:
    """Lower case by Azerbaijani rules (İ→i, I→ı), words only, single spaces."""
    lower = text.replace("İ", "i").replace("I", "ı").lower()
    return " ".join(_NOT_WORD.sub(" ", lower).split())


def sound(text: str) -> str:
    """Plain text with letters that sound alike made one."""
    return plain(text).translate(_SOUNDS)


class NgramIndex:
    """Cosine likeness of a text to each of a few phrases, by TF-IDF over the n-grams of their sounds."""

    def __init__(self, phrases: Sequence[str]) -> None:
        counts = [_ngrams(phrase) for phrase in phrases]
        frequency = Counter(gram for count in counts for gram in count)
        self._column = {gram: place for place, gram in enumerate(frequency)}
        smoothed = [math.log((1 + len(phrases)) / (1 + frequency[gram])) + 1 for gram in self._column]
        self._weight = np.array(smoothed, dtype=np.float32)
        rows = [self._vector(count) for count in counts]
        self._rows = np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def likeness(self, text: str) -> NDArray[np.float32]:
        """One value from 0 to 1 for each phrase, in their order."""
        return self._rows @ self._vector(_ngrams(text))

    def _vector(self, count: Counter[str]) -> NDArray[np.float32]:
        vector = np.zeros(len(self._weight), np.float32)
        for gram, times in count.items():
            if gram in self._column:
                vector[self._column[gram]] = 1 + math.log(times)
        vector *= self._weight
        length = float(np.linalg.norm(vector))
        return vector / length if length else vector


def _ngrams(text: str) -> Counter[str]:
    words = [f" {word} " for word in sound(text).split()]
    return Counter(
        word[start : start + length] for word in words for length in _LENGTHS for start in range(len(word) - length + 1)
    )
