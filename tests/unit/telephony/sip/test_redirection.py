"""Where a call may go instead: RFC 3261 section 8.1.3.4."""

from __future__ import annotations

from telephony.sip.redirection import MAX_TARGETS, Redirection
from telephony.sip.uri import SipUri
from tests.unit.telephony.sip.messages import request, response


def moved(redirection: Redirection, contacts: str) -> None:
    redirection.add(response(request(), 302, contact="", extra=f"Contact: {contacts}\r\n"))


def left(redirection: Redirection) -> list[str]:
    found: list[str] = []
    while (target := redirection.next()) is not None:
        found.append(str(target))
    return found


def test_the_preferred_target_comes_first_and_none_may_write_headers_of_ours() -> None:
    redirection = Redirection(SipUri("a"))
    moved(redirection, "<sip:low@b>;q=0.2, <sip:high@b?Replaces=x>, <tel:1>, <sip:odd@b>;q=x")

    assert left(redirection) == ["sip:high@b", "sip:low@b", "sip:odd@b"]


def test_a_circle_ends_and_a_redirect_of_a_redirect_comes_first() -> None:
    redirection = Redirection(SipUri("a", "x"))
    moved(redirection, "<sip:x@a>, <sip:y@a>, <sip:z@a>, <sip:y@a;transport=UDP;turn=2>")
    assert str(redirection.next()) == "sip:y@a"
    moved(redirection, "<sip:x@a>, <sip:y@a>, <sip:w@a>")

    assert left(redirection) == ["sip:w@a", "sip:z@a"]


def test_a_chain_without_end_is_given_up() -> None:
    redirection = Redirection(SipUri("a"))
    moved(redirection, ", ".join(f"<sip:{number}@b>" for number in range(50)))

    assert len(left(redirection)) == MAX_TARGETS


def test_contacts_that_cannot_be_read_are_passed_over() -> None:
    redirection = Redirection(SipUri("a"))
    moved(redirection, "<sip:")

    assert left(redirection) == []
