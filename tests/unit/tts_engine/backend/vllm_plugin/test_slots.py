from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.vllm_plugin.slots import Place, Slots


def test_the_slot_that_is_free_for_the_longest_is_given():
    slots = Slots(3, kept_s=5)
    assert [slots.add(key, now=0).slot for key in (7, 8)] == [0, 1]
    slots.ended(7)
    slots.remove(7, now=1)
    assert slots.add(9, now=1) == Place(2, fresh=True)
    assert slots.add(10, now=1) == Place(0, fresh=True)
    assert (slots[8], slots[9], slots[10]) == (1, 2, 0)


def test_a_preempted_request_comes_back_to_its_slot():
    slots = Slots(3, kept_s=5)
    slots.add(7, now=0)
    slots.remove(7, now=1)
    assert slots.add(8, now=1).slot == 1
    assert slots.add(7, now=2) == Place(0, fresh=False)


def test_a_removed_request_keeps_its_slot_for_a_while_only():
    slots = Slots(3, kept_s=5)
    slots.add(7, now=0)
    slots.remove(7, now=1)
    assert slots.add(8, now=5.9).slot == 1
    assert slots.add(9, now=6).slot == 2
    assert slots.add(7, now=6) == Place(0, fresh=True)


def test_an_end_seen_after_the_removal_frees_the_slot_at_once():
    slots = Slots(2, kept_s=5)
    slots.add(7, now=0)
    slots.remove(7, now=1)
    slots.ended(7)
    assert [slots.add(key, now=1) for key in (8, 9)] == [Place(1, fresh=True), Place(0, fresh=True)]


def test_without_a_free_slot_the_one_removed_longest_ago_loses_its_own():
    slots = Slots(2, kept_s=5)
    for key in (1, 2):
        slots.add(key, now=0)
        slots.remove(key, now=key)
    assert slots.add(3, now=3) == Place(0, fresh=True, evicted=1)
    assert slots.add(2, now=3) == Place(1, fresh=False)


def test_removing_or_ending_what_is_not_there_is_nothing():
    slots = Slots(1, kept_s=5)
    slots.remove(3, now=0)
    slots.ended(3)
    assert slots.add(3, now=0) == Place(0, fresh=True)


@given(
    moves=st.lists(
        st.tuples(st.sampled_from(["add", "remove", "end"]), st.integers(0, 9), st.floats(0, 3)), max_size=60
    )
)
def test_no_two_live_requests_ever_share_a_slot(moves: list[tuple[str, int, float]]):
    slots, live, now = Slots(8, kept_s=2), dict[int, int](), 0.0
    for move, key, later in moves:
        now += later
        if move == "add" and key not in live and len(live) < 6:
            live[key] = slots.add(key, now=now).slot
        elif move == "remove" and key in live:
            slots.remove(key, now=now)
            del live[key]
        elif move == "end":
            slots.ended(key)
        assert len(set(live.values())) == len(live)
        assert all(slots[key] == slot for key, slot in live.items())
