"""A call that we place: RFC 3261 sections 9.1, 13.2, 22."""

from __future__ import annotations

import pytest

from telephony.errors import LocalProtocolError
from telephony.leg import EndCause
from telephony.sip.auth import Credentials
from telephony.sip.call_limits import DEFAULT_LIMITS, CallLimits
from telephony.sip.destination import Destination
from telephony.sip.events import CallEnded, CallRedirected, CallRinging, MediaAgreed, ServerFailed
from telephony.sip.flow import Flow
from telephony.sip.message import Request
from telephony.sip.offer_answer import Direction
from telephony.sip.outbound_call import OutboundCall
from telephony.sip.outbound_states import State
from telephony.sip.transaction import Failure
from telephony.sip.transactions import ClientKey
from telephony.sip.uri import SipUri
from tests.unit.telephony.sip.call_bench import LOCAL, Bench
from tests.unit.telephony.sip.messages import OFFER, PEER, PEER_TCP, offer, request, response

CHALLENGE = '{}: Digest realm="pbx", nonce="{}", algorithm=MD5, qop="auth"\r\n'


class Placed:
    """One placed call on a bench; `invite` is the latest INVITE."""

    def __init__(
        self,
        *,
        flow: Flow = PEER,
        credentials: Credentials | None = None,
        limits: CallLimits = DEFAULT_LIMITS,
        others: tuple[Flow, ...] = (),
    ) -> None:
        self.bench = Bench(limits=limits)
        target = SipUri("192.0.2.1", "callee", headers="Subject=x")
        destination = Destination(target, flow, "+994121234567", credentials, (("X-Own", "1"),), others=others)
        self.call = OutboundCall(self.bench.context, destination, LOCAL, now=0.0)
        self.key, self.invite = self.bench.take_request()

    def respond(self, status: int, *, sent: Request | None = None, now: float = 1.0, **options: object) -> None:
        self.call.receive_response(self.bench.answered(response(sent or self.invite, status, **options)), now=now)

    def answered(self) -> Placed:
        self.respond(200, body=OFFER)
        self.bench.take_sent()
        self.bench.take_events()
        return self

    def ended(self) -> CallEnded:
        """The end, after what was said of servers that failed."""
        *servers, end = self.bench.take_events()
        assert all(isinstance(event, ServerFailed) for event in servers)
        assert isinstance(end, CallEnded)
        return end

    def next(self) -> None:
        """Take the INVITE that was sent after the ACK for a refusal, if any."""
        self.invite = next(message for message in reversed(self.bench.take_sent()) if isinstance(message, Request))
        self.key = ClientKey(self.invite.via.branch, "INVITE")

    def methods(self) -> list[str]:
        return [message.method for message in self.bench.take_sent() if isinstance(message, Request)]


def test_an_invite_says_who_calls_whom_and_offers_media() -> None:
    placed = Placed()
    invite = placed.invite

    assert (invite.method, str(invite.uri), invite.cseq.number) == ("INVITE", "sip:callee@192.0.2.1", 1)
    assert (str(invite.from_.uri), str(invite.to)) == (
        "sip:+994121234567@192.0.2.9:5060",
        "<sip:callee@192.0.2.1>",
    )
    assert (invite.call_id, invite.headers.first("X-Own")) == (placed.call.call_id, "1")
    assert b"m=audio 20000 RTP/AVP 0 8 101" in invite.body
    assert (placed.call.state, placed.call.dialog, placed.call.finished) == (State.CALLING, None, False)


def test_ringing_is_reported() -> None:
    placed = Placed()
    placed.respond(100, to_tag="")
    placed.respond(180)
    placed.respond(183)

    assert placed.bench.take_events() == [CallRinging("call", 180), CallRinging("call", 183)]
    assert placed.call.state is State.PROCEEDING


