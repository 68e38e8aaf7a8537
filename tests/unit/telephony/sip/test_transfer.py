"""A transfer that we ask for: RFC 3515, RFC 5589, RFC 3891."""

from __future__ import annotations

import pytest

from telephony.sip.dialog import DialogId
from telephony.sip.message import Request
from telephony.sip.transfer import Outcome, State, Transfer, refer_to
from telephony.sip.uri import SipUri
from tests.unit.telephony.sip.messages import request, response


def notify(frag: str = "", *, state: str = "active", event: str = "refer", kind: str = "message/sipfrag") -> Request:
    extra = f"Event: {event}\r\nSubscription-State: {state}\r\nContent-Type: {kind};version=2.0\r\n"
    return request("NOTIFY", extra=extra, body=frag.encode())


def watching() -> Transfer:
    transfer = Transfer(give_up_at=60.0)
    transfer.answered(response(request(), 202))
    return transfer


def test_a_transfer_is_followed_to_its_end() -> None:
    transfer = watching()
    assert transfer.notified(notify("SIP/2.0 100 Trying")) == 200
    assert transfer.notified(notify("SIP/2.0 180 Ringing\r\n")) == 200
    assert (transfer.state, transfer.outcome) == (State.WATCHING, None)
    assert transfer.notified(notify("SIP/2.0 200 OK\r\n", state="terminated;reason=noresource")) == 200

    assert (transfer.outcome, transfer.timer_at()) == (Outcome(True, 200, "OK"), None)
    transfer.notified(notify("SIP/2.0 486 Busy Here"))
    transfer.hung_up()
    assert transfer.outcome == Outcome(True, 200, "OK")


@pytest.mark.parametrize(
    ("frag", "state", "outcome"),
    [
        ("SIP/2.0 486 Busy Here\r\n", "terminated", Outcome(False, 486, "Busy Here")),
        ("SIP/2.0 603", "active", Outcome(False, 603, "")),
        ("SIP/2.0 100 Trying", "terminated;reason=giveup", Outcome(False, 100, "the far end stopped telling: giveup")),
        ("nonsense", "terminated", Outcome(False, 0, "the far end stopped telling: no reason given")),
    ],
)
def test_a_transfer_may_fail(frag: str, state: str, outcome: Outcome) -> None:
    transfer = watching()
    transfer.notified(notify(frag, state=state))

    assert transfer.outcome == outcome


def test_a_notify_may_overtake_the_answer_to_refer() -> None:
    transfer = Transfer(give_up_at=60.0)
    transfer.notified(notify("SIP/2.0 100 Trying"))
    assert transfer.state is State.REFERRING
    transfer.notified(notify("SIP/2.0 200 OK"))
    transfer.answered(response(request(), 202))

    assert transfer.outcome == Outcome(True, 200, "OK")


def test_a_refer_may_be_refused_or_never_answered() -> None:
    refused, unanswered = Transfer(give_up_at=60.0), Transfer(give_up_at=60.0)
    refused.answered(response(request(), 603))
    unanswered.unanswered()

    assert refused.outcome == Outcome(False, 603, "Reason")
    assert unanswered.outcome == Outcome(False, 408, "REFER was not answered")


def test_a_far_end_that_tells_nothing_is_believed() -> None:
    transfer = Transfer(give_up_at=60.0)
    transfer.answered(response(request(), 200, extra="Refer-Sub: false\r\n"))

    assert transfer.outcome == Outcome(True, 200)


def test_a_far_end_that_hangs_up_has_taken_the_caller_over_if_it_accepted() -> None:
    taken, gone = watching(), Transfer(give_up_at=60.0)
    taken.hung_up()
    gone.hung_up()

    assert (taken.outcome, gone.outcome) == (Outcome(True), Outcome(False))


def test_a_transfer_does_not_last_for_ever() -> None:
    transfer = watching()
    transfer.handle_timer(now=59.0)
    assert (transfer.timer_at(), transfer.outcome) == (60.0, None)
    transfer.handle_timer(now=60.0)

    assert transfer.outcome == Outcome(False, 408, "nobody answered in time")


def test_other_events_are_none_of_ours() -> None:
    transfer = watching()

    assert transfer.notified(notify(event="message-summary")) == 489
    assert transfer.notified(notify("SIP/2.0 200 OK", event="refer;id=7", kind="text/plain")) == 200
    assert transfer.outcome is None


def test_refer_to_names_the_target_and_the_call_that_is_replaced() -> None:
    target = SipUri("pbx.example", "op")

    assert refer_to(target) == "<sip:op@pbx.example>"
    assert refer_to(target, replaces=DialogId("a@b", "ours", "theirs")) == (
        "<sip:op@pbx.example?Replaces=a%40b%3Bto-tag%3Dtheirs%3Bfrom-tag%3Dours>"
    )
