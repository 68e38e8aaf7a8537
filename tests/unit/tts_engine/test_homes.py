"""Which of several speech servers a conversation speaks through."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tts_engine.homes import STEADY_S, Homes


def speaks(homes: Homes, conversation: str, server: int) -> None:
    homes.asked(conversation, server)
    homes.spoke(conversation, server)


def test_a_conversation_keeps_to_the_server_that_it_spoke_through() -> None:
    homes = Homes(3)

    speaks(homes, "a", 2)

    assert homes.order("a") == [2, 0, 1]


def test_a_new_conversation_goes_where_the_fewest_are() -> None:
    homes = Homes(3)

    for name, server in (("a", 0), ("b", 0), ("c", 2)):
        speaks(homes, name, server)

    assert homes.order("new") == [1, 2, 0]
    assert homes.order(None) == [1, 2, 0]


def test_conversations_that_begin_at_once_are_shared_out_before_any_has_spoken() -> None:
    homes = Homes(2)
    homes.asked("a", 0)

    assert homes.order("b") == [1, 0]


def test_a_new_conversation_that_was_refused_lives_where_it_was_asked_last() -> None:
    homes = Homes(2)
    homes.asked("a", 0)

    homes.asked("a", 1)

    assert homes.order("a") == [1, 0]
    assert homes.order("b") == [0, 1]


def test_a_conversation_that_another_server_refused_too_stays_where_it_spoke() -> None:
    homes = Homes(2)
    speaks(homes, "a", 0)

    homes.asked("a", 0)
    homes.asked("a", 1)

    assert homes.order("a") == [0, 1]


def test_clients_do_not_all_begin_with_the_same_server() -> None:
    assert [Homes(3, first=first).order(None)[0] for first in range(4)] == [0, 1, 2, 0]


def test_a_server_that_is_away_is_asked_last_by_those_who_live_there_too() -> None:
    homes = Homes(2)
    speaks(homes, "a", 0)

    homes.left(0, rest_s=1, now=0)

    assert homes.away == {0}
    assert homes.order("a") == [1, 0]
    assert homes.order(None) == [1, 0]
    assert homes.came_back(0, now=1)
    assert homes.order("a") == [0, 1]


def test_who_moved_stays_where_he_has_moved_to() -> None:
    homes = Homes(2)
    speaks(homes, "a", 0)
    homes.left(0, rest_s=1, now=0)
    speaks(homes, "a", 1)

    homes.came_back(0, now=1)

    assert homes.order("a") == [1, 0]


def test_what_is_known_already_is_no_news() -> None:
    homes = Homes(2)

    assert homes.left(0, rest_s=1, now=0) == 1
    assert homes.left(0, rest_s=10, now=0) is None
    assert homes.came_back(0, now=2)
    assert not homes.came_back(0, now=2)


def test_a_server_that_comes_and_goes_is_let_alone_for_longer_each_time_until_it_has_stayed() -> None:
    homes, now, rests = Homes(2), 0.0, list[float | None]()

    for stays_s in (5, 5, 5, 5, 5, 5, STEADY_S, 5):
        rests.append(homes.left(0, rest_s=1, now=now))
        homes.came_back(0, now=now)
        now += stays_s

    assert rests == [1, 2, 4, 8, 16, 30, 30, 1]
    assert homes.left(0, rest_s=10, now=now) == 10


def test_a_server_is_taken_for_gone_by_two_failures_with_nothing_said_to_its_end_between_them() -> None:
    homes = Homes(2)

    assert not homes.failed(0)
    homes.finished(0)
    assert not homes.failed(0)
    assert not homes.failed(1)
    homes.spoke(None, 0)
    assert homes.failed(0)


def test_all_servers_that_may_know_of_a_conversation_are_told_of_its_end() -> None:
    homes = Homes(3)
    for server in (0, 2, 0):
        speaks(homes, "a", server)
    homes.asked("a", 1)

    assert homes.knowing("a") == (2, 0, 1)
    assert homes.forget("a") == (2, 0, 1)
    assert homes.forget("a") == homes.knowing("a") == ()
    assert homes.order("a")[0] == 0


def test_no_more_conversations_are_remembered_than_may_be() -> None:
    homes = Homes(2, most=2)
    speaks(homes, "a", 1)
    speaks(homes, "b", 0)
    homes.asked("a", 1)

    speaks(homes, "c", 0)

    assert homes.forget("b") == ()  # that it was asked for is longest ago
    assert homes.order(None) == [0, 1]  # what is forgotten lives nowhere: one each
    homes.spoke("b", 1)
    assert homes.forget("b") == ()


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.sampled_from(["asked", "spoke", "forget"])),
        max_size=40,
    )
)
def test_the_first_asked_of_the_equal_is_one_with_the_fewest(steps: list[tuple[str, int, str]]) -> None:
    homes, living, settled = Homes(3), dict[str, int](), set[str]()

    for name, server, step in steps:
        if step == "forget":
            homes.forget(name)
            living.pop(name, None)
            settled.discard(name)
        else:
            homes.asked(name, server)
            if step == "spoke":
                homes.spoke(name, server)
                settled.add(name)
            if step == "spoke" or name not in settled:
                living[name] = server

    counts = [list(living.values()).count(server) for server in range(3)]
    assert counts[homes.order(None)[0]] == min(counts)
    assert all(homes.order(name)[0] == server for name, server in living.items())
