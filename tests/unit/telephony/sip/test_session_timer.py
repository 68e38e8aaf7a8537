"""Session timers: RFC 4028."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.call_limits import CallLimits
from telephony.sip.inspection import Refusal
from telephony.sip.session_timer import SessionDue, SessionTimer, min_session, refuse_brief, session_expires
from tests.unit.telephony.sip.messages import request, response

ON, OFF = CallLimits(session_s=1800), CallLimits()
SUPPORTED = "Supported: timer\r\n"


def answered(timer: SessionTimer, extra: str) -> dict[str, str]:
    return dict(timer.answer(request(extra=extra), now=0.0))


def test_the_headers_are_read() -> None:
    asked = request(extra="x: 1800 ;refresher=UAS\r\nMin-SE: 120;x=y\r\n")

    assert (session_expires(asked), min_session(asked)) == ((1800, "uas"), 120)
    assert (session_expires(request()), min_session(request())) == (None, 90)
    with pytest.raises(SipParseError):
        session_expires(request(extra="x: soon\r\n"))


def test_a_session_that_is_too_brief_is_refused_with_the_least() -> None:
    brief = SUPPORTED + "x: 60\r\n"

    assert refuse_brief(request(extra=brief), ON) == Refusal(422, (("Min-SE", "90"),))
    assert refuse_brief(request(extra="x: 60\r\n"), ON) is None  # section 9: such a caller knows no 422
    assert refuse_brief(request(extra=SUPPORTED + "x: 90\r\n"), ON) is None
    assert refuse_brief(request(), ON) is None


@pytest.mark.parametrize(
    ("limits", "extra", "said"),
    [
        (ON, SUPPORTED + "x: 3600\r\n", {"Session-Expires": "1800;refresher=uac", "Require": "timer"}),
        (ON, SUPPORTED + "x: 600\r\n", {"Session-Expires": "600;refresher=uac", "Require": "timer"}),
        (ON, SUPPORTED + "x: 3600;refresher=uas\r\n", {"Session-Expires": "1800;refresher=uas"}),
        (ON, SUPPORTED + "x: 9000\r\nMin-SE: 7200\r\n", {"Session-Expires": "7200;refresher=uac", "Require": "timer"}),
        (ON, "", {"Session-Expires": "1800;refresher=uas"}),
        (OFF, "", {}),
        (OFF, SUPPORTED + "x: 600;refresher=uac\r\n", {"Session-Expires": "600;refresher=uac", "Require": "timer"}),
        (OFF, "x: 600;refresher=uac\r\n", {"Session-Expires": "600;refresher=uas"}),
    ],
)
def test_we_agree_with_what_a_caller_asks(limits: CallLimits, extra: str, said: dict[str, str]) -> None:
    assert answered(SessionTimer(limits), extra) == said


def test_whoever_refreshes_does_so_at_half_time_and_the_other_waits_for_it() -> None:
    ours, theirs = SessionTimer(ON), SessionTimer(ON)
    answered(ours, "")
    answered(theirs, SUPPORTED + "x: 90\r\n")

    assert (ours.timer_at(), ours.pop_due(now=899.0)) == (900.0, None)
    assert ours.pop_due(now=900.0) is SessionDue.REFRESH
    assert (ours.timer_at(), ours.pop_due(now=1768.0), ours.timer_at()) == (1768.0, SessionDue.EXPIRED, None)
    assert (theirs.timer_at(), theirs.pop_due(now=60.0)) == (60.0, SessionDue.EXPIRED)


def test_we_ask_for_a_session_and_keep_the_roles_in_a_refresh() -> None:
    timer = SessionTimer(ON)
    assert dict(timer.ask()) == {"Session-Expires": "1800", "Min-SE": "90"}
    timer.agreed(response(request(), 200, extra="x: 600;refresher=uas\r\n"), now=0.0)
    assert dict(timer.ask())["Session-Expires"] == "600;refresher=uas"
    timer.agreed(response(request(), 200, extra="x: 600\r\n"), now=0.0)
    assert (dict(timer.ask())["Session-Expires"], timer.timer_at()) == ("600;refresher=uac", 300.0)
    timer.agreed(response(request(), 200), now=0.0)
    assert timer.timer_at() is None
    assert SessionTimer(OFF).ask() == ()


def test_a_far_end_that_wants_less_often_is_heeded_once() -> None:
    timer = SessionTimer(ON)
    refusal = response(request(), 422, extra="Min-SE: 3600\r\n")

    assert timer.take_refusal(refusal)
    assert dict(timer.ask()) == {"Session-Expires": "3600", "Min-SE": "3600"}
    assert not timer.take_refusal(refusal)
    assert not timer.take_refusal(response(request(), 422))
    assert not timer.take_refusal(response(request(), 422, extra="Min-SE: x\r\n"))
    assert not SessionTimer(OFF).take_refusal(refusal)


def test_a_refresh_that_is_refused_is_tried_halfway_to_the_end_until_that_is_near() -> None:
    timer = SessionTimer(ON)
    answered(timer, "")
    timer.refused(now=10.0)  # an offer of ours that was no refresh
    tries: list[float] = []
    while timer.pop_due(now=(at := timer.timer_at()) or 0.0) is SessionDue.REFRESH:
        tries.append(at or 0.0)
        timer.refused(now=tries[-1])

    assert tries[:3] == [900.0, 1334.0, 1551.0]
    assert (len(tries), at) == (8, 1768.0)


def test_a_refresh_asks_for_longer_where_the_far_end_wants_less_often() -> None:
    timer = SessionTimer(OFF)
    answered(timer, "x: 600;refresher=uas\r\n")

    assert timer.take_refusal(response(request(), 422, extra="Min-SE: 3600\r\n"))
    assert dict(timer.ask()) == {"Session-Expires": "3600;refresher=uac", "Min-SE": "3600"}


def test_a_session_that_is_over_has_no_timer() -> None:
    timer = SessionTimer(ON)
    answered(timer, "")
    timer.stop()

    assert timer.timer_at() is None
