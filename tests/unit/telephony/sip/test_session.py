"""An established call: RFC 3261 sections 12.2, 13.3.1.4, 14, 15."""

from __future__ import annotations

import pytest

from telephony.errors import LocalProtocolError, SipParseError
from telephony.leg import DigitReceived, EndCause
from telephony.sip.auth import Credentials
from telephony.sip.call_limits import DEFAULT_LIMITS, CallLimits
from telephony.sip.dialog import Dialog
from telephony.sip.events import CallEnded, DigitPressed, KeysSent, MediaAgreed, TransferEnded
from telephony.sip.flow import Flow
from telephony.sip.message import Request, Response
from telephony.sip.negotiation import Negotiation
from telephony.sip.offer_answer import Direction
from telephony.sip.sdp import parse_sdp
from telephony.sip.session import Session
from telephony.sip.session_states import State
from telephony.sip.transaction import Failure
from telephony.sip.transactions import ClientKey
from telephony.sip.transfer import Outcome
from tests.unit.telephony.sip.call_bench import LOCAL, Bench
from tests.unit.telephony.sip.messages import OFFER, PEER, PEER_TCP, offer, request, response

OURS = "ours"
CHALLENGE = 'WWW-Authenticate: Digest realm="pbx", nonce="{}", algorithm=MD5, qop="auth"\r\n'


class Call:
    """A caller's session on a bench; it begins with our 200."""

    def __init__(
        self,
        *,
        body: bytes = OFFER,
        flow: Flow = PEER,
        placed_here: bool = False,
        credentials: Credentials | None = None,
        limits: CallLimits = DEFAULT_LIMITS,
        extra: str = "",
        refers: bool = False,
    ) -> None:
        self.bench = Bench(limits=limits, refers=refers)
        self.cseq = 1
        key, invite = self.bench.incoming(request(body=body, extra=extra), flow)
        negotiation = Negotiation(LOCAL, session_id=7)
        answer = negotiation.answer(body)[0] if body else negotiation.offer()
        self.session = Session(
            self.bench.context,
            Dialog.of_caller(invite, local_tag=OURS, flow=flow),
            negotiation,
            placed_here=placed_here,
            credentials=credentials,
        )
        self.session.accept(key, invite, flow, body=answer, extra=(("Record-Route", "<sip:p;lr>"),), now=0.0)

    def ack(self, cseq: int = 1, *, body: bytes = b"", now: float = 0.1) -> None:
        ack = request("ACK", branch=f"z9hG4bKack{cseq}{now}", cseq=cseq, to_tag=OURS, body=body)
        _, received = self.bench.incoming(ack)
        self.session.receive_ack(received, now=now)

    def confirmed(self) -> Call:
        self.bench.take_sent()
        self.ack()
        self.bench.take_events()
        return self

    def ask(
        self, method: str, *, now: float = 1.0, flow: Flow = PEER, cseq: int | None = None, **options: object
    ) -> None:
        self.cseq = cseq or self.cseq + 1
        asked = request(method, branch=f"z9hG4bK{method}{self.cseq}", cseq=self.cseq, to_tag=OURS, **options)
        key, received = self.bench.incoming(asked, flow)
        self.session.receive_request(key, received, flow, now=now)

    def respond(self, sent: Request, status: int, *, now: float = 1.0, **options: object) -> None:
        received = self.bench.answered(response(sent, status, **options), now=now)
        self.session.receive_response(received.key, received.response, now=now)

    def play(self, until: float) -> list[tuple[float, Request | Response]]:
        played: list[tuple[float, Request | Response]] = []
        while (at := self.session.timer_at()) is not None and at <= until:
            self.session.handle_timer(now=at)
            played += [(at, message) for message in self.bench.take_sent()]
        return played


def test_the_200_is_repeated_until_its_ack() -> None:
    call = Call()
    ok = call.bench.take_response()
    assert (ok.status, ok.to.tag, ok.headers.first("Record-Route")) == (200, OURS, "<sip:p;lr>")
    assert parse_sdp(ok.body).media[0].port == LOCAL.port

    assert call.play(until=2.0) == [(0.5, ok), (1.5, ok)]
    call.ack(now=2.0)

    assert (call.session.state, call.session.timer_at()) == (State.CONFIRMED, None)
    assert call.bench.take_sent() == []


def test_a_200_over_tcp_is_repeated_too() -> None:
    call = Call(flow=PEER_TCP)
    call.bench.take_sent()

    assert [at for at, _ in call.play(until=2.0)] == [0.5, 1.5]


def test_a_200_that_is_never_acknowledged_ends_in_bye() -> None:
    call = Call()
    call.bench.take_sent()

    *_, (at, bye) = call.play(until=100.0)

    assert isinstance(bye, Request)
    assert (at, bye.method, "ACK" in (bye.headers.first("Reason") or "")) == (32.0, "BYE", True)
    assert call.bench.take_event(CallEnded).cause is EndCause.NO_ACK
    call.respond(bye, 200)
    assert call.session.state is State.CLOSED