def test_a_call_that_is_answered_is_acknowledged_and_has_media() -> None:
    placed = Placed()
    placed.respond(200, body=OFFER)

    _, ack = placed.bench.take_request()
    assert (ack.method, str(ack.uri), ack.cseq.number) == ("ACK", "sip:callee@192.0.2.1:5060", 1)
    assert placed.bench.take_event(MediaAgreed).parameters.remote_port == 4000
    assert (placed.call.state, placed.call.timer_at()) == (State.ANSWERED, None)
    assert placed.call.dialog is not None


def test_a_repeated_200_gets_the_same_ack() -> None:
    placed = Placed()
    placed.respond(200, body=OFFER)
    first = placed.bench.take_sent()

    placed.respond(200, body=OFFER)

    assert placed.bench.take_sent() == first


def test_an_answer_that_came_while_ringing_holds() -> None:
    placed = Placed()
    placed.respond(183, body=offer(port=4500))
    placed.respond(180)
    placed.bench.take_events()

    placed.respond(200)

    assert placed.bench.take_event(MediaAgreed).parameters.remote_port == 4500


@pytest.mark.parametrize("body", [b"", b"nonsense"])
def test_an_answer_that_does_not_fit_is_acknowledged_and_hung_up(body: bytes) -> None:
    placed = Placed()
    placed.respond(200, body=body)

    assert placed.methods() == ["ACK", "BYE"]
    assert placed.bench.take_event(CallEnded).cause is EndCause.FAILED


def test_a_200_without_a_contact_ends_the_call() -> None:
    placed = Placed()
    placed.respond(200, body=OFFER, contact="")
    placed.respond(200, body=OFFER, contact="")

    assert (placed.methods(), placed.call.finished) == ([], True)
    assert placed.bench.take_event(CallEnded).cause is EndCause.FAILED


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_a_rejected_call_ends_with_what_the_far_end_said(status: int) -> None:
    placed = Placed()
    placed.respond(180)
    placed.bench.take_events()
    placed.respond(status)

    assert placed.methods() == ["ACK"]
    assert placed.ended() == CallEnded("call", EndCause.FAILED, f"{status} Reason")
    assert placed.call.finished


@pytest.mark.parametrize("failure", Failure)
def test_a_call_that_reaches_nobody_ends(failure: Failure) -> None:
    placed = Placed()
    placed.call.request_failed(placed.key, failure, now=32.0)

    assert failure.name.lower() in placed.ended().detail
    assert placed.call.finished


def test_hanging_up_while_it_rings_cancels() -> None:
    placed = Placed()
    placed.respond(180)
    placed.bench.take_events()

    placed.call.hang_up(EndCause.BOT_HUNG_UP, "enough", now=2.0)
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=2.0)

    _, cancel = placed.bench.take_request()
    assert (cancel.method, cancel.uri, cancel.via, cancel.cseq.number, cancel.to) == (
        "CANCEL",
        placed.invite.uri,
        placed.invite.via,
        1,
        placed.invite.to,
    )
    assert placed.bench.take_event(CallEnded) == CallEnded("call", EndCause.BOT_HUNG_UP, "enough")
    placed.respond(200, sent=cancel)
    placed.respond(180)
    placed.respond(487)
    assert placed.methods() == ["ACK"]
    assert (placed.bench.take_events(), placed.call.finished) == ([], True)


def test_a_cancel_waits_for_the_first_provisional_response() -> None:
    placed = Placed()
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=0.1)
    assert (placed.methods(), placed.call.state) == ([], State.CANCEL_WANTED)

    placed.respond(100, to_tag="")

    assert (placed.methods(), placed.call.state) == (["CANCEL"], State.CANCELLING)


@pytest.mark.parametrize("provisional", [True, False])
def test_a_200_that_crosses_our_cancel_is_acknowledged_and_hung_up(*, provisional: bool) -> None:
    placed = Placed()
    if provisional:
        placed.respond(180)
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=2.0)
    placed.bench.take_sent()
    placed.bench.take_events()

    placed.respond(200, body=OFFER)

    ack, bye = placed.bench.take_sent()
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    assert (ack.method, bye.method, placed.bench.take_events()) == ("ACK", "BYE", [])
    placed.respond(200, sent=bye)
    assert (placed.call.finished, placed.call.timer_at()) == (True, None)


