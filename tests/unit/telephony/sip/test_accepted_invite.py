"""A 2xx that waits for its ACK: RFC 3261 section 13.3.1.4."""

from __future__ import annotations

from telephony.sip.accepted_invite import AcceptedInvite, Due
from telephony.sip.responses import response_to
from telephony.sip.timers import Timings
from telephony.sip.transactions import server_key
from tests.unit.telephony.sip.messages import request


def accepted() -> AcceptedInvite:
    invite = request()
    return AcceptedInvite(server_key(invite), response_to(invite, 200), timings=Timings(), now=0.0)


def test_a_200_is_repeated_with_backoff_until_the_caller_is_given_up() -> None:
    ours = accepted()
    played: list[tuple[float, Due | None]] = []
    while (at := ours.timer_at()) is not None:
        played.append((at, ours.pop_due(now=at)))

    assert played == [
        *((at, Due.RESEND) for at in (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)),
        (32.0, Due.GIVE_UP),
    ]


def test_nothing_is_due_before_its_time() -> None:
    assert accepted().pop_due(now=0.4) is None


def test_only_the_ack_of_its_own_invite_is_meant() -> None:
    ours = accepted()

    assert ours.is_acked_by(request("ACK", cseq=1, to_tag="x"))
    assert not ours.is_acked_by(request("ACK", cseq=2, to_tag="x"))