def test_an_ack_for_something_else_is_ignored() -> None:
    call = Call()

    call.ack(cseq=7)
    assert call.session.state is State.AWAITING_ACK
    call.ack()
    call.ack(now=0.2)
    assert call.session.state is State.CONFIRMED


def test_the_callers_bye_ends_the_call() -> None:
    call = Call().confirmed()

    call.ask("BYE", extra='Reason: Q.850;cause=16;text="Normal"\r\n')

    assert call.bench.take_statuses() == [200]
    assert call.bench.take_event(CallEnded) == CallEnded(
        "call", EndCause.CALLER_HUNG_UP, 'Q.850;cause=16;text="Normal"'
    )
    assert (call.session.state, call.session.timer_at()) == (State.CLOSED, None)


def test_a_bye_before_the_ack_ends_the_call_too() -> None:
    call = Call()
    call.bench.take_sent()

    call.ask("BYE")

    assert (call.bench.take_statuses(), call.session.timer_at()) == ([200], None)


def test_hanging_up_sends_one_bye() -> None:
    call = Call().confirmed()

    call.session.hang_up(EndCause.BOT_HUNG_UP, "done", reason="Q.850;cause=16", now=1.0)
    call.session.hang_up(EndCause.FAILED, now=1.0)

    _, bye = call.bench.take_request()
    assert (bye.method, bye.cseq.number, bye.headers.first("Reason")) == ("BYE", 1, "Q.850;cause=16")
    assert call.bench.take_events() == [CallEnded("call", EndCause.BOT_HUNG_UP, "done")]
    assert call.session.state is State.CLOSING
    call.respond(bye, 100)
    assert call.session.state is State.CLOSING
    call.respond(bye, 481)
    assert call.session.state is State.CLOSED


def test_hanging_up_before_the_ack_waits_for_it() -> None:
    call = Call()
    call.bench.take_sent()

    call.session.hang_up(EndCause.BOT_HUNG_UP, now=0.1)
    assert (call.session.state, call.bench.take_sent()) == (State.CLOSING_UNACKED, [])
    assert call.bench.take_event(CallEnded).cause is EndCause.BOT_HUNG_UP
    call.ack()

    assert call.bench.take_request()[1].method == "BYE"


def test_hanging_up_without_ever_an_ack_ends_in_bye_and_keeps_its_cause() -> None:
    call = Call()
    call.session.hang_up(EndCause.BOT_HUNG_UP, reason="Q.850;cause=16", now=0.1)

    *_, (at, bye) = call.play(until=100.0)

    assert (at, bye.headers.first("Reason")) == (32.0, "Q.850;cause=16")
    assert [event.cause for event in call.bench.take_events() if isinstance(event, CallEnded)] == [EndCause.BOT_HUNG_UP]


def test_byes_that_cross_are_both_answered() -> None:
    call = Call().confirmed()
    call.session.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    _, bye = call.bench.take_request()

    call.ask("INFO")
    call.ask("BYE")

    assert call.bench.take_statuses() == [481, 200]
    assert call.session.state is State.CLOSED
    call.respond(bye, 481)
    assert len(call.bench.take_events()) == 1


def test_a_bye_that_nobody_answers_closes_the_session() -> None:
    call = Call().confirmed()
    call.session.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    key, _ = call.bench.take_request()

    call.bench.layer.handle_timer(now=33.0)
    call.bench.layer.handle_timer(now=33.0)
    call.bench.pump()
    (failed,) = call.bench.failures
    call.session.request_failed(key, failed.failure, now=33.0)
    call.session.request_failed(key, failed.failure, now=33.0)

    assert call.session.state is State.CLOSED


def test_a_request_out_of_order_is_refused() -> None:
    call = Call().confirmed()

    call.ask("INFO", cseq=5)
    call.ask("BYE", cseq=4)

    assert call.bench.take_statuses() == [200, 500]
    assert call.session.state is State.CONFIRMED


def test_hold_and_resume_are_answered_with_the_right_direction() -> None:
    call = Call().confirmed()
    directions: list[str] = []
    for cseq, body in enumerate((offer("sendonly"), offer(host="0.0.0.0"), offer("inactive"), offer()), start=2):
        call.ask("INVITE", cseq=cseq, body=body)
        directions.append(parse_sdp(call.bench.take_response().body).media[0].attributes[-1][0])
        call.ack(cseq)

    assert directions == ["recvonly", "recvonly", "inactive", "sendrecv"]
    agreed = [event.parameters for event in call.bench.take_events() if isinstance(event, MediaAgreed)]
    assert [(each.send, each.receive) for each in agreed] == [
        (False, True),
        (False, True),
        (False, False),
        (True, True),
    ]


def test_a_re_invite_moves_the_peer_and_its_media() -> None:
    call = Call().confirmed()

    call.ask("INVITE", body=offer(host="192.0.2.77"), contact="<sip:moved@192.0.2.77>")

    assert call.bench.take_event(MediaAgreed).parameters.remote_host == "192.0.2.77"
    assert call.session.dialog.target.host == "192.0.2.77"


