"""How much each source may send."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telephony.sip.token_bucket import TokenBuckets


def test_a_burst_passes_and_then_the_rate() -> None:
    buckets = TokenBuckets(per_s=2.0, burst=3)

    assert [buckets.take("a", now=0.0) for _ in range(4)] == [True, True, True, False]
    assert [buckets.take("a", now=at) for at in (0.25, 0.5, 0.6, 1.0)] == [False, True, False, True]


def test_a_bucket_never_holds_more_than_a_burst() -> None:
    buckets = TokenBuckets(per_s=100.0, burst=2)
    buckets.take("a", now=0.0)

    assert [buckets.take("a", now=1000.0) for _ in range(3)] == [True, True, False]


def test_sources_do_not_take_from_each_other() -> None:
    buckets = TokenBuckets(per_s=1.0, burst=1)

    assert [buckets.take(source, now=0.0) for source in ("a", "b", "a")] == [True, True, False]


def test_the_source_heard_least_lately_is_forgotten() -> None:
    buckets = TokenBuckets(per_s=0.001, burst=1, max_sources=2)
    for source in ("a", "b", "a", "c"):
        buckets.take(source, now=0.0)

    assert len(buckets) == 2
    assert not buckets.take("a", now=0.0)  # b made room


@given(st.lists(st.floats(0, 0.5), max_size=200))
def test_no_pattern_of_sending_passes_more_than_burst_and_rate_allow(gaps: list[float]) -> None:
    buckets, now, passed = TokenBuckets(per_s=5.0, burst=10), 0.0, 0
    for gap in gaps:
        now += gap
        passed += buckets.take("a", now=now)

    assert passed <= 10 + 5.0 * now + 1e-6


def test_a_bucket_that_is_empty_says_so_until_it_has_one_again() -> None:
    buckets = TokenBuckets(per_s=1.0, burst=1)
    assert not buckets.is_empty("a", now=0.0)
    buckets.take("a", now=0.0)

    assert [buckets.is_empty("a", now=at) for at in (0.0, 0.9, 1.0)] == [True, True, False]
