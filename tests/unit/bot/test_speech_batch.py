from __future__ import annotations

import asyncio

import numpy as np
import pytest

from bot.speech_batch import SpeechBatch


class Doubling:
    """Scores a window by its first sample; adds it to the state."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.broken = False

    def score(self, windows: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.broken:
            raise RuntimeError("no model")
        self.sizes.append(len(windows))
        return windows[:, 0], states + windows[:, 0][None, :, None]


def window(value: float) -> np.ndarray:
    return np.full((1, 576), value, np.float32)


STATE = np.zeros((2, 1, 128), np.float32)


async def test_what_calls_ask_in_one_round_is_scored_at_once_and_each_gets_its_own() -> None:
    model = Doubling()
    batch = SpeechBatch(model)

    answers = await asyncio.gather(*(batch.score(window(n / 10), STATE) for n in range(5)))

    assert model.sizes == [5]
    assert [probability for probability, _ in answers] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert [state.shape for _, state in answers] == [(2, 1, 128)] * 5
    assert [float(state[1, 0, 7]) for _, state in answers] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


async def test_a_lone_window_does_not_wait_for_others() -> None:
    model = Doubling()
    batch = SpeechBatch(model)

    await batch.score(window(0.5), STATE)
    await batch.score(window(0.5), STATE)

    assert model.sizes == [1, 1]


async def test_no_run_is_so_large_that_it_holds_the_loop() -> None:
    model = Doubling()
    batch = SpeechBatch(model)

    await asyncio.gather(*(batch.score(window(0.1), STATE) for _ in range(150)))

    assert model.sizes == [64, 64, 22]


async def test_a_call_that_ends_while_it_waits_leaves_the_others_alone() -> None:
    model = Doubling()
    batch = SpeechBatch(model)
    first, second = (asyncio.ensure_future(batch.score(window(n), STATE)) for n in (0.1, 0.2))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second)[0] == pytest.approx(0.2)
    assert model.sizes == [1]
    assert first.cancelled()


async def test_nobody_waits_and_nothing_is_run() -> None:
    model = Doubling()
    batch = SpeechBatch(model)
    only = asyncio.ensure_future(batch.score(window(0.1), STATE))
    await asyncio.sleep(0)
    only.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert model.sizes == []


async def test_a_fault_of_the_model_reaches_every_call_and_the_next_round_works() -> None:
    model = Doubling()
    batch = SpeechBatch(model)
    model.broken = True

    answers = await asyncio.gather(*(batch.score(window(0.1), STATE) for _ in range(2)), return_exceptions=True)
    model.broken = False

    assert [type(answer) for answer in answers] == [RuntimeError, RuntimeError]
    assert (await batch.score(window(0.3), STATE))[0] == pytest.approx(0.3)