@pytest.mark.parametrize(
    ("body", "options", "status"),
    [
        (OFFER.replace(b"0 8 101", b"18"), {}, 488),
        (b"nonsense", {}, 400),
        (b"x", {"extra": "Content-Type: text/plain\r\n"}, 415),
        (OFFER, {"contact": "<tel:1>"}, 400),
    ],
)
def test_a_re_invite_that_cannot_be_taken_leaves_the_call_as_it_was(
    body: bytes, options: dict[str, str], status: int
) -> None:
    call = Call().confirmed()

    call.ask("INVITE", body=body, **options)

    assert call.bench.take_statuses() == [status]
    assert (call.bench.take_events(), call.session.state) == ([], State.CONFIRMED)
    assert call.session.dialog.target.host == "192.0.2.1"


def test_a_re_invite_without_an_offer_gets_ours_and_its_ack_holds_the_answer() -> None:
    call = Call().confirmed()

    call.ask("INVITE")
    ok = call.bench.take_response()
    assert parse_sdp(ok.body).media[0].formats == ("0", "8", "101")
    assert call.bench.take_events() == []
    call.ack(2, body=offer(port=4400))

    assert call.bench.take_event(MediaAgreed).parameters.remote_port == 4400


def test_a_new_invite_shows_that_the_200_arrived() -> None:
    call = Call()
    call.bench.take_sent()

    call.ask("INVITE", body=offer("sendonly"), now=0.4)
    call.bench.take_sent()
    call.ack(1)
    assert call.session.state is State.AWAITING_ACK
    call.ack(2)
    assert call.session.state is State.CONFIRMED


def test_a_new_invite_while_our_offer_waits_for_its_answer_is_glare() -> None:
    call = Call(body=b"")
    call.bench.take_sent()

    call.ask("INVITE", body=OFFER)

    assert call.bench.take_statuses() == [491]


def test_the_ack_is_told_since_it_proves_where_the_caller_is() -> None:
    call = Call()
    assert not call.bench.take_confirmed()

    call.ack()

    assert call.bench.take_confirmed()


def test_a_late_offer_starts_media_with_the_ack() -> None:
    call = Call(body=b"")
    assert call.bench.take_events() == []

    call.ack(body=OFFER)

    assert call.bench.take_event(MediaAgreed).parameters.remote_port == 4000


@pytest.mark.parametrize("body", [b"", b"nonsense", OFFER.replace(b"0 8 101", b"18")])
def test_a_late_offer_without_a_good_answer_ends_the_call(body: bytes) -> None:
    call = Call(body=b"")
    call.bench.take_sent()

    call.ack(body=body)

    assert call.bench.take_event(CallEnded).cause is EndCause.FAILED
    _, bye = call.bench.take_request()
    assert (bye.method, "488" in (bye.headers.first("Reason") or "")) == ("BYE", True)


def test_key_presses_come_in_info() -> None:
    call = Call().confirmed()

    call.ask("INFO", extra="Content-Type: application/dtmf-relay\r\n", body=b"Signal=5\r\nDuration=100\r\n")
    call.ask("INFO", extra="Content-Type: Application/DTMF\r\n", body=b"#")

    assert call.bench.take_statuses() == [200, 200]
    assert call.bench.take_events() == [
        DigitPressed("call", DigitReceived("5", 100)),
        DigitPressed("call", DigitReceived("#", 160)),
    ]


def test_other_info_is_refused_and_empty_info_is_fine() -> None:
    call = Call().confirmed()

    call.ask("INFO", extra="Content-Type: text/plain\r\n", body=b"x")
    call.ask("INFO")

    assert call.bench.take_statuses() == [415, 200]


def test_a_key_that_is_none_is_an_error() -> None:
    call = Call().confirmed()

    with pytest.raises(SipParseError):
        call.ask("INFO", extra="Content-Type: application/dtmf\r\n", body=b"x")


def test_options_within_a_call_says_what_we_can() -> None:
    call = Call().confirmed()

    call.ask("OPTIONS")

    answer = call.bench.take_response()
    assert (answer.status, "INFO" in (answer.headers.first("Allow") or "")) == (200, True)


def reoffered(call: Call, direction: Direction = Direction.SENDONLY) -> Request:
    call.session.offers.reoffer(direction, now=1.0)
    return call.bench.take_request()[1]


def test_we_hold_the_peer_and_it_agrees() -> None:
    call = Call().confirmed()

    invite = reoffered(call)
    assert ("sendonly", None) in parse_sdp(invite.body).media[0].attributes
    call.respond(invite, 180)
    assert call.session.state is State.OFFERING
    call.respond(invite, 200, body=offer("recvonly"), contact="<sip:new@192.0.2.88>")

    _, ack = call.bench.take_request()
    assert (ack.method, ack.cseq.number, str(ack.uri)) == ("ACK", invite.cseq.number, "sip:caller@192.0.2.1:5060")
    parameters = call.bench.take_event(MediaAgreed).parameters
    assert (parameters.send, parameters.receive) == (True, False)
    assert (call.session.state, call.session.dialog.target.host) == (State.CONFIRMED, "192.0.2.88")