def test_a_far_end_that_never_answers_a_cancelled_invite_is_given_up() -> None:
    placed = Placed()
    placed.respond(180)
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=2.0)
    placed.bench.take_events()

    assert placed.call.timer_at() == 34.0
    placed.call.handle_timer(now=33.0)
    assert not placed.call.finished
    placed.call.handle_timer(now=34.0)

    assert (placed.call.finished, placed.bench.take_events()) == (True, [])


@pytest.mark.parametrize(
    ("status", "asks", "answers"),
    [(401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization")],
)
def test_a_challenge_is_answered_with_the_next_cseq(status: int, asks: str, answers: str) -> None:
    placed = Placed(credentials=Credentials("aysel", "gizli"))
    placed.respond(180)
    placed.respond(status, extra=CHALLENGE.format(asks, 1))

    ack, again = placed.bench.take_sent()
    assert isinstance(ack, Request)
    assert isinstance(again, Request)
    assert (ack.method, again.method, again.cseq.number, again.call_id) == ("ACK", "INVITE", 2, placed.call.call_id)
    assert (again.headers.first(answers) or "").startswith("Digest username=")
    assert (again.from_.tag, again.to.tag, again.via.branch != placed.invite.via.branch) == (
        placed.invite.from_.tag,
        "",
        True,
    )
    placed.respond(200, sent=again, body=OFFER)
    assert placed.call.state is State.ANSWERED


def test_a_password_that_is_refused_again_ends_the_call() -> None:
    placed = Placed(credentials=Credentials("aysel", "wrong"))
    for number in (1, 2, 3):
        placed.respond(401, extra=CHALLENGE.format("WWW-Authenticate", number))
        sent = [each for each in placed.bench.take_sent() if isinstance(each, Request) and each.method == "INVITE"]
        placed.invite = sent[0] if sent else placed.invite

    assert placed.bench.take_event(CallEnded).detail == "401 Reason"
    assert placed.call.finished


@pytest.mark.parametrize("credentials", [None, Credentials("a", "b")])
def test_a_challenge_that_cannot_be_answered_ends_the_call(credentials: Credentials | None) -> None:
    placed = Placed(credentials=credentials)
    placed.respond(401, extra="WWW-Authenticate: Basic realm=x\r\n")

    assert placed.call.finished


def test_a_challenge_to_a_call_that_we_gave_up_is_not_answered() -> None:
    placed = Placed(credentials=Credentials("a", "b"))
    placed.respond(180)
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    placed.bench.take_sent()

    placed.respond(401, extra=CHALLENGE.format("WWW-Authenticate", 1))

    assert (placed.methods(), placed.call.finished) == (["ACK"], True)


def test_a_second_answer_of_a_forked_call_is_hung_up_at_once() -> None:
    placed = Placed().answered()

    placed.respond(200, to_tag="other", body=OFFER)
    assert placed.methods() == ["ACK", "BYE"]
    placed.respond(200, to_tag="other", body=OFFER)
    assert placed.methods() == ["ACK"]
    placed.respond(200, to_tag="nowhere", contact="", body=OFFER)

    assert (placed.methods(), placed.bench.take_events(), placed.call.state) == ([], [], State.ANSWERED)


def test_there_is_a_limit_to_forks() -> None:
    placed = Placed().answered()
    for number in range(17):
        placed.respond(200, to_tag=f"fork{number}", body=OFFER)

    assert placed.methods() == ["ACK", "BYE"] * 16


def test_an_answered_call_hangs_up_holds_and_is_hung_up() -> None:
    placed = Placed().answered()
    assert placed.call.dialog is not None
    tag = placed.call.dialog.id.local_tag

    placed.call.reoffer(Direction.SENDONLY, now=2.0)
    _, invite = placed.bench.take_request()
    placed.respond(200, sent=invite, body=offer("recvonly"))
    placed.bench.take_sent()
    key, again = placed.bench.incoming(
        request("INVITE", from_tag="callee", to_tag=tag, call_id=placed.call.call_id, cseq=1, body=offer())
    )
    placed.call.receive_request(key, again, PEER, now=3.0)
    assert placed.call.timer_at() == 3.5
    placed.call.handle_timer(now=3.5)
    assert placed.bench.take_statuses() == [200, 200]
    placed.call.receive_ack(request("ACK", from_tag="callee", to_tag=tag, cseq=1), now=3.6)
    key, bye = placed.bench.incoming(
        request("BYE", branch="z9hG4bKbye", from_tag="callee", to_tag=tag, call_id=placed.call.call_id, cseq=2)
    )
    placed.call.receive_request(key, bye, PEER, now=4.0)

    assert placed.call.finished


def test_a_bye_of_ours_that_fails_ends_the_call() -> None:
    placed = Placed().answered()
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=2.0)
    key, _ = placed.bench.take_request()

    placed.call.request_failed(key, Failure.TIMEOUT, now=34.0)

    assert placed.call.finished


def test_nothing_is_offered_anew_before_the_answer() -> None:
    with pytest.raises(LocalProtocolError):
        Placed().call.reoffer(Direction.SENDONLY, now=1.0)


def test_a_failure_of_something_else_changes_nothing() -> None:
    placed = Placed()

    placed.call.request_failed(ClientKey("z9hG4bKother", "CANCEL"), Failure.TIMEOUT, now=1.0)

    assert placed.call.state is State.CALLING


def test_a_connection_that_is_lost_is_not_used_again() -> None:
    placed = Placed(flow=PEER_TCP)
    placed.call.flow_lost(PEER_TCP)
    placed.call.receive_response(placed.bench.answered(response(placed.invite, 200, body=OFFER), PEER_TCP), now=1.0)
    placed.bench.take_sent()

    placed.call.flow_lost(PEER_TCP)
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=2.0)
    placed.bench.pump()

    ((_, flow),) = placed.bench.sent
    assert flow == Flow("tcp", "192.0.2.1", 5060)


