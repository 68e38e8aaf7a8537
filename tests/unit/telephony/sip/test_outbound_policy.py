"""Whom we may call."""

from __future__ import annotations

import pytest

from telephony.errors import LocalProtocolError
from telephony.sip.outbound_policy import OutboundPolicy
from telephony.sip.uri import SipUri, parse_uri


def allows(text: str, *patterns: str) -> bool:
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    return OutboundPolicy(patterns).allows(uri)


def test_nobody_is_called_unless_the_settings_say_so() -> None:
    assert not allows("sip:100@pbx.example")


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("sip:+994501234567@sip.example.az", True),
        ("sip:+994-50-123-45-67@SIP.example.az:5070;transport=tls", True),
        ("sips:+99450;isub=1@sip.example.az", True),
        ("sip:+99490012@sip.example.az", False),
        ("sip:+994.900.12@sip.example.az", False),
        ("sip:%2B994900@sip.example.az", False),
        ("sip:+44501@sip.example.az", False),
        ("sip:+99450@sip.example.az.evil.example", False),
        ("sip:x@sip.example.az?+994@sip.example.az", False),
        ("sip:operator.1@[2001:db8::1]", True),
    ],
)
def test_patterns_allow_and_forbid(text: str, allowed: bool) -> None:
    patterns = ("+994*@sip.example.az", "!+994900*@*", "operator.1@2001:db8::1")

    assert allows(text, *patterns) is allowed


@pytest.mark.parametrize("pattern", ["*", "+994", "user@"])
def test_a_pattern_without_a_host_is_an_error(pattern: str) -> None:
    with pytest.raises(LocalProtocolError, match="outbound_allowed"):
        OutboundPolicy((pattern,))
