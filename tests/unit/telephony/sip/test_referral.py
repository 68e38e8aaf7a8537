"""A REFER to us, read, decided and told of: RFC 3515, RFC 3420, RFC 4488."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.referral import Referral, State
from telephony.sip.transactions import ServerKey
from tests.unit.telephony.sip.messages import request

KEY = ServerKey("z9hG4bKr", "192.0.2.1:5060", "REFER")


def refer(refer_to: str, extra: str = "") -> Referral:
    return Referral(KEY, request("REFER", cseq=7, to_tag="ours", extra=f"Refer-To: {refer_to}\r\n{extra}"))


def test_it_names_whom_to_call_and_by_whom_that_is_wanted() -> None:
    referral = refer(
        "<sip:200@pbx.example;method=INVITE;user=phone?Subject=x>", "Referred-By: <sip:op@pbx.example>\r\n"
    )

    assert str(referral.target) == "sip:200@pbx.example;user=phone"
    assert referral.extra == (("Referred-By", "<sip:op@pbx.example>"),)


def test_it_may_name_a_call_to_take_the_place_of() -> None:
    referral = refer("<sip:200@pbx.example?Replaces=12345%40pbx%3Bto-tag%3Dt1%3Bfrom-tag%3Df1&Accept-Contact=*>")

    assert referral.extra == (("Replaces", "12345@pbx;to-tag=t1;from-tag=f1"), ("Require", "replaces"))
    early = refer("<sip:200@pbx.example?replaces=1%3Bto-tag%3Dt%3Bfrom-tag%3Df%3Bearly-only>")
    assert early.extra[0] == ("Replaces", "1;to-tag=t;from-tag=f;early-only")


@pytest.mark.parametrize(
    "refer_to",
    [
        "<tel:+994501234567>",
        "<sip:a@b;method=BYE>",
        "<sip:a@b>, <sip:c@d>",
        "<sip:a@b?Replaces=1>",
        "<sip:a@b?Replaces=1%0D%0AX%3Aevil%3Bto-tag%3Dt%3Bfrom-tag%3Df>",
        "<sip:a@b?Replaces=1%3Bto-tag%3Dt%3Bfrom-tag%3Df&Replaces=2%3Bto-tag%3Dt%3Bfrom-tag%3Df>",
    ],
)
def test_what_names_nobody_or_says_more_than_it_may_is_refused(refer_to: str) -> None:
    with pytest.raises(SipParseError):
        refer(refer_to)


def test_its_progress_is_told_in_its_order_until_a_final_status() -> None:
    referral = refer("<sip:a@b>")
    referral.note(180)
    assert (referral.next_notice(), referral.decide(accepted=True), referral.decide(accepted=True)) == (
        None, True, False,
    )  # fmt: skip
    referral.note(180)
    referral.note(999)
    assert (referral.state, referral.settled) == (State.ENDED, False)
    told = referral.next_notice()
    assert told is not None
    headers, body = told

    assert headers[:2] == (("Event", "refer;id=7"), ("Subscription-State", "active;expires=180"))
    assert body == b"SIP/2.0 180 Ringing\r\n"
    assert referral.next_notice() == (
        (headers[0], ("Subscription-State", "terminated;reason=noresource"), headers[2]),
        b"SIP/2.0 999 Unknown\r\n",
    )
    referral.note(200)
    assert (referral.next_notice(), referral.settled) == (None, True)


def test_of_a_target_that_rings_and_rings_the_last_is_told() -> None:
    referral = refer("<sip:a@b>")
    referral.decide(accepted=True)
    for _ in range(1000):
        referral.note(180)
    referral.note(486)
    told = [notice[1] for notice in iter(referral.next_notice, None)]

    assert (len(told), told[-1]) == (8, b"SIP/2.0 486 Busy Here\r\n")


def test_who_does_not_listen_is_told_no_more() -> None:
    referral = refer("<sip:a@b>")
    referral.decide(accepted=True)
    referral.note(200)
    referral.unheard()

    assert (referral.next_notice(), referral.settled) == (None, True)


def test_whoever_wants_to_be_told_nothing_is_told_nothing_but_that() -> None:
    referral = refer("<sip:a@b>", "Refer-Sub: FALSE\r\n")
    referral.decide(accepted=True)
    referral.note(200)

    assert (referral.consent, referral.next_notice(), refer("<sip:a@b>").consent) == (
        (("Refer-Sub", "false"),), None, (),
    )  # fmt: skip
