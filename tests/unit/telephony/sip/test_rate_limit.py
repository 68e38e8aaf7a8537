"""How often something is logged."""

from __future__ import annotations

from telephony.sip.rate_limit import RateLimit


def test_one_event_a_period_is_let_through_with_the_number_kept_back() -> None:
    limit = RateLimit(period_s=1.0)

    assert [limit.allow(now=at) for at in (0.0, 0.1, 0.9, 1.0, 5.0)] == [0, None, None, 2, 0]