def test_what_the_network_says_of_a_failure_is_told() -> None:
    placed = Placed()
    placed.respond(480, extra="Reason: Q.850;cause=20\r\n")

    assert placed.bench.take_event(CallEnded).q850 == 20


def test_a_far_end_that_wants_fewer_refreshes_is_asked_again() -> None:
    placed = Placed(limits=CallLimits(session_s=1800))
    assert placed.invite.headers.first("Session-Expires") == "1800"
    placed.respond(422, extra="Min-SE: 7200\r\n")
    _, again = [message for message in placed.bench.take_sent() if isinstance(message, Request)]
    assert (again.headers.first("Session-Expires"), again.cseq.number) == ("7200", 2)
    placed.invite = again
    placed.call._key = ClientKey(again.via.branch, "INVITE")
    placed.respond(200, body=OFFER, extra="x: 7200;refresher=uac\r\n", now=1.0)

    assert placed.call.timer_at() == 3601.0


# Redirects: RFC 3261 section 8.1.3.4


def redirected(placed: Placed, contacts: str, status: int = 302) -> SipUri:
    placed.respond(status, contact="", extra=f"Contact: {contacts}\r\n")
    placed.bench.take_sent()
    return placed.bench.take_event(CallRedirected).target


def follow(placed: Placed, *flows: Flow) -> None:
    placed.call.follow(flows, now=2.0)
    if flows:
        placed.key, placed.invite = placed.bench.take_request()


def test_a_redirect_is_followed_within_the_same_call() -> None:
    placed = Placed()
    first = placed.invite
    assert redirected(placed, "<sip:other@192.0.2.7>") == SipUri("192.0.2.7", "other")
    assert placed.call.state is State.REDIRECTED
    follow(placed, Flow("tcp", "192.0.2.7", 5060))

    assert (str(placed.invite.uri), str(placed.invite.to)) == ("sip:other@192.0.2.7", str(first.to))
    assert (placed.invite.call_id, placed.invite.cseq.number) == (first.call_id, 2)
    placed.respond(200, body=OFFER)
    assert placed.call.state is State.ANSWERED


