"""A 180 that is repeated until its PRACK: RFC 3262 section 3."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.accepted_invite import Due
from telephony.sip.reliable_provisional import ReliableProvisional, requires_reliability
from telephony.sip.timers import Timings
from telephony.sip.transactions import ServerKey
from tests.unit.telephony.sip.messages import request, response


def ringing() -> ReliableProvisional:
    return ReliableProvisional(
        ServerKey("b", "h", "INVITE"), response(request(cseq=7), 180), number=41, timings=Timings(), now=0.0
    )


def test_it_is_repeated_ever_more_slowly_and_given_up() -> None:
    waiting = ringing()
    seen: list[tuple[float, Due]] = []
    while (at := waiting.timer_at()) is not None:
        due = waiting.pop_due(now=at)
        assert due is not None
        seen.append((at, due))

    assert [at for at, _ in seen] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 32.0]
    assert (seen[-1][1], waiting.waiting, waiting.pop_due(now=99.0)) == (Due.GIVE_UP, False, None)


def test_the_right_prack_ends_it() -> None:
    waiting = ringing()

    assert not waiting.acknowledge(request("PRACK", extra="RAck: 40 7 INVITE\r\n"))
    assert waiting.waiting
    assert waiting.acknowledge(request("PRACK", extra="RAck: 41 7 INVITE\r\n"))
    assert (waiting.waiting, waiting.acknowledge(request("PRACK", extra="RAck: 41 7  INVITE\r\n"))) == (False, True)


@pytest.mark.parametrize("extra", ["", "RAck: x 7 INVITE\r\n", "RAck: 41 INVITE\r\n"])
def test_a_prack_for_nothing_is_an_error(extra: str) -> None:
    with pytest.raises(SipParseError):
        ringing().acknowledge(request("PRACK", extra=extra))


def test_a_caller_says_whether_it_wants_them() -> None:
    assert requires_reliability(request(extra="Require: timer, 100REL\r\n"))
    assert not requires_reliability(request(extra="Supported: 100rel\r\n"))
