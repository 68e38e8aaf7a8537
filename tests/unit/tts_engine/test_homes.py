"""Which of several speech servers a conversation speaks through."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tts_engine.homes import Homes


def test_a_conversation_keeps_to_the_server_that_it_spoke_through() -> None:
    homes = Homes(3)

    homes.asked("a", 2)

    assert homes.order("a") == [2, 0, 1]


def test_a_new_conversation_goes_where_the_fewest_are() -> None:
    homes = Homes(3)

    for name, server in (("a", 0), ("b", 0), ("c", 2)):
        homes.asked(name, server)

    assert homes.order("new") == [1, 2, 0]
    assert homes.order(None) == [1, 2, 0]


def test_clients_do_not_all_begin_with_the_same_server() -> None:
    assert [Homes(3, first=first).order(None)[0] for first in range(4)] == [0, 1, 2, 0]


def test_a_server_that_is_away_is_asked_last_by_those_who_live_there_too() -> None:
    homes = Homes(2)
    homes.asked("a", 0)

    homes.left(0)

    assert homes.order("a") == [1, 0]
    assert homes.order(None) == [1, 0]
    homes.came_back(0)
    assert homes.order("a") == [0, 1]


def test_who_moved_stays_where_he_has_moved_to() -> None:
    homes = Homes(2)
    homes.asked("a", 0)
    homes.left(0)
    homes.asked("a", 1)

    homes.came_back(0)

    assert homes.order("a") == [1, 0]


def test_all_servers_that_know_of_a_conversation_are_told_of_its_end() -> None:
    homes = Homes(3)
    for server in (0, 2, 0):
        homes.asked("a", server)

    assert homes.forget("a") == (2, 0)
    assert homes.forget("a") == ()
    assert homes.order("a")[0] == 0


def test_no_more_conversations_are_remembered_than_may_be() -> None:
    homes = Homes(2, most=2)
    homes.asked("a", 1)
    homes.asked("b", 0)

    homes.asked("c", 0)

    assert homes.forget("a") == ()
    assert homes.order(None) == [1, 0]  # what is forgotten lives nowhere


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.booleans()), max_size=40))
def test_the_first_asked_of_the_equal_is_one_with_the_fewest(steps: list[tuple[str, int, bool]]) -> None:
    homes, living = Homes(3), dict[str, int]()

    for name, server, stays in steps:
        if stays:
            homes.asked(name, server)
            living[name] = server
        else:
            homes.forget(name)
            living.pop(name, None)

    counts = [list(living.values()).count(server) for server in range(3)]
    assert counts[homes.order(None)[0]] == min(counts)