def test_a_target_that_may_not_be_called_makes_room_for_the_next_and_then_the_call_ends() -> None:
    placed = Placed()
    redirected(placed, "<sip:a@192.0.2.7>, <sip:b@192.0.2.7>")
    follow(placed)
    assert placed.bench.take_event(CallRedirected).target.user == "b"
    follow(placed, PEER)
    placed.respond(486)
    placed.bench.take_sent()

    assert placed.bench.take_event(CallEnded).detail == "486 Reason"
    placed.call.follow((PEER,), now=3.0)
    assert placed.bench.take_sent() == []


def test_a_call_whose_only_target_may_not_be_called_says_so() -> None:
    placed = Placed()
    redirected(placed, "<sip:a@192.0.2.7>")
    follow(placed)

    assert "may not go" in placed.bench.take_event(CallEnded).detail


def test_a_target_that_is_busy_makes_room_for_the_next_but_a_global_failure_does_not() -> None:
    placed = Placed()
    redirected(placed, "<sip:a@192.0.2.7>, <sip:b@192.0.2.7>, <sip:c@192.0.2.7>")
    follow(placed, PEER)
    placed.respond(486)
    placed.bench.take_sent()
    assert placed.bench.take_event(CallRedirected).target.user == "b"
    follow(placed, PEER)
    placed.respond(603)

    assert placed.bench.take_event(CallEnded).detail == "603 Reason"


def test_a_call_that_is_redirected_can_be_hung_up() -> None:
    placed = Placed()
    redirected(placed, "<sip:a@192.0.2.7>")
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=2.0)

    assert (placed.call.finished, placed.methods()) == (True, [])


def test_a_redirect_after_we_hung_up_is_the_end() -> None:
    placed = Placed()
    placed.respond(180)
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=1.0)
    placed.bench.take_events()
    placed.respond(302, contact="", extra="Contact: <sip:a@192.0.2.7>\r\n")

    assert (placed.call.finished, placed.bench.take_events()) == (True, [])


def test_a_password_is_not_given_to_whom_a_call_is_redirected_to() -> None:
    placed = Placed(credentials=Credentials("aysel", "gizli"))
    redirected(placed, "<sip:a@192.0.2.7>")
    follow(placed, PEER)
    placed.respond(401, extra=CHALLENGE.format("WWW-Authenticate", "n"))

    assert placed.bench.take_event(CallEnded).detail == "401 Reason"
    same = Placed(credentials=Credentials("aysel", "gizli"))
    redirected(same, "<sip:a@192.0.2.1>")
    follow(same, PEER)
    same.respond(401, extra=CHALLENGE.format("WWW-Authenticate", "n"))
    assert "INVITE" in same.methods()


def test_only_an_answered_call_of_ours_is_transferred() -> None:
    placed = Placed()
    with pytest.raises(LocalProtocolError):
        placed.call.transfer("<sip:op@pbx>", now=1.0)
    placed.answered().call.transfer("<sip:op@pbx>", now=1.0)

    assert placed.methods() == ["REFER"]


# Early dialogs: RFC 3262, RFC 3960, RFC 3311

RELIABLY = "Require: 100rel\r\nRSeq: {}\r\n"


def test_early_media_is_told_as_such_and_the_answer_in_the_200_stands() -> None:
    placed = Placed()
    placed.respond(183, body=offer(port=4500))
    _, early = placed.bench.take_events()
    placed.respond(200, body=offer(port=4600))

    assert isinstance(early, MediaAgreed)
    assert (early.early, early.parameters.remote_port) == (True, 4500)
    agreed = placed.bench.take_event(MediaAgreed)
    assert (agreed.early, agreed.parameters.remote_port) == (False, 4600)


