"""`SpeechBatch`: voice detection for all calls of a loop at once.

What the calls of one round of the loop ask is scored in one run of the model. A lone window waits for one round and
costs as much as before; the busier the loop, the more come together and the less each costs (130 us alone, 64 of 16).
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float32]
_MOST = 64  # in one run, so that the loop is not held for longer than 5 ms


class BatchModel(Protocol):
    """What is run; see `bot.speech_detector.SileroSession`."""

    def score(self, windows: _Array, states: _Array) -> tuple[_Array, _Array]:
        """`windows` is [n, 576], `states` [2, n, 128]; returns [n] probabilities and new states."""
        ...


class SpeechBatch:
    """Implements `bot.speech_detector.SpeechModel`; one a loop."""

    def __init__(self, model: BatchModel) -> None:
        self._model = model
        self._asked: list[tuple[_Array, _Array, asyncio.Future[tuple[float, _Array]]]] = []

    async def score(self, window: _Array, state: _Array) -> tuple[float, _Array]:
        """See `SpeechModel.score`; the caller changes neither array until it has the answer."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[float, _Array]] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._run)
        self._asked.append((window, state, answer))
        return await answer

    def _run(self) -> None:
        asked, self._asked = self._asked[:_MOST], self._asked[_MOST:]
        if self._asked:
            asyncio.get_running_loop().call_soon(self._run)
        waiting = [one for one in asked if not one[2].done()]  # a call that ended meanwhile asks no more
        if not waiting:
            return
        try:
            windows = np.concatenate([window for window, _, _ in waiting])
            states = np.concatenate([state for _, state, _ in waiting], axis=1)
            probabilities, new_states = self._model.score(windows, states)
        except Exception as error:  # noqa: BLE001  # whatever the model says, each call hears it
            for _, _, answer in waiting:
                answer.set_exception(error)
            return
        for place, (_, _, answer) in enumerate(waiting):
            answer.set_result((float(probabilities[place]), new_states[:, place : place + 1]))
