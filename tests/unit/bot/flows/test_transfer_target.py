from __future__ import annotations

import pytest

from bot.flows.transfer_target import as_sip_address, is_sip_address
from telephony.sip.uri import SipUri, parse_uri


@pytest.mark.parametrize(
    "text",
    ["sip:200@pbx.example", "SIPS:a;b@[::1]:5061;transport=tls?Subject=x", "sip:pbx", "sip:+99412@10.0.0.1:5060"],
)
def test_an_address_is_one_that_the_telephony_can_read(text: str) -> None:
    assert is_sip_address(text)
    assert isinstance(parse_uri(text), SipUri)


@pytest.mark.parametrize("text", ["200", "tel:+99412", "sip:", "sip:@pbx", "sip:200@", "200@pbx.example", "sip:a b@c"])
def test_a_number_alone_is_none(text: str) -> None:
    assert not is_sip_address(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("200", "sip:200@host"),
        ("tel:+99412", "sip:+99412@host"),
        ("200@pbx.example", "sip:200@pbx.example"),
        ("https://pbx.example", "sip:pbx.example"),
        ("sip:", "sip:200@host"),
    ],
)
def test_what_was_meant_is_written_out(text: str, meant: str) -> None:
    assert as_sip_address(text, host="host") == meant
    assert is_sip_address(meant)