def test_a_reliable_183_is_acknowledged_once_and_its_answer_stands() -> None:
    placed = Placed()
    placed.respond(183, body=offer(port=4500), extra=RELIABLY.format(7) + "Record-Route: <sip:192.0.2.1;lr>\r\n")
    key, prack = placed.bench.take_request()
    assert (prack.method, prack.headers.first("RAck"), prack.cseq.number) == ("PRACK", "7 1 INVITE", 2)
    assert prack.headers.first("Route") == "<sip:192.0.2.1;lr>"
    for number in (7, 9):
        placed.respond(180, extra=RELIABLY.format(number))  # a repetition, and one that came too early
    assert placed.methods() == []
    placed.respond(180, extra=RELIABLY.format(8), body=offer(port=4999))
    assert placed.methods() == ["PRACK"]
    placed.call.request_failed(key, Failure.TIMEOUT, now=2.0)
    placed.bench.take_events()

    placed.respond(200, body=offer(port=4999))
    agreed = placed.bench.take_event(MediaAgreed)
    assert (agreed.early, agreed.parameters.remote_port) == (False, 4500)
    placed.bench.take_sent()
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=3.0)
    assert placed.bench.take_request()[1].cseq.number == 4


def test_provisional_responses_that_make_no_sense_are_passed_over() -> None:
    placed = Placed()
    placed.respond(183, extra="Require: 100rel\r\n")
    placed.respond(183, extra=RELIABLY.format("x"))
    placed.respond(183, extra=RELIABLY.format(1), contact="")
    placed.respond(183, body=b"nonsense")

    assert (placed.methods(), placed.call.dialog_ids) == ([], ())
    assert all(isinstance(event, CallRinging) for event in placed.bench.take_events())


def early_request(placed: Placed, method: str, *, cseq: int = 1, to: str = "callee", **options: object) -> None:
    asked = request(
        method, branch=f"z9hG4bK{method}{cseq}{len(options)}", cseq=cseq, call_id=placed.call.call_id,
        to_tag=placed.invite.from_.tag, from_tag=to, **options,
    )  # fmt: skip
    key, received = placed.bench.incoming(asked)
    placed.call.receive_request(key, received, PEER, now=2.0)


def test_a_far_end_that_rings_reliably_may_change_the_early_media() -> None:
    placed = Placed()
    placed.respond(183, body=offer(port=4500), extra=RELIABLY.format(7))
    placed.bench.take_sent()
    placed.bench.take_events()
    early_request(placed, "UPDATE", body=offer(port=4700, version=2))
    assert placed.bench.take_response().body.startswith(b"v=0")
    assert placed.bench.take_event(MediaAgreed).parameters.remote_port == 4700
    early_request(placed, "UPDATE", cseq=2)
    early_request(placed, "UPDATE", cseq=2, extra="X: y\r\n")
    early_request(placed, "UPDATE", cseq=3, body=OFFER.replace(b"0 8", b"9 18"))
    early_request(placed, "UPDATE", cseq=4, body=b"x", extra="Content-Type: a/b\r\n")
    early_request(placed, "INFO", cseq=5)
    early_request(placed, "UPDATE", cseq=6, to="stranger")
    assert placed.bench.take_statuses() == [200, 500, 488, 415, 481, 481]
    placed.call.receive_ack(request("ACK"), now=2.0)

    placed.respond(200)
    assert placed.bench.take_event(MediaAgreed).parameters.remote_port == 4700
    early_request(placed, "OPTIONS", cseq=7)
    assert placed.bench.take_statuses() == [200]


def test_an_update_before_the_answer_to_our_offer_is_too_early() -> None:
    placed = Placed()
    placed.respond(180, extra=RELIABLY.format(7))
    placed.bench.take_sent()
    early_request(placed, "UPDATE", body=OFFER)

    assert placed.bench.take_statuses() == [491]


def test_a_request_that_goes_back_in_an_early_dialog_is_refused() -> None:
    placed = Placed()
    placed.respond(180, extra=RELIABLY.format(7))
    placed.bench.take_sent()
    early_request(placed, "UPDATE", cseq=5)
    early_request(placed, "UPDATE", cseq=4)

    assert placed.bench.take_statuses() == [200, 500]


