"""Retry-After, as servers write it."""

from __future__ import annotations

import pytest

from telephony.sip.retry_after import retry_after_s
from tests.unit.telephony.sip.messages import request, response


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("120", 120.0), ("18000;duration=3600", 3600.0), ("120 (I'm in a meeting)", 120.0), ("soon", 0.0), ("-5", 0.0)],
)
def test_it_is_read_as_far_as_it_is_a_number(written: str, seconds: float) -> None:
    assert retry_after_s(response(request(), 503, extra=f"Retry-After: {written}\r\n"), longest_s=3600.0) == seconds


def test_where_nothing_is_said_it_is_nothing() -> None:
    assert (retry_after_s(None, longest_s=1.0), retry_after_s(response(request(), 503), longest_s=1.0)) == (0.0, 0.0)
