"""A call that came in: RFC 3261 section 13.3."""

from __future__ import annotations

import pytest

from telephony.errors import LocalProtocolError, SipParseError
from telephony.leg import EndCause
from telephony.sip.events import CallEnded, CallOffered, MediaAgreed
from telephony.sip.inbound_call import RINGING_EVERY_S, InboundCall, State
from telephony.sip.message import Request
from telephony.sip.offer_answer import Direction, LocalAudio
from telephony.sip.transaction import Failure
from telephony.sip.transactions import ClientKey
from tests.unit.telephony.sip.call_bench import LOCAL, Bench
from tests.unit.telephony.sip.messages import OFFER, PEER, PEER_TCP, request, response


def ringing(bench: Bench, **options: object) -> InboundCall:
    key, invite = bench.incoming(request(**{"body": OFFER, **options}))
    return InboundCall(bench.context, key, invite, PEER, now=0.0)


def answered(bench: Bench) -> InboundCall:
    call = ringing(bench)
    call.answer(LOCAL, now=1.0)
    bench.take_sent()
    bench.take_events()
    return call


def ask(bench: Bench, call: InboundCall, method: str, *, cseq: int = 2) -> None:
    tag = call.dialog_id.local_tag
    key, asked = bench.incoming(request(method, branch=f"z9hG4bK{method}", cseq=cseq, to_tag=tag))
    call.receive_request(key, asked, PEER, now=2.0)


def test_a_call_rings_at_once() -> None:
    bench = Bench()
    call = ringing(bench, extra="Record-Route: <sip:p;lr>\r\n")

    ring = bench.take_response()
    assert (ring.status, ring.to.tag, call.call_id) == (180, call.dialog_id.local_tag, "call-1")
    assert (ring.headers.first("Record-Route"), ring.headers.first("Contact")) == (
        "<sip:p;lr>",
        "<sip:bot@192.0.2.9:5060>",
    )
    assert bench.take_event(CallOffered).invite.call_id == "call-1"
    assert (call.state, call.finished) == (State.RINGING, False)


def test_a_call_that_rings_for_long_says_so_every_minute() -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()

    assert call.timer_at() == RINGING_EVERY_S
    call.handle_timer(now=RINGING_EVERY_S)

    assert bench.take_statuses() == [180]
    assert call.timer_at() == 2 * RINGING_EVERY_S


def test_a_call_that_is_answered_has_media_and_waits_for_its_ack() -> None:
    bench = Bench()
    call = ringing(bench, extra="Record-Route: <sip:p;lr>\r\n")
    bench.take_sent()
    bench.take_events()

    call.answer(LOCAL, now=1.0)

    ok = bench.take_response()
    assert (ok.status, ok.headers.first("Record-Route"), call.timer_at()) == (200, "<sip:p;lr>", 1.5)
    assert bench.take_event(MediaAgreed).parameters.remote_port == 4000
    call.receive_ack(request("ACK", cseq=1, to_tag=call.dialog_id.local_tag), now=1.2)
    assert call.timer_at() is None


def test_a_call_without_an_offer_has_media_once_its_ack_is_here() -> None:
    bench = Bench()
    call = ringing(bench, body=b"")
    call.answer(LOCAL, now=1.0)
    bench.take_events()

    call.receive_ack(request("ACK", cseq=1, to_tag=call.dialog_id.local_tag, body=OFFER), now=1.2)

    assert bench.take_event(MediaAgreed).parameters.remote_port == 4000


def test_an_offer_that_our_media_cannot_take_ends_the_call() -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()
    bench.take_events()

    call.answer(LocalAudio("2001:db8::9", 20_000), now=1.0)

    assert bench.take_statuses() == [488]
    assert bench.take_event(CallEnded).cause is EndCause.FAILED
    assert (call.finished, call.timer_at()) == (True, None)


def test_a_call_is_answered_once() -> None:
    bench = Bench()
    call = answered(bench)

    with pytest.raises(LocalProtocolError):
        call.answer(LOCAL, now=2.0)
    with pytest.raises(LocalProtocolError):
        call.reject(486, now=2.0)


def test_a_call_is_rejected() -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()
    bench.take_events()

    call.reject(503, retry_after_s=7, now=1.0)

    refusal = bench.take_response()
    assert (refusal.status, refusal.headers.first("Retry-After")) == (503, "7")
    assert bench.take_event(CallEnded).cause is EndCause.REJECTED
    assert (call.finished, call.timer_at()) == (True, None)


def test_a_rejection_need_not_say_when_to_come_again() -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()

    call.reject(486, cause=EndCause.FAILED, detail="broken", now=1.0)

    assert bench.take_response().headers.first("Retry-After") is None
    assert CallEnded("call", EndCause.FAILED, "broken") in bench.take_events()


