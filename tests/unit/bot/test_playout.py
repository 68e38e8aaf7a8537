from __future__ import annotations

from bot.playout import Heard, PlayoutLedger


def test_a_turn_cut_short_was_heard_up_to_the_leg_count() -> None:
    ledger = PlayoutLedger()
    ledger.produced("a", 1000)
    ledger.produced("a", 500)

    assert ledger.settle(played_ms=700) == (Heard("a", 1500, 700),)


def test_turns_lie_one_after_the_other() -> None:
    ledger = PlayoutLedger()
    ledger.produced("a", 1000)
    ledger.produced("b", 1000)

    assert ledger.settle(played_ms=1200) == (Heard("a", 1000, 1000), Heard("b", 1000, 200))


def test_what_was_never_played_was_not_heard() -> None:
    ledger = PlayoutLedger()
    ledger.produced("a", 1000)
    ledger.produced("b", 1000)

    assert ledger.settle(played_ms=400)[1] == Heard("b", 1000, 0)


def test_after_settling_the_next_turn_starts_where_the_leg_stands() -> None:
    ledger = PlayoutLedger()
    ledger.produced("a", 1000)
    ledger.settle(played_ms=400)
    ledger.produced("b", 100)

    assert ledger.settle(played_ms=450) == (Heard("b", 100, 50),)
    assert ledger.settle(played_ms=450) == ()


def test_what_still_comes_of_a_turn_that_was_settled_is_dropped() -> None:
    ledger = PlayoutLedger()
    ledger.produced("a", 1000)
    assert ledger.settle(played_ms=300, turns=("a", "b")) == (Heard("a", 1000, 300),)
    ledger.produced("a", 500)
    ledger.produced("b", 500)
    ledger.produced("c", 400)

    assert ledger.settle(played_ms=700) == (Heard("c", 400, 400),)
    ledger.produced("b", 500)
    assert ledger.settle(played_ms=700) == ()
