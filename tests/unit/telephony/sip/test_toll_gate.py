"""Calls that leave are held to what they may cost."""

from __future__ import annotations

from decimal import Decimal

from telephony.sip.message import Response, build_message, parse_message
from telephony.sip.toll_gate import TollGate
from telephony.sip.toll_guard import TollGuard, TollLimits, Why
from tests.unit.telephony.sip.messages import OFFER, request, request_bytes, response

BAKU = "sip:+994501234567@192.0.2.50"


def refusal_of(answer: bytes | None) -> Response:
    response_ = parse_message(answer or b"")
    assert isinstance(response_, Response)
    return response_


def gate(**limits: object) -> tuple[TollGate, TollGuard]:
    guard = TollGuard({"+994": Decimal(1)}, TollLimits(**limits))  # type: ignore[arg-type] - passed on as they are
    return TollGate(guard), guard


def invite(uri: str = BAKU, **options: object) -> bytes:
    return request_bytes(uri=uri, body=OFFER, **options)  # type: ignore[arg-type] - as above


def test_a_call_with_a_price_goes_and_one_without_is_refused_to_its_sender() -> None:
    ours, _ = gate()

    assert ours.send(invite(), now=0.0) is None
    refusal = refusal_of(ours.send(invite("sip:+1900555@192.0.2.50", call_id="other"), now=0.0))
    assert (refusal.status, refusal.call_id, refusal.headers.first("Reason")) == (
        403,
        "other",
        'SIP;cause=603;text="toll: not_named"',
    )
    assert {why: count for why, count in ours.refused.items() if count} == {Why.NOT_NAMED: 1}


def test_a_call_is_judged_once_however_often_its_invite_is_sent() -> None:
    ours, guard = gate(calls_per_minute=1, call_s=60.0)
    for message in (invite(), invite(), invite(cseq=2), invite(to_tag="theirs", cseq=3)):
        assert ours.send(message, now=0.0) is None

    assert guard.spent == 1
    refusal = refusal_of(ours.send(invite(call_id="second"), now=1.0))
    assert (refusal.status, refusal.headers.first("Retry-After")) == (503, "60")


def test_a_call_costs_from_its_answer_to_its_end() -> None:
    ours, guard = gate(call_s=600.0)
    ours.send(invite(), now=0.0)
    assert guard.spent == 10
    sent = request(uri=BAKU, body=OFFER)
    ours.receive(response(sent, 180), now=5.0)
    ours.receive(response(sent, 200), now=10.0)
    ours.receive(response(sent, 200), now=50.0)
    ours.released("call-1", now=100.0)

    assert guard.spent == 2  # 90 s


def test_a_call_may_last_as_long_as_there_is_money_for_it_and_no_longer() -> None:
    ours, guard = gate(call_s=1800.0, money_per_day=Decimal(3))
    ours.send(invite(), now=0.0)
    assert guard.spent == 3
    sent = request(uri=BAKU, body=OFFER)

    assert ours.receive(response(sent, 180), now=5.0) is None
    assert ours.receive(response(sent, 200), now=10.0) == 188.0  # three minutes, and time for a BYE
    assert ours.receive(response(sent, 200), now=11.0) is None
    ours.released("call-1", now=188.5)
    assert guard.spent == 3


def test_a_call_that_nobody_answers_costs_nothing() -> None:
    ours, guard = gate()
    ours.send(invite(), now=0.0)
    ours.released("call-1", now=30.0)
    ours.released("call-1", now=31.0)

    assert guard.spent == 0


def test_whom_we_send_the_far_end_to_needs_a_price_too_and_costs_us_nothing() -> None:
    ours, guard = gate()

    assert ours.send(request_bytes("REFER", to_tag="x", extra=f"Refer-To: <{BAKU}>\r\n"), now=0.0) is None
    refusal = ours.send(request_bytes("REFER", to_tag="x", extra="Refer-To: <sip:+1900@a>\r\n"), now=0.0)
    assert refusal_of(refusal).status == 403
    assert guard.spent == 0


def test_a_redirect_to_what_has_no_price_is_refused() -> None:
    ours, guard = gate(call_s=60.0)
    ours.send(invite(), now=0.0)

    assert refusal_of(ours.send(invite("sip:+1900555@192.0.2.50", cseq=2), now=1.0)).status == 403
    assert ours.send(invite("sip:+994551112233@192.0.2.50", cseq=3), now=2.0) is None
    assert guard.spent == 1  # of the last one


def test_a_refer_that_names_nobody_is_refused() -> None:
    assert refusal_of(gate()[0].send(request_bytes("REFER", to_tag="x"), now=0.0)).status == 403


def test_what_is_not_sound_is_not_sent() -> None:
    ours, _ = gate()

    assert (ours.send(invite("sip:+994501234567@a?Replaces=x"), now=0.0) or b"").startswith(b"SIP/2.0 400 ")
    assert ours.send(b"INVITE nonsense", now=0.0) == b""


def test_everything_else_passes() -> None:
    ours, _ = gate()

    for message in (
        request_bytes("BYE", to_tag="x"),
        build_message(response(request(), 200)),
    ):
        assert ours.send(message, now=0.0) is None
    ours.receive(request("BYE", to_tag="x"), now=0.0)
    ours.receive(response(request(), 200), now=0.0)


def test_calls_whose_worker_died_do_not_stay_for_ever() -> None:
    guard = TollGuard({"@192.0.2.50": Decimal(0)}, TollLimits(calls_per_minute=20_000))
    ours = TollGate(guard)
    for number in range(10_010):
        ours.send(invite("sip:operator@192.0.2.50", call_id=f"call-{number}"), now=0.0)

    assert len(ours._calls) == 10_000