def test_branches_without_end_are_not_all_followed() -> None:
    placed = Placed()
    for number in range(20):
        placed.respond(180, to_tag=f"branch{number}", extra=RELIABLY.format(7))

    assert len(placed.call.dialog_ids) == 16


def test_a_branch_that_rang_reliably_and_answers_second_is_hung_up() -> None:
    placed = Placed()
    placed.respond(180, to_tag="late", extra=RELIABLY.format(7))
    placed.respond(200, body=OFFER)
    placed.bench.take_sent()
    placed.respond(200, to_tag="late", body=OFFER)

    ack, bye = placed.bench.take_sent()
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    assert (ack.method, ack.to.tag, bye.method, bye.cseq.number) == ("ACK", "late", "BYE", 3)


def test_only_a_call_that_is_up_can_be_left_to_somebody_else() -> None:
    placed = Placed()
    assert placed.call.leave(now=1.0) is None
    assert placed.answered().call.leave(now=1.0) == LOCAL

    assert (placed.methods(), placed.bench.take_events()) == (["BYE"], [])


SECOND, THIRD = Flow("udp", "192.0.2.2", 5060), Flow("tcp", "192.0.2.3", 5070)


def test_a_server_that_has_no_service_to_give_is_passed_over_for_the_next() -> None:
    placed = Placed(others=(SECOND, THIRD))
    first = placed.invite
    placed.respond(503, extra="Retry-After: 20 (soon)\r\n")
    placed.next()

    assert placed.bench.take_event(ServerFailed) == ServerFailed("call", PEER, 20.0)
    assert (placed.invite.call_id, placed.invite.cseq.number) == (first.call_id, 2)
    assert (str(placed.invite.uri), placed.invite.via.branch == first.via.branch) == (str(first.uri), False)
    placed.respond(503)
    placed.next()
    assert placed.bench.take_event(ServerFailed) == ServerFailed("call", SECOND)
    assert placed.invite.via.transport == "TCP"
    placed.respond(503)
    assert placed.ended().detail == "503 Reason"


@pytest.mark.parametrize("failure", Failure)
def test_a_server_that_is_out_of_reach_is_passed_over(failure: Failure) -> None:
    placed = Placed(others=(SECOND,))
    placed.call.request_failed(placed.key, failure, now=1.0)
    placed.next()

    assert placed.bench.take_event(ServerFailed) == ServerFailed("call", PEER)
    placed.respond(200, body=OFFER)
    assert placed.call.state is State.ANSWERED


@pytest.mark.parametrize("status", [404, 480, 486, 500, 603, 604])
def test_what_the_callee_says_is_final_whatever_servers_are_left(status: int) -> None:
    placed = Placed(others=(SECOND,))
    placed.respond(status)

    assert placed.methods() == ["ACK"]
    assert placed.ended().detail == f"{status} Reason"


def test_a_408_is_the_servers_before_it_rings_and_the_callees_after() -> None:
    silent, rang = Placed(others=(SECOND,)), Placed(others=(SECOND,))
    silent.respond(100, to_tag="")
    silent.respond(408)
    rang.respond(180)
    rang.respond(408)

    assert (silent.methods(), rang.methods()) == (["ACK", "INVITE"], ["ACK"])
    assert rang.call.finished


def test_a_server_that_is_silent_is_passed_over_long_before_timer_b() -> None:
    placed = Placed(others=(SECOND,))
    assert placed.call.timer_at() == 4.0
    placed.call.handle_timer(now=4.0)
    placed.next()

    assert placed.bench.take_event(ServerFailed) == ServerFailed("call", PEER)
    assert placed.call.timer_at() == 9.0  # the last server has all the time there is; a copy of the first INVITE, T4
    placed.call.handle_timer(now=9.0)
    assert placed.call.timer_at() is None
    placed.respond(200, body=OFFER)
    assert placed.call.state is State.ANSWERED