def test_a_caller_that_gives_up_is_told_so() -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()
    bench.take_events()

    call.cancel(now=1.0)
    call.cancel(now=1.1)

    assert bench.take_statuses() == [487]
    assert bench.take_event(CallEnded).cause is EndCause.CANCELLED


def test_a_cancel_that_comes_after_the_answer_has_no_effect() -> None:
    bench = Bench()
    call = answered(bench)

    call.cancel(now=1.1)

    assert (call.state, bench.take_sent(), bench.take_events()) == (State.ANSWERED, [], [])


def test_a_callers_own_limit_ends_the_ringing() -> None:
    bench = Bench()
    call = ringing(bench, extra="Expires: 20\r\n")
    bench.take_sent()
    bench.take_events()

    call.handle_timer(now=20.0)

    assert bench.take_statuses() == [487]
    assert bench.take_event(CallEnded).cause is EndCause.CANCELLED


def test_hanging_up_a_call_that_rings_refuses_it() -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()
    bench.take_events()

    call.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    call.hang_up(EndCause.BOT_HUNG_UP, now=1.0)

    assert bench.take_statuses() == [480]
    assert bench.take_event(CallEnded).cause is EndCause.BOT_HUNG_UP


def test_hanging_up_an_answered_call_ends_in_bye() -> None:
    bench = Bench()
    call = answered(bench)
    call.receive_ack(request("ACK", cseq=1, to_tag=call.dialog_id.local_tag), now=1.2)

    call.hang_up(EndCause.BOT_HUNG_UP, now=2.0)
    _, bye = bench.take_request()
    call.receive_response(bench.answered(response(bye, 200)), now=2.1)

    assert (bye.method, call.finished) == ("BYE", True)


def test_the_200_is_repeated_and_the_session_closes_when_nobody_acknowledges() -> None:
    bench = Bench()
    call = answered(bench)

    call.handle_timer(now=1.5)
    assert bench.take_statuses() == [200]
    call.handle_timer(now=33.0)
    key, _ = next(
        (ClientKey(message.via.branch, "BYE"), message)
        for message in bench.take_sent()
        if isinstance(message, Request) and message.method == "BYE"
    )
    call.request_failed(key, Failure.TIMEOUT, now=65.0)

    assert call.finished


def test_a_callers_bye_ends_an_answered_call() -> None:
    bench = Bench()
    call = answered(bench)

    ask(bench, call, "BYE")

    assert (bench.take_statuses(), call.finished) == ([200], True)


def test_a_callers_bye_ends_a_call_that_rings_too() -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()

    ask(bench, call, "BYE")

    assert (bench.take_statuses(), call.finished) == ([200, 487], True)


def test_a_second_invite_before_the_first_is_answered_has_to_wait() -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()

    ask(bench, call, "INVITE")
    refusal = bench.take_response()
    assert refusal.status == 500
    assert 0 <= int(refusal.headers.first("Retry-After") or "-1") <= 10
    ask(bench, call, "INFO")
    assert bench.take_statuses() == [481]


def test_what_belongs_to_a_session_means_nothing_before_the_answer() -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()
    stray = bench.context.send(request("OPTIONS"), PEER, now=0.0)
    received = bench.answered(response(request("OPTIONS"), 200))

    call.receive_ack(request("ACK", to_tag="x"), now=1.0)
    call.receive_response(received, now=1.0)
    call.request_failed(stray, Failure.TIMEOUT, now=1.0)

    assert call.state is State.RINGING
    with pytest.raises(LocalProtocolError):
        call.reoffer(Direction.SENDONLY, now=1.0)


def test_an_answered_call_can_hold_its_caller() -> None:
    bench = Bench()
    call = answered(bench)
    call.receive_ack(request("ACK", cseq=1, to_tag=call.dialog_id.local_tag), now=1.2)

    call.reoffer(Direction.SENDONLY, now=2.0)

    assert bench.take_request()[1].method == "INVITE"


def test_a_call_whose_connection_is_lost_hangs_up_another_way() -> None:
    bench = Bench()
    key, invite = bench.incoming(request(body=OFFER), PEER_TCP)
    call = InboundCall(bench.context, key, invite, PEER_TCP, now=0.0)
    call.answer(LOCAL, now=0.0)
    call.receive_ack(request("ACK", cseq=1, to_tag=call.dialog_id.local_tag), now=0.1)
    bench.take_sent()

    call.flow_lost(PEER_TCP)
    call.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    bench.pump()

    ((_, flow),) = bench.sent
    assert (flow.connection, flow.port) == (0, 5060)


@pytest.mark.parametrize("options", [{"contact": ""}, {"extra": "Expires: soon\r\n"}])
def test_an_invite_that_cannot_begin_a_dialog_is_an_error(options: dict[str, str]) -> None:
    with pytest.raises(SipParseError):
        ringing(Bench(), **options)


