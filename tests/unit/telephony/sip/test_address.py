"""Addresses in From, To, Contact and Route."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import SipParseError
from telephony.sip.address import NameAddr, parse_name_addr
from telephony.sip.uri import SipUri


@pytest.mark.parametrize(
    ("text", "name", "uri", "tag"),
    [
        ("<sip:a@b>", "", "sip:a@b", ""),
        ("sip:a@b;tag=x", "", "sip:a@b", "x"),  # without brackets, parameters are the header's
        ("<sip:a@b;lr>;tag=x", "", "sip:a@b;lr", "x"),
        ("Aysel Quliyeva <sip:a@b> ; tag = x", "Aysel Quliyeva", "sip:a@b", "x"),
        ('"J \\"R\\" \\\\" <sip:a@b>', 'J "R" \\', "sip:a@b", ""),
        ('"<sip:joe@big.org>"<sip:a@b>', "<sip:joe@big.org>", "sip:a@b", ""),
        ("Watson, Thomas <sip:a@b>", "Watson, Thomas", "sip:a@b", ""),  # not allowed, harmless
        ("tel:+994501234567", "", "tel:+994501234567", ""),
    ],
)
def test_an_address_comes_apart(text: str, name: str, uri: str, tag: str) -> None:
    address = parse_name_addr(text)

    assert (address.display_name, str(address.uri), address.tag) == (name, uri, tag)
    assert parse_name_addr(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "<sip:a@b", '"open <sip:a@b>', '"a" b <sip:a@b>', '"a"', "<sip:a@b> x", "< sip:a@b>", "<>", "sip:a@b;=x"],
)
def test_a_malformed_address_is_an_error(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_name_addr(text)


def test_a_tag_is_given_replaced_and_taken_off() -> None:
    address = parse_name_addr("<sip:a@b>;x=1;tag=old")

    assert str(address.with_tag("new")) == "<sip:a@b>;x=1;tag=new"
    assert str(address.with_tag("")) == "<sip:a@b>;x=1"


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",))))
def test_any_display_name_survives(name: str) -> None:
    address = NameAddr(SipUri("b"), name)

    assert parse_name_addr(str(address)) == address
