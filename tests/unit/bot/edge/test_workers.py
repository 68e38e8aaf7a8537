from __future__ import annotations

from bot.edge.workers import WorkerPool


def pool() -> WorkerPool:
    return WorkerPool(("a", "b"))


def test_no_worker_is_picked_before_one_reports() -> None:
    assert pool().pick() is None


def test_the_worker_with_the_most_free_places_is_picked() -> None:
    p = pool()
    p.report("a", capacity=4, active=3)
    p.report("b", capacity=4, active=1)

    picked = [p.pick() for _ in range(4)]

    assert sorted(map(str, picked)) == ["a", "b", "b", "b"]
    assert picked[:2] == ["b", "b"]
    assert p.pick() is None


def test_a_promise_counts_until_the_next_report() -> None:
    p = pool()
    p.report("a", capacity=1, active=0)
    assert p.pick() == "a"
    assert p.free == 0

    p.report("a", capacity=1, active=0)

    assert p.pick() == "a"


def test_a_lost_worker_gets_no_calls_until_it_answers() -> None:
    p = pool()
    p.report("a", capacity=2, active=0)
    p.lost("a")

    assert (p.pick(), p.serving, p.free) == (None, (), 0)
    p.report("a", capacity=2, active=1)
    assert (p.pick(), p.serving, p.active) == ("a", ("a",), 1)


def test_a_pool_that_drains_gives_no_calls_to_a_worker_that_comes_back_either() -> None:
    p = pool()
    p.drain()
    p.report("a", capacity=2, active=0)

    assert p.pick() is None