# 100rel: RFC 3262

RELIABLE = "Require: 100rel\r\n"


def prack(bench: Bench, call: InboundCall, rack: str, *, cseq: int = 2) -> None:
    tag = call.dialog_id.local_tag
    asked = request("PRACK", branch=f"z9hG4bKp{cseq}", cseq=cseq, to_tag=tag, extra=f"RAck: {rack}\r\n")
    key, received = bench.incoming(asked)
    call.receive_request(key, received, PEER, now=2.0)


def test_a_caller_that_requires_it_is_rung_reliably() -> None:
    bench = Bench()
    call = ringing(bench, extra=RELIABLE)
    ring = bench.take_response()
    number = ring.headers.first("RSeq")
    assert (ring.status, ring.headers.first("Require"), call.timer_at()) == (180, "100rel", 0.5)
    call.handle_timer(now=0.5)
    assert bench.take_response() == ring

    prack(bench, call, f"{number} 1 INVITE")
    assert bench.take_statuses() == [200]
    assert call.timer_at() == RINGING_EVERY_S
    prack(bench, call, "99 1 INVITE", cseq=3)
    assert bench.take_statuses() == [481]
    call.handle_timer(now=RINGING_EVERY_S)
    assert bench.take_response().headers.first("RSeq") == str(int(number or 0) + 1)


def test_a_caller_that_never_acknowledges_our_180_is_refused() -> None:
    bench = Bench()
    call = ringing(bench, extra=RELIABLE)
    bench.take_events()
    while (at := call.timer_at()) is not None:
        call.handle_timer(now=at)

    assert bench.take_statuses()[-1] == 504
    assert bench.take_event(CallEnded).cause is EndCause.FAILED


def test_a_180_that_waits_for_its_prack_is_not_followed_by_another() -> None:
    bench = Bench()
    call = ringing(bench, extra=RELIABLE)
    bench.take_sent()
    call._ring(1.0)

    assert bench.take_sent() == []


def test_a_reliable_180_is_repeated_no_more_once_the_call_has_its_answer() -> None:
    bench, other = Bench(), Bench()
    call, refused = ringing(bench, extra=RELIABLE), ringing(other, extra=RELIABLE)
    number = bench.take_response().headers.first("RSeq")
    other.take_sent()
    call.answer(LOCAL, now=0.1)
    refused.reject(486, now=0.1)

    assert [message.status for message in bench.take_sent() if not isinstance(message, Request)] == [200]
    assert refused.timer_at() is None
    prack(bench, call, f"{number} 1 INVITE")
    assert bench.take_statuses() == [200]


def test_a_caller_without_an_offer_is_not_rung_reliably() -> None:
    bench = Bench()
    ringing(bench, extra=RELIABLE, body=b"")

    assert bench.take_sent() == []


def test_only_an_answered_call_is_sent_keys() -> None:
    bench = Bench()
    with pytest.raises(LocalProtocolError):
        ringing(bench).press("1", now=1.0)
    call = answered(Bench())

    assert call.press("1", now=2.0)


def test_only_an_answered_call_is_transferred() -> None:
    bench = Bench()
    call = ringing(bench)
    with pytest.raises(LocalProtocolError):
        call.transfer("<sip:op@pbx>", now=1.0)
    assert call.dialog is None
    bench.take_sent()
    call.answer(LOCAL, now=1.0)
    call.receive_ack(request("ACK", cseq=1, to_tag=call.dialog_id.local_tag), now=1.0)
    bench.take_sent()
    call.transfer("<sip:op@pbx>", now=1.0)

    assert (bench.take_request()[1].method, call.dialog is not None) == ("REFER", True)


# UPDATE: RFC 3311


@pytest.mark.parametrize(("body", "status"), [(b"", 200), (OFFER, 500)])
def test_an_update_while_it_rings_is_taken_without_an_offer_only(body: bytes, status: int) -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()
    asked = request("UPDATE", branch="z9hG4bKup", cseq=2, to_tag=call.dialog_id.local_tag, body=body)
    key, received = bench.incoming(asked)
    call.receive_request(key, received, PEER, now=2.0)
    answer = bench.take_response()

    assert (answer.status, answer.headers.first("Retry-After") is not None) == (status, status == 500)
    assert call.state is State.RINGING


def test_an_update_that_is_out_of_order_is_refused() -> None:
    bench = Bench()
    call = ringing(bench)
    bench.take_sent()
    for cseq in (3, 2):
        asked = request("UPDATE", branch=f"z9hG4bK{cseq}", cseq=cseq, to_tag=call.dialog_id.local_tag)
        key, received = bench.incoming(asked)
        call.receive_request(key, received, PEER, now=2.0)

    assert bench.take_statuses() == [200, 500]
