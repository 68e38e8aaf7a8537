"""Why a call ended, in the network's numbers."""

from __future__ import annotations

import pytest

from telephony.sip.reason import q850_of
from tests.unit.telephony.sip.messages import request, response


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ('Reason: Q.850;cause=16;text="Normal, really"\r\n', 16),
        ('Reason: SIP;cause=600;text="busy", q.850 ; cause = 17\r\n', 17),
        ("Reason: SIP;cause=200\r\nReason: Q.850;cause=102\r\n", 102),
        ("Reason: Q.850;cause=900\r\n", None),
        ('Reason: Q.850;cause=16;text="cut sho\r\n', 16),
        ('Reason: "\r\n', None),
        ("Reason: Q.850;text=none\r\n", None),
        ("", None),
    ],
)
def test_a_reason_names_a_q850_cause(reason: str, cause: int | None) -> None:
    assert q850_of(request("BYE", extra=reason)) == cause


def test_a_status_stands_for_a_cause_where_no_reason_is_given() -> None:
    assert [q850_of(response(request(), status)) for status in (486, 404, 503, 299)] == [17, 1, 41, None]
    assert q850_of(response(request(), 480, extra="Reason: Q.850;cause=20\r\n")) == 20
