"""Who calls whom."""

from __future__ import annotations

import pytest

from telephony.sip.call_info import call_info, party
from telephony.sip.uri import parse_uri
from tests.unit.telephony.sip.messages import request


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("sip:+994501234567@10.0.0.1", "+994501234567"),
        ("sip:pbx.example.com", "pbx.example.com"),
        ("tel:+994501234567;phone-context=az", "+994501234567"),
        ("sip:%C3%96zg%C3%BCr@a", "Özgür"),
    ],
)
def test_a_party_is_named_by_its_number_or_host(uri: str, name: str) -> None:
    assert party(parse_uri(uri)) == name


def test_a_call_is_described_by_its_invite() -> None:
    extra = (
        'P-Asserted-Identity: "A" <sip:+994501111111@op.example>\r\nP-Asserted-Identity: <tel:+994501111111>\r\n'
        "Diversion: <sip:+994502222222@op.example>;reason=unconditional\r\n"
    )

    info = call_info("0" * 32, request(extra=extra))

    assert (info.call_id, info.transport, info.caller, info.callee) == ("0" * 32, "sip", "caller", "bot")
    assert info.variables == {
        "sip_call_id": "call-1",
        "pai": '"A" <sip:+994501111111@op.example>, <tel:+994501111111>',
        "diversion": "<sip:+994502222222@op.example>;reason=unconditional",
    }


def test_what_is_not_there_is_not_named() -> None:
    assert set(call_info("0" * 32, request()).variables) == {"sip_call_id"}
