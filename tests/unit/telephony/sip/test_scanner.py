"""Tools that look for open systems."""

from __future__ import annotations

import pytest

from telephony.sip.scanner import is_scanner
from tests.unit.telephony.sip.messages import request_bytes


@pytest.mark.parametrize(
    "agent", ["friendly-scanner", "sipcli/v1.8", "VaxSIPUserAgent/3.1", "SIPVicious", "sundayddr", "pplsip"]
)
def test_a_scanner_that_gives_its_name_is_known(agent: str) -> None:
    assert is_scanner(request_bytes("OPTIONS", extra=f"User-Agent: {agent}\r\n"))
    assert is_scanner(request_bytes("OPTIONS", extra=f"user-agent :\t{agent}\r\n"))


@pytest.mark.parametrize(
    "extra",
    [
        "",
        "User-Agent: Linphone/5.1\r\n",
        "User-Agent: not a friendly-scanner\r\n",
        "Subject: friendly-scanner\r\n",
        "User-Agent: sipclinic\r\n",
    ],
)
def test_a_telephone_is_not_taken_for_one(extra: str) -> None:
    assert not is_scanner(request_bytes("OPTIONS", extra=extra))
