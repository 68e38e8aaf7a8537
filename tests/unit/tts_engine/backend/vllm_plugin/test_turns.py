"""Who a step is for, where many speak and some begin."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.vllm_plugin.turns import For, Turns


def test_beside_a_few_who_speak_beginnings_have_no_step_of_their_own() -> None:
    turns = Turns(few=100)

    assert {turns.next(waiting=5, speaking=100) for _ in range(3)} == {For.ALL}


def test_beside_many_who_speak_beginnings_have_every_other_step_while_any_wait() -> None:
    turns = Turns(few=100)

    had = [turns.next(waiting=waiting, speaking=101) for waiting in (3, 2, 1, 0, 0, 1)]

    assert had == [For.BEGINNINGS, For.SPEECH, For.BEGINNINGS, For.SPEECH, For.SPEECH, For.BEGINNINGS]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200)), max_size=60))
def test_nobody_who_speaks_waits_for_two_steps_of_beginnings(steps: list[tuple[int, int]]) -> None:
    turns = Turns(few=100)

    had = [turns.next(waiting=waiting, speaking=speaking) for waiting, speaking in steps]

    assert (For.BEGINNINGS, For.BEGINNINGS) not in set(pairwise(had))


def test_many_more_who_speak_have_two_steps_in_a_row_while_any_wait() -> None:
    turns = Turns(few=100, many=200)

    had = [turns.next(waiting=waiting, speaking=201) for waiting in (3, 2, 2, 1, 0, 0, 1)]

    two = [For.SPEECH, For.SPEECH]
    assert had == [For.BEGINNINGS, *two, For.BEGINNINGS, *two, For.BEGINNINGS]


def test_who_waited_while_a_few_spoke_has_the_first_step_when_they_are_many() -> None:
    turns = Turns(few=100, many=200)

    had = [turns.next(waiting=waiting, speaking=speaking) for waiting, speaking in ((1, 201), (0, 9), (0, 9), (1, 201))]

    assert had == [For.BEGINNINGS, For.ALL, For.ALL, For.BEGINNINGS]


@given(st.lists(st.integers(0, 300), min_size=3, max_size=60))
def test_who_waits_to_begin_has_one_of_any_three_steps(speaking: list[int]) -> None:
    turns = Turns(few=100, many=200)

    had = [turns.next(waiting=1, speaking=count) for count in speaking]

    assert all(set(three) != {For.SPEECH} for three in zip(had, had[1:], had[2:], strict=False))


@given(st.lists(st.integers(0, 200), min_size=2, max_size=60))
def test_beside_no_more_than_many_it_has_one_of_any_two(speaking: list[int]) -> None:
    turns = Turns(few=100, many=200)

    had = [turns.next(waiting=1, speaking=count) for count in speaking]

    assert (For.SPEECH, For.SPEECH) not in set(pairwise(had))