def test_a_repeated_200_gets_the_same_ack_again() -> None:
    call = Call().confirmed()
    invite = reoffered(call)
    call.respond(invite, 200, body=offer("recvonly"))
    first = call.bench.take_sent()

    call.respond(invite, 200, body=offer("recvonly"))

    assert call.bench.take_sent() == first


def test_only_the_latest_acks_are_kept() -> None:
    call = Call().confirmed()
    invites: list[Request] = []
    for _ in range(5):
        invites.append(reoffered(call))
        call.respond(invites[-1], 200, body=offer())
        call.bench.take_sent()

    call.respond(invites[0], 200, body=offer())
    assert call.bench.take_sent() == []
    call.respond(invites[-1], 200, body=offer())
    assert len(call.bench.take_sent()) == 1


def test_a_peers_invite_while_ours_is_open_is_glare() -> None:
    call = Call().confirmed()
    reoffered(call)

    call.ask("INVITE", body=OFFER)

    assert call.bench.take_statuses() == [491]


@pytest.mark.parametrize(("placed_here", "low_s", "high_s"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
def test_after_glare_our_offer_is_tried_again_in_a_while(*, placed_here: bool, low_s: float, high_s: float) -> None:
    call = Call(placed_here=placed_here).confirmed()
    call.respond(reoffered(call), 491, now=1.0)
    call.bench.take_sent()
    assert call.session.state is State.CONFIRMED

    ((at, again),) = call.play(until=100.0)

    assert low_s <= at - 1.0 <= high_s
    assert isinstance(again, Request)
    call.respond(again, 200, body=offer("recvonly"))
    assert call.bench.take_event(MediaAgreed).parameters.receive is False


def test_an_offer_while_the_peers_invite_is_open_waits_for_its_ack() -> None:
    call = Call()
    call.bench.take_sent()
    call.session.offers.reoffer(Direction.SENDONLY, now=0.1)
    assert call.bench.take_sent() == []

    call.ack()

    assert call.bench.take_request()[1].method == "INVITE"


def test_an_offer_that_was_changed_meanwhile_is_sent_next() -> None:
    call = Call().confirmed()
    invite = reoffered(call)
    call.session.offers.reoffer(Direction.SENDRECV, now=1.0)

    call.respond(invite, 200, body=offer("recvonly"))

    ack, again = call.bench.take_sent()
    assert isinstance(ack, Request)
    assert isinstance(again, Request)
    assert (ack.method, ("sendrecv", None) in parse_sdp(again.body).media[0].attributes) == ("ACK", True)


def test_a_refused_offer_leaves_the_call_as_it_was() -> None:
    call = Call().confirmed()
    call.respond(reoffered(call), 488)
    call.bench.take_sent()

    assert (call.session.state, call.session.timer_at(), call.bench.take_events()) == (State.CONFIRMED, None, [])


@pytest.mark.parametrize("status", [408, 481])
def test_an_offer_to_a_call_that_is_gone_ends_it(status: int) -> None:
    call = Call().confirmed()

    call.respond(reoffered(call), status)

    assert call.bench.take_event(CallEnded).cause is EndCause.FAILED
    assert [message.method for message in call.bench.take_sent() if isinstance(message, Request)] == ["ACK", "BYE"]


def test_an_offer_that_nobody_answers_ends_the_call() -> None:
    call = Call().confirmed()
    reoffered(call)

    call.bench.layer.handle_timer(now=33.0)
    call.bench.layer.handle_timer(now=33.0)
    call.bench.take_sent()
    (failed,) = call.bench.failures
    call.session.request_failed(failed.key, failed.failure, now=33.0)

    assert call.bench.take_request()[1].method == "BYE"
    assert call.bench.take_event(CallEnded).detail == "the re-INVITE was not answered"


def test_an_answer_that_does_not_fit_ends_the_call() -> None:
    call = Call().confirmed()

    call.respond(reoffered(call), 200, body=b"nonsense")

    assert call.bench.take_event(CallEnded).cause is EndCause.FAILED
    assert [message.method for message in call.bench.take_sent() if isinstance(message, Request)] == ["ACK", "BYE"]


def test_an_answer_to_an_offer_that_no_longer_matters_is_acknowledged() -> None:
    call = Call().confirmed()
    invite = reoffered(call)
    call.session.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    assert call.bench.take_request()[1].method == "BYE"

    call.respond(invite, 200, body=offer())

    assert call.bench.take_request()[1].method == "ACK"
    assert [type(event) for event in call.bench.take_events()] == [CallEnded]


def test_a_challenged_bye_is_sent_again_with_credentials() -> None:
    call = Call(credentials=Credentials("aysel", "gizli")).confirmed()
    call.session.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    for number in (1, 2):
        _, bye = call.bench.take_request()
        call.respond(bye, 401, extra=CHALLENGE.format(number))
    _, bye = call.bench.take_request()

    assert (bye.cseq.number, len(bye.headers.all("Authorization"))) == (3, 1)
    call.respond(bye, 401, extra=CHALLENGE.format(3))
    assert (call.bench.take_sent(), call.session.state) == ([], State.CLOSED)


def test_a_challenged_offer_is_sent_again_and_its_ack_has_the_credentials_too() -> None:
    call = Call(credentials=Credentials("aysel", "gizli")).confirmed()
    call.respond(reoffered(call), 401, extra=CHALLENGE.format(1))
    _, again = call.bench.take_sent()
    assert isinstance(again, Request)

    call.respond(again, 200, body=offer("recvonly"))

    _, ack = call.bench.take_request()
    assert ack.headers.first("Authorization") == again.headers.first("Authorization")


@pytest.mark.parametrize(
    ("credentials", "challenge"),
    [(None, CHALLENGE.format(1)), (Credentials("a", "b"), "WWW-Authenticate: Basic\r\n")],
)
def test_a_challenge_that_cannot_be_answered_is_a_refusal(credentials: Credentials | None, challenge: str) -> None:
    call = Call(credentials=credentials).confirmed()

    call.respond(reoffered(call), 401, extra=challenge)

    assert [message.method for message in call.bench.take_sent() if isinstance(message, Request)] == ["ACK"]
    assert call.session.state is State.CONFIRMED


def test_a_challenged_offer_is_not_repeated_once_we_hang_up() -> None:
    call = Call(credentials=Credentials("a", "b")).confirmed()
    invite = reoffered(call)
    call.session.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    call.bench.take_sent()

    call.respond(invite, 401, extra=CHALLENGE.format(1))

    assert [message.method for message in call.bench.take_sent() if isinstance(message, Request)] == ["ACK"]


def lose_connection(call: Call, flow: Flow) -> None:
    call.session.dialog.flow_lost(flow)
    call.bench.layer.flow_lost(flow)
    call.bench.pump()
    failures, call.bench.failures = call.bench.failures, []
    for failed in failures:
        call.session.request_failed(failed.key, failed.failure, now=2.0)


@pytest.mark.parametrize("method", ["BYE", "INVITE"])
def test_a_request_on_a_connection_that_is_lost_takes_another_way_once(method: str) -> None:
    call = Call(flow=PEER_TCP).confirmed()
    if method == "BYE":
        call.session.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    else:
        call.session.offers.reoffer(Direction.SENDONLY, now=1.0)
    call.bench.take_sent()

    lose_connection(call, PEER_TCP)
    call.bench.pump()
    ((again, flow),) = call.bench.sent
    assert isinstance(again, Request)
    assert (again.method, flow) == (method, Flow("tcp", "192.0.2.1", 5060))
    call.bench.take_sent()
    lose_connection(call, flow)

    assert call.session.state is (State.CLOSED if method == "BYE" else State.CLOSING)


def test_an_offer_on_a_connection_that_is_lost_is_not_repeated_once_we_hang_up() -> None:
    call = Call(flow=PEER_TCP).confirmed()
    call.session.offers.reoffer(Direction.SENDONLY, now=1.0)
    call.session.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    call.bench.take_sent()

    lose_connection(call, PEER_TCP)

    assert [message.method for message in call.bench.take_sent() if isinstance(message, Request)] == ["BYE"]


def test_an_answer_may_have_come_before_the_200() -> None:
    call = Call().confirmed()
    invite = reoffered(call)

    call.session.offers.take_answer(response(invite, 200), early=response(invite, 183, body=offer("recvonly")), now=1.0)

    assert call.bench.take_event(MediaAgreed).parameters.receive is False


# UPDATE: RFC 3311


def test_an_update_may_hold_the_call_and_needs_no_ack() -> None:
    call = Call().confirmed()
    call.ask("UPDATE", body=offer("inactive"), contact="<sip:moved@192.0.2.1>")

    ok = call.bench.take_response()
    assert (ok.status, parse_sdp(ok.body).media[0].attribute("inactive")) == (200, "")
    assert call.bench.take_event(MediaAgreed).parameters.receive is False
    assert (call.session.state, str(call.session.dialog.target)) == (State.CONFIRMED, "sip:moved@192.0.2.1")


def test_an_update_without_an_offer_changes_nothing_and_may_cross_an_invite_of_ours() -> None:
    call = Call().confirmed()
    call.session.offers.reoffer(Direction.SENDONLY, now=1.0)
    call.bench.take_sent()
    call.ask("UPDATE")
    ok = call.bench.take_response()
    call.ask("UPDATE", body=offer())

    assert (ok.status, ok.body, call.bench.take_events()) == (200, b"", [])
    assert call.bench.take_statuses() == [491]


@pytest.mark.parametrize(
    ("method", "options", "status"),
    [
        ("UPDATE", {"body": OFFER.replace(b"0 8", b"9 18")}, 488),
        ("UPDATE", {"body": b"x", "extra": "Content-Type: text/html\r\n"}, 415),
        ("UPDATE", {"extra": "Supported: timer\r\nSession-Expires: 30\r\n"}, 422),
        ("INVITE", {"extra": "Supported: timer\r\nSession-Expires: 30\r\n", "body": OFFER}, 422),
        ("NOTIFY", {"extra": "Event: refer\r\n"}, 481),
        ("PRACK", {"extra": "RAck: 1 1 INVITE\r\n"}, 481),
        ("REFER", {"extra": "Refer-To: <sip:+990@evil.example>\r\n"}, 603),
        ("OPTIONS", {}, 200),
    ],
)
def test_a_request_within_a_call_gets_the_answer_that_it_deserves(
    method: str, options: dict[str, object], status: int
) -> None:
    call = Call().confirmed()
    call.ask(method, **options)

    assert (call.bench.take_statuses(), call.session.state) == ([status], State.CONFIRMED)


# Session timers: RFC 4028

TIMED = CallLimits(session_s=1800)
UPDATES = "Allow: INVITE, ACK, BYE, Update\r\n"


def test_a_session_is_refreshed_by_update_where_the_peer_takes_it() -> None:
    call = Call(limits=TIMED, extra=UPDATES)
    assert call.bench.take_response().headers.first("Session-Expires") == "1800;refresher=uas"
    call.ack()
    ((at, update),) = call.play(until=900.0)

    assert isinstance(update, Request)
    assert (at, update.method, update.body) == (900.0, "UPDATE", b"")
    assert update.headers.first("Session-Expires") == "1800;refresher=uac"
    call.respond(update, 200, extra="x: 1800;refresher=uac\r\n", now=900.0)
    assert call.session.timer_at() == 1800.0


def test_a_session_is_refreshed_by_invite_where_the_peer_takes_no_update() -> None:
    call = Call(limits=TIMED, extra=UPDATES).confirmed()
    ((_, update),) = call.play(until=900.0)
    assert isinstance(update, Request)
    call.respond(update, 405, now=900.0)
    _, invite = call.bench.take_request()

    assert (invite.method, invite.headers.first("Session-Expires")) == ("INVITE", "1800;refresher=uac")
    call.respond(invite, 422, extra="Min-SE: 3600\r\n", now=901.0)
    _, longer = [message for message in call.bench.take_sent() if isinstance(message, Request)]
    assert (longer.method, longer.headers.first("Min-SE")) == ("INVITE", "3600")
    call.respond(longer, 200, body=offer(), extra="x: 3600\r\n", now=902.0)
    assert call.session.state is State.CONFIRMED
    assert call.session.timer_at() == 902.0 + 1800.0


def test_a_refresh_that_is_under_way_is_not_doubled() -> None:
    call = Call(limits=TIMED).confirmed()
    call.session.offers.reoffer(Direction.SENDONLY, now=899.0)
    call.bench.take_sent()

    assert call.play(until=900.0) == []


@pytest.mark.parametrize(("status", "over"), [(481, True), (408, True), (500, False)])
def test_a_refresh_may_show_that_the_call_is_gone(status: int, over: bool) -> None:
    call = Call(limits=TIMED, extra=UPDATES).confirmed()
    ((_, update),) = call.play(until=900.0)
    assert isinstance(update, Request)
    call.respond(update, status, now=900.0)

    assert (call.session.state is State.CLOSING) is over


@pytest.mark.parametrize("extra", [UPDATES, ""])
def test_a_refresh_that_is_refused_for_the_moment_is_sent_again(extra: str) -> None:
    call = Call(limits=TIMED, extra=extra).confirmed()
    ((_, refresh),) = call.play(until=900.0)
    assert isinstance(refresh, Request)
    call.respond(refresh, 500, extra="Retry-After: 5\r\n", now=900.0)
    call.bench.take_sent()
    again = [(at, message.method) for at, message in call.play(until=1700.0) if isinstance(message, Request)]

    assert again == [(1334.0, refresh.method)]
    assert call.session.state is not State.CLOSING


def test_a_refresh_by_update_that_was_too_soon_asks_for_longer() -> None:
    call = Call(limits=TIMED, extra=UPDATES).confirmed()
    ((_, refresh),) = call.play(until=900.0)
    assert isinstance(refresh, Request)
    call.respond(refresh, 422, extra="Min-SE: 3600\r\n", now=900.0)
    _, longer = call.bench.take_request()

    assert longer.headers.first("Session-Expires") == "3600;refresher=uac"


def test_a_refresh_that_nobody_answers_ends_the_call() -> None:
    call = Call(limits=TIMED, extra=UPDATES).confirmed()
    call.session.handle_timer(now=900.0)
    key, _ = call.bench.take_request()
    call.session.request_failed(key, Failure.TIMEOUT, now=932.0)

    assert call.bench.take_event(CallEnded).detail == "the UPDATE was not answered"


def test_a_session_that_nobody_refreshes_ends() -> None:
    call = Call(limits=TIMED, extra="Supported: timer\r\nx: 90\r\n").confirmed()
    *_, (at, bye) = call.play(until=100.0)

    assert isinstance(bye, Request)
    assert (at, bye.method, "408" in (bye.headers.first("Reason") or "")) == (60.0, "BYE", True)
    assert call.bench.take_event(CallEnded) == CallEnded("call", EndCause.FAILED, "nobody refreshed the session")
    assert call.session.timer_at() is None


def test_a_session_expires_that_cannot_be_read_is_no_session_timer() -> None:
    call = Call(limits=TIMED, extra=UPDATES).confirmed()
    ((_, update),) = call.play(until=900.0)
    assert isinstance(update, Request)
    call.respond(update, 200, extra="x: soon\r\n", now=900.0)

    assert (call.session.state, call.session.timer_at()) == (State.CONFIRMED, None)


# Transfer: RFC 3515, RFC 5589


def transferring() -> tuple[Call, Request]:
    call = Call().confirmed()
    call.session.transfer("<sip:op@pbx>", now=1.0)
    return call, call.bench.take_request()[1]


def tell(call: Call, frag: str, state: str = "active") -> None:
    extra = f"Event: refer\r\nSubscription-State: {state}\r\nContent-Type: message/sipfrag\r\n"
    call.ask("NOTIFY", extra=extra, body=frag.encode())


def test_a_transfer_is_asked_for_followed_and_ends_the_call() -> None:
    call, refer = transferring()
    assert (refer.method, refer.headers.first("Refer-To")) == ("REFER", "<sip:op@pbx>")
    assert refer.headers.first("Referred-By") == "<sip:bot@192.0.2.9:5060>"
    with pytest.raises(LocalProtocolError):
        call.session.transfer("<sip:other@pbx>", now=1.0)
    call.respond(refer, 202)
    tell(call, "SIP/2.0 180 Ringing")
    assert (call.bench.take_statuses(), call.bench.take_events()) == ([200], [])
    tell(call, "SIP/2.0 200 OK", "terminated")

    ok, bye = call.bench.take_sent()
    assert isinstance(ok, Response)
    assert isinstance(bye, Request)
    assert (ok.status, bye.method) == (200, "BYE")
    assert call.bench.take_events() == [
        TransferEnded("call", Outcome(True, 200, "OK")),
        CallEnded("call", EndCause.TRANSFERRED),
    ]


def test_a_transfer_waits_for_the_ack_of_our_200() -> None:
    call = Call()
    call.bench.take_sent()
    call.session.transfer("<sip:op@pbx>", now=0.05)
    assert call.bench.take_sent() == []
    call.ack()

    assert call.bench.take_request()[1].method == "REFER"


@pytest.mark.parametrize("how", ["refused", "busy", "slow", "silent"])
def test_a_transfer_that_fails_leaves_the_call_up_and_may_be_tried_again(how: str) -> None:
    call, refer = transferring()
    match how:
        case "refused":
            call.respond(refer, 603)
        case "busy":
            tell(call, "SIP/2.0 486 Busy", "terminated")
            call.respond(refer, 202)
        case "slow":
            call.respond(refer, 202)
            assert call.session.timer_at() == 61.0
            call.session.handle_timer(now=61.0)
        case _:
            call.session.request_failed(ClientKey(refer.via.branch, "REFER"), Failure.TIMEOUT, now=33.0)
            call.session.request_failed(ClientKey(refer.via.branch, "REFER"), Failure.TIMEOUT, now=33.0)

    ended = call.bench.take_event(TransferEnded)
    assert (ended.outcome.succeeded, call.session.state) == (False, State.CONFIRMED)
    call.session.transfer("<sip:other@pbx>", now=70.0)


def test_a_far_end_that_accepts_and_hangs_up_has_taken_the_caller() -> None:
    call, refer = transferring()
    call.respond(refer, 202)
    call.ask("BYE")

    assert call.bench.take_events() == [
        TransferEnded("call", Outcome(True)),
        CallEnded("call", EndCause.TRANSFERRED),
    ]


def test_a_far_end_that_hangs_up_before_it_accepts_has_hung_up() -> None:
    call, refer = transferring()
    call.ask("BYE", extra="Reason: Q.850;cause=16\r\n")
    call.respond(refer, 481)

    failed, ended = call.bench.take_events()
    assert failed == TransferEnded("call", Outcome(False))
    assert isinstance(ended, CallEnded)
    assert (ended.cause, ended.q850) == (EndCause.CALLER_HUNG_UP, 16)


def test_a_refer_that_fails_after_the_end_was_told_changes_nothing() -> None:
    call, refer = transferring()
    tell(call, "SIP/2.0 486 Busy", "terminated")
    call.bench.take_events()
    call.session.request_failed(ClientKey(refer.via.branch, "REFER"), Failure.TIMEOUT, now=33.0)

    assert call.bench.take_events() == []


def test_a_call_that_is_over_cannot_be_transferred() -> None:
    call = Call().confirmed()
    call.session.hang_up(EndCause.BOT_HUNG_UP, now=1.0)

    with pytest.raises(LocalProtocolError):
        call.session.transfer("<sip:op@pbx>", now=1.0)


def pressing(
    digits: str = "1#", *, extra: str = "", flow: Flow = PEER, credentials: Credentials | None = None
) -> tuple[Call, ClientKey, Request]:
    call = Call(extra=extra, flow=flow, credentials=credentials)
    call.ack()
    call.bench.take_sent()
    call.bench.take_events()
    assert call.session.press(digits, now=1.0)
    return call, *call.bench.take_request()


def test_keys_go_by_info_one_after_the_other() -> None:
    call, key, info = pressing()
    assert (info.method, info.headers.first("Content-Type")) == ("INFO", "application/dtmf-relay")
    assert info.body == b"Signal=1\r\nDuration=160\r\n"
    assert call.session.timer_at() is None
    call.session.receive_response(key, response(info, 200), now=1.1)
    assert (call.session.timer_at(), call.bench.take_sent()) == (1.26, [])
    call.session.handle_timer(now=1.26)
    key, info = call.bench.take_request()
    assert info.body.startswith(b"Signal=#")
    # An answer that comes after the press is over is what the end waits for.
    call.session.handle_timer(now=2.0)
    assert call.bench.take_events() == []
    call.session.receive_response(key, response(info, 200), now=2.1)

    assert call.bench.take_event(KeysSent) == KeysSent("call", 2, 200)
    assert call.session.press("5", now=3.0)


def test_keys_go_on_after_a_challenge_and_after_a_connection_is_lost() -> None:
    call, key, info = pressing(flow=PEER_TCP, credentials=Credentials("aysel", "gizli"))
    call.session.receive_response(key, response(info, 401, extra=CHALLENGE.format(1)), now=1.1)
    key, info = call.bench.take_request()
    call.session.receive_response(key, response(info, 200), now=1.2)
    call.session.handle_timer(now=1.3)
    call.bench.take_request()

    lose_connection(call, PEER_TCP)
    key, info = call.bench.take_request()
    call.session.receive_response(key, response(info, 200), now=2.1)
    call.session.handle_timer(now=2.2)

    assert call.bench.take_event(KeysSent) == KeysSent("call", 2, 200)


@pytest.mark.parametrize("answered", [True, False])
def test_a_key_that_is_refused_is_the_last(answered: bool) -> None:
    call, key, info = pressing("12")
    call.session.receive_response(key, response(info, 200), now=1.1)
    call.session.handle_timer(now=1.3)
    key, info = call.bench.take_request()
    if answered:
        call.session.receive_response(key, response(info, 415), now=1.4)
    else:
        call.session.request_failed(key, Failure.TIMEOUT, now=32.0)

    assert call.bench.take_event(KeysSent) == KeysSent("call", 1, 415 if answered else 408)
    assert (call.session.state, call.session.timer_at()) == (State.CONFIRMED, None)


def test_a_peer_whose_methods_do_not_name_info_is_sent_none() -> None:
    call = Call(extra="Allow: INVITE, ACK, BYE\r\n")
    call.ack()

    assert not call.session.press("1", now=1.0)


def test_keys_are_keys_and_few_and_go_one_lot_at_a_time() -> None:
    call, key, info = pressing("1")
    with pytest.raises(LocalProtocolError, match="idle"):
        call.session.press("2", now=1.0)
    call.session.receive_response(key, response(info, 200), now=2.0)
    for wrong in ("", "1" * 65, "1x"):
        with pytest.raises(LocalProtocolError):
            call.session.press(wrong, now=2.0)
    assert call.bench.take_sent() == []


def test_whoever_hangs_up_sends_no_more_keys() -> None:
    call, key, info = pressing("12")
    call.session.hang_up(EndCause.BOT_HUNG_UP, now=1.1)
    call.bench.take_sent()
    call.session.receive_response(key, response(info, 200), now=1.2)
    call.session.handle_timer(now=9.0)

    assert call.bench.take_sent() == []


def test_a_call_that_is_over_has_nothing_more_to_notify() -> None:
    call = Call(refers=True).confirmed()
    call.ask("REFER", extra="Refer-To: <sip:other@192.0.2.1>\r\n")
    call.session.refer(accepted=True, now=1.0)
    call.session.notify(180, now=1.0)
    (notify,) = [message for message in call.bench.take_sent() if isinstance(message, Request)]
    call.ask("BYE", now=2.0)
    call.bench.take_sent()

    call.respond(notify, 200, now=3.0)

    assert (call.bench.take_sent(), call.session.state) == ([], State.CLOSED)
