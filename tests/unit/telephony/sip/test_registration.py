"""REGISTER and OPTIONS towards a trunk: RFC 3261 section 10, RFC 5626."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.flow import Flow
from telephony.sip.identity import Identity
from telephony.sip.message import Request
from telephony.sip.registration import TrunkRequest, binding_expiry, build_options, build_register
from tests.unit.telephony.sip.messages import response

US = Identity("192.0.2.9", 5060, "aysel")
FLOW = Flow("tcp", "192.0.2.1", 5060)


def register(*, outbound: bool = False) -> Request:
    return build_register(
        TrunkRequest(US, FLOW, "pbx.example", "c", 7, "t", "z9hG4bKb"),
        expires_s=300,
        outbound=outbound,
        extra=(("Authorization", "x"),),
    )


def test_a_registration_asks_for_our_address_of_record() -> None:
    asked = register()

    assert (str(asked.uri), str(asked.to)) == ("sip:pbx.example", "<sip:aysel@pbx.example>")
    assert str(asked.from_) == "<sip:aysel@pbx.example>;tag=t"
    assert asked.headers.first("Contact") == "<sip:aysel@192.0.2.9:5060;transport=tcp>"
    assert (asked.cseq.number, asked.headers.first("Expires"), asked.headers.first("Authorization")) == (7, "300", "x")
    assert asked.headers.first("Supported") == "path"


def test_an_outbound_registration_names_an_instance_that_stays_the_same() -> None:
    first, again = register(outbound=True), register(outbound=True)

    assert ';reg-id=1;+sip.instance="<urn:uuid:' in (first.headers.first("Contact") or "")
    assert first.headers == again.headers
    assert first.headers.first("Supported") == "path, outbound"


def test_a_probe_asks_the_domain() -> None:
    asked = build_options(TrunkRequest(US, FLOW, "2001:db8::1", "c", 1, "t", "z9hG4bKb"))

    assert (asked.method, str(asked.uri), str(asked.to)) == ("OPTIONS", "sip:[2001:db8::1]", "<sip:[2001:db8::1]>")


@pytest.mark.parametrize(
    ("extra", "expires_s"),
    [
        ("Contact: <sip:other@192.0.2.8>;expires=9, <sip:aysel@192.0.2.9:5060;ob>;expires=77\r\n", 77),
        ("Contact: <sip:aysel@192.0.2.9:5060>\r\nExpires: 60\r\n", 60),
        ("Contact: <tel:1>\r\n", 300),
        ("Contact: <tel:1>;expires=9, <sip:aysel@192.0.2.9:5060>;expires=77\r\n", 77),
        ("Contact: <sip:other@192.0.2.8>;expires=9, <sip:aysel@192.0.2.9>;expires=77\r\n", 77),  # 5060 left out
        ("Contact: <sip:aysel@203.0.113.7:31000>;expires=60\r\n", 60),  # where the registrar sees us
        ('Contact: <sip:aysel@192.0.2.9:5060>;expires="60"\r\n', 60),
        ("Contact: <sip:a b>;expires=9, <sip:aysel@192.0.2.9:5060>;expires=77\r\n", 77),
        ('Contact: "cut\r\nContact: <sip:aysel@192.0.2.9:5060>;expires=77\r\n', 77),
        ("", 300),
    ],
)
def test_the_registrar_says_how_long_our_binding_lasts(extra: str, expires_s: int) -> None:
    asked = register()

    assert binding_expiry(response(asked, 200, contact="", extra=extra), asked, default_s=300) == expires_s


def test_a_binding_that_is_not_kept_is_an_error() -> None:
    asked = register()

    with pytest.raises(SipParseError):
        binding_expiry(response(asked, 200, contact="", extra="Expires: 0\r\n"), asked, default_s=300)