def test_a_server_that_answers_at_all_is_waited_for() -> None:
    placed = Placed(others=(SECOND,))
    placed.respond(100, to_tag="")
    assert placed.call.timer_at() is None
    placed.call.handle_timer(now=9.0)
    assert placed.methods() == []


def test_what_a_silent_server_makes_ring_after_all_is_cancelled() -> None:
    placed = Placed(others=(SECOND,))
    late = placed.invite
    placed.call.handle_timer(now=4.0)
    placed.next()
    placed.respond(180, sent=late)
    cancel = placed.bench.take_sent()[0]
    placed.respond(180, sent=late)

    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.via.branch, cancel.cseq.number) == ("CANCEL", late.via.branch, 1)
    assert placed.methods() == []
    placed.respond(487, sent=late)
    assert (placed.methods(), placed.call.state) == (["ACK"], State.CALLING)


def test_an_answer_of_a_server_that_was_passed_over_is_hung_up() -> None:
    placed = Placed(others=(SECOND,))
    late = placed.invite
    placed.call.handle_timer(now=4.0)
    placed.next()
    placed.respond(200, sent=late, body=OFFER)

    assert (placed.methods(), placed.call.state) == (["ACK", "BYE"], State.CALLING)


def test_a_call_is_kept_until_a_server_that_was_passed_over_can_make_nothing_ring() -> None:
    placed = Placed(others=(SECOND,))
    late = placed.key
    placed.call.handle_timer(now=4.0)
    placed.next()
    placed.respond(486)

    assert (placed.ended().detail, placed.call.state, placed.call.finished) == ("486 Reason", State.ENDED, False)
    placed.call.request_failed(late, Failure.TRANSPORT, now=5.0)
    assert placed.call.finished


def test_a_server_that_was_passed_over_is_sent_nothing_more() -> None:
    placed = Placed(others=(SECOND,))
    placed.call.handle_timer(now=4.0)
    placed.next()
    placed.bench.layer.handle_timer(now=20.0)
    placed.bench.pump()

    assert {flow.host for _, flow in placed.bench.sent} == {SECOND.host}


def test_a_call_that_is_over_waits_for_what_it_cancelled_at_a_server_that_was_passed_over() -> None:
    placed = Placed(others=(SECOND,))
    late = placed.invite
    placed.call.handle_timer(now=4.0)
    placed.next()
    placed.respond(180, sent=late, now=5.0)
    placed.respond(486, now=6.0)

    assert (placed.call.finished, placed.call.timer_at()) == (False, 37.0)
    placed.respond(487, sent=late, now=7.0)
    assert placed.call.finished


def test_what_rings_long_after_its_server_was_passed_over_is_cancelled_too() -> None:
    placed = Placed(others=(SECOND,))
    late = placed.invite
    placed.call.handle_timer(now=4.0)
    placed.next()
    placed.call.handle_timer(now=9.0)
    placed.respond(180, sent=late, now=10.0)

    assert (placed.methods(), placed.call.timer_at()) == (["CANCEL"], None)


def test_whoever_hangs_up_asks_no_other_server() -> None:
    placed = Placed(others=(SECOND,))
    placed.call.hang_up(EndCause.BOT_HUNG_UP, now=1.0)

    assert placed.call.timer_at() is None
    placed.respond(503)
    assert (placed.methods(), placed.call.finished) == (["ACK"], True)


def test_a_new_target_has_servers_of_its_own() -> None:
    placed = Placed(others=(SECOND,))
    redirected(placed, "<sip:a@192.0.2.7>")
    follow(placed, SECOND, THIRD)
    placed.respond(503)
    placed.next()

    assert (placed.invite.via.transport, str(placed.invite.uri)) == ("TCP", "sip:a@192.0.2.7")


def test_only_an_answered_call_of_ours_is_sent_keys() -> None:
    placed = Placed()
    with pytest.raises(LocalProtocolError):
        placed.call.press("1", now=1.0)
    placed.answered()

    assert placed.call.press("1", now=1.0)
    assert placed.methods() == ["INFO"]
