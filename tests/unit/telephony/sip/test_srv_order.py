"""SRV records in the order of RFC 2782."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.sip.srv_order import SrvRecord, in_order


def draws(*numbers: float) -> Callable[[], float]:
    left = iter(numbers)
    return lambda: next(left)


def test_the_least_priority_comes_first_whatever_the_weights() -> None:
    backup, main = SrvRecord(20, 60_000, 5060, "b.example"), SrvRecord(10, 1, 5060, "a.example")

    assert in_order([backup, main], fraction=draws(0.5, 0.5)) == [main, backup]


@pytest.mark.parametrize(("drawn", "first"), [(0.0, "none"), (0.2, "few"), (0.4, "many"), (1.0, "many")])
def test_weights_are_shares_and_even_none_has_a_chance(drawn: float, first: str) -> None:
    records = [SrvRecord(1, weight, 5060, name) for weight, name in ((0, "none"), (1, "few"), (3, "many"))]

    assert in_order(records, fraction=draws(drawn, 0.0, 0.0))[0].target == first


def test_over_many_calls_the_shares_are_those_of_the_weights() -> None:
    records = [SrvRecord(1, 25, 5060, "quarter"), SrvRecord(1, 75, 5060, "rest")]
    firsts = Counter(in_order(records, fraction=draws(n / 999, 0.0))[0].target for n in range(1_000))

    assert 250 <= firsts["quarter"] <= 262  # 26 of the 101 numbers from 0 to 100


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 65_535)), max_size=8), st.randoms(use_true_random=False))
def test_every_server_is_asked_once_and_priorities_never_fall(pairs: list[tuple[int, int]], random: object) -> None:
    records = [SrvRecord(p, w, 5060, f"h{n}") for n, (p, w) in enumerate(pairs)]
    ordered = in_order(records, fraction=random.random)  # type: ignore[attr-defined] - hypothesis's

    assert sorted(ordered, key=repr) == sorted(records, key=repr)
    assert [record.priority for record in ordered] == sorted(record.priority for record in records)
