"""An INVITE that takes the place of a call: RFC 3891."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.dialog import DialogId
from telephony.sip.replaces import Replaces, read_replaces, without_requirement
from tests.unit.telephony.sip.messages import request


def test_the_header_names_a_dialog_as_we_see_it() -> None:
    asked = request(extra="Replaces: a@b;from-tag=theirs;to-tag=ours\r\n")

    assert read_replaces(asked) == Replaces(DialogId("a@b", "ours", "theirs"))
    assert read_replaces(request(extra="Replaces: a;to-tag=1;from-tag=2;early-only\r\n")) == Replaces(
        DialogId("a", "1", "2"), early_only=True
    )
    assert read_replaces(request()) is None


@pytest.mark.parametrize("value", ["a@b", "a@b;to-tag=x", "a@b;from-tag=x", ";to-tag=x;from-tag=y"])
def test_a_header_that_names_no_dialog_is_an_error(value: str) -> None:
    with pytest.raises(SipParseError):
        read_replaces(request(extra=f"Replaces: {value}\r\n"))


def test_another_request_cannot_replace_anything() -> None:
    with pytest.raises(SipParseError):
        read_replaces(request("OPTIONS", extra="Replaces: a;to-tag=1;from-tag=2\r\n"))


def test_that_it_is_required_is_seen_to_and_the_rest_is_kept() -> None:
    both = without_requirement(request(extra="Require: replaces, 100rel\r\n", body=b"x"))

    assert (both.headers.all("Require"), both.body) == (["100rel"], b"x")
    assert without_requirement(request(extra="Require: Replaces\r\n")).headers.all("Require") == []
