from __future__ import annotations

import numpy as np
import pytest

from bot.loadtest.learning import Answer, choose_sources
from bot.loadtest.sound import RATE_HZ, Samples
from tests.fakes.talking_bot import FRAME, speech

HOURS, ADDRESS = speech(3.0, seed=1), speech(3.0, seed=2)


def stalled(voice: Samples, at_s: float = 1.5) -> Samples:
    at = round(at_s * RATE_HZ)
    return np.concatenate([voice[:at], np.zeros(RATE_HZ // 5, np.int16), voice[at:]])


def without(voice: Samples, *frames: int) -> Samples:
    return np.delete(voice.reshape(-1, FRAME), frames, axis=0).reshape(-1)


@pytest.mark.parametrize("others", [1, 2, 4])
def test_a_first_answer_that_stood_still_is_not_the_source(others: int) -> None:
    (source,) = choose_sources([Answer("a-0", stalled(HOURS)), *([Answer("a-0", HOURS)] * others)])

    assert np.array_equal(source.samples, HOURS)


def test_answers_that_lost_something_are_not_the_source() -> None:
    (source,) = choose_sources(
        [Answer("a-0", without(HOURS, 30)), Answer("a-0", HOURS), Answer("a-0", without(HOURS, 60))]
    )

    assert np.array_equal(source.samples, HOURS)


def test_of_answers_that_agree_the_longest_is_the_source() -> None:
    (source,) = choose_sources([Answer("a-0", HOURS[:RATE_HZ]), Answer("a-0", HOURS)])

    assert np.array_equal(source.samples, HOURS)


def test_one_text_after_several_steps_is_one_source_and_a_steps_second_text_another() -> None:
    sources = choose_sources(
        [
            Answer("a-0", HOURS),
            Answer("a-1", ADDRESS),
            Answer("b-3", HOURS),
            Answer("a-0", ADDRESS),
            Answer("a-0", speech(2.0, seed=3)),
        ]
    )

    assert [source.name for source in sources] == ["a-0", "a-1", "a-0#1"]


def test_more_answers_than_are_compared_change_nothing() -> None:
    assert len(choose_sources([Answer("a-0", HOURS)] * 8)) == 1


def test_there_is_an_end_to_the_texts() -> None:
    assert len(choose_sources([Answer("a-0", np.zeros(10, np.int16))] * 70)) == 64
