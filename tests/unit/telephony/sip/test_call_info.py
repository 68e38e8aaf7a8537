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

    info = call_info("0" * 32, request(extra=extra), trusted=True)

    assert (info.call_id, info.transport, info.caller, info.callee) == ("0" * 32, "sip", "caller", "bot")
    assert info.variables == {
        "sip_call_id": "call-1",
        "pai": '"A" <sip:+994501111111@op.example>, <tel:+994501111111>',
        "diversion": "<sip:+994502222222@op.example>;reason=unconditional",
        "asserted_caller": "+994501111111",
        "diverted_from": "+994502222222",
    }


def test_what_is_not_there_is_not_named() -> None:
    assert set(call_info("0" * 32, request(), trusted=True).variables) == {"sip_call_id"}


def variables(extra: str, *, trusted: bool = True) -> dict[str, str]:
    return dict(call_info("0" * 32, request(extra=extra), trusted=trusted).variables)


def test_a_stranger_is_not_believed_about_who_it_is() -> None:
    extra = "P-Asserted-Identity: <sip:+994501111111@op>\r\nDiversion: <sip:1@a>\r\nHistory-Info: <sip:1@a>;index=1\r\n"

    assert set(variables(extra, trusted=False)) == {"sip_call_id"}


@pytest.mark.parametrize(
    ("extra", "diverted"),
    [
        ("Diversion: <sip:third@a>, <sip:second@a>\r\nDiversion: <sip:first@a>\r\n", "first"),
        ("History-Info: <sip:first@a>;index=1, <sip:second@a?Reason=x>;index=1.1\r\n", "first"),
        ("History-Info: <sip:bot@a>;index=1\r\n", None),
        ('Diversion: "not closed\r\n', None),
        ("Diversion: <sip:\r\n", None),
        ("Diversion: nonsense\r\nP-Asserted-Identity: nonsense, <tel:+9941>\r\n", None),
    ],
)
def test_whose_telephone_was_called_first_is_found(extra: str, diverted: str | None) -> None:
    assert variables(extra).get("diverted_from") == diverted
