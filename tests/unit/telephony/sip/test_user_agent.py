"""The user agent: requests of every kind, and two agents that talk to each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.errors import LegEndedError, LocalProtocolError
from telephony.leg import EndCause
from telephony.sip.auth import Credentials
from telephony.sip.destination import Destination
from telephony.sip.events import (
    CallEnded,
    CallForgotten,
    CallOffered,
    CallReplaced,
    CallRinging,
    DigitPressed,
    KeysSent,
    MediaAgreed,
    MessageRefused,
    UserAgentOutput,
)
from telephony.sip.flow import Flow, Transmit
from telephony.sip.message import Request, Response, parse_message
from telephony.sip.offer_answer import Direction, LocalAudio
from telephony.sip.uri import SipUri
from telephony.sip.user_agent import UserAgent
from tests.fakes.link import LinkQuality
from tests.unit.telephony.sip.agents import Agent, Pair
from tests.unit.telephony.sip.machines import drain, play
from tests.unit.telephony.sip.messages import OFFER, PEER, PEER_TCP, request_bytes, response_bytes

US = LocalAudio("192.0.2.9", 20_000)


def agent(**options: object) -> Agent:
    return Agent("192.0.2.9", **options)  # type: ignore[arg-type] - passed on as they are


def send(core: UserAgent, data: bytes, flow: Flow = PEER, *, now: float = 0.0) -> list[UserAgentOutput]:
    core.receive(data, flow, now=now)
    return drain(core)


def responses(outputs: list[UserAgentOutput]) -> list[Response]:
    messages = [parse_message(output.data) for output in outputs if isinstance(output, Transmit)]
    return [message for message in messages if isinstance(message, Response)]


def statuses(outputs: list[UserAgentOutput]) -> list[int]:
    return [response.status for response in responses(outputs)]


def ring(core: UserAgent, flow: Flow = PEER, **options: object) -> tuple[str, str]:
    """Let a call come in: its handle and our tag."""
    outputs = send(core, request_bytes(**{"body": OFFER, **options}), flow)  # type: ignore[arg-type] - as above
    (handle,) = [output.handle for output in outputs if isinstance(output, CallOffered)]
    return handle, responses(outputs)[0].to.tag


# Single requests


def test_a_call_rings_is_answered_acknowledged_and_hung_up() -> None:
    core = agent().core
    handle, tag = ring(core)
    assert core.sip_call_id(handle) == "call-1"

    core.answer(handle, US, now=1.0)
    assert statuses(outputs := drain(core)) == [200]
    assert [type(output) for output in outputs] == [MediaAgreed, Transmit]
    send(core, request_bytes("ACK", branch="z9hG4bKack", to_tag=tag), now=1.1)
    assert core.timer_at() == 33.0  # the INVITE's transaction absorbs what is left of it
    ended = send(core, request_bytes("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag), now=2.0)

    assert statuses(ended) == [200]
    assert [type(output) for output in ended[:-1]] == [CallEnded, CallForgotten]
    assert core.call_count == 0


@pytest.mark.parametrize(
    ("message", "status"),
    [
        pytest.param(request_bytes("OPTIONS"), 200, id="OPTIONS"),
        pytest.param(request_bytes("REGISTER"), 405, id="REGISTER"),
        pytest.param(request_bytes(uri="sips:bot@192.0.2.9"), 416, id="sips"),
        pytest.param(request_bytes().replace(b"Forwards: 70", b"Forwards: 0"), 483, id="loop"),
        pytest.param(request_bytes().replace(b"Forwards: 70", b"Forwards: x"), 400, id="Max-Forwards"),
        pytest.param(request_bytes(extra="Require: precondition\r\n"), 420, id="Require"),
        pytest.param(request_bytes(body=b"x", extra="Content-Type: text/html\r\n"), 415, id="text"),
        pytest.param(request_bytes(body=b"v=0\r\n"), 400, id="wrong SDP"),
        pytest.param(request_bytes(body=OFFER.replace(b"0 8", b"4 18")), 488, id="no codec"),
        pytest.param(request_bytes(body=OFFER.replace(b"audio 4000", b"audio 0")), 488, id="port 0"),
        pytest.param(request_bytes(body=OFFER, contact=""), 400, id="no Contact"),
        pytest.param(request_bytes(body=OFFER, contact="<tel:1>"), 400, id="no sip Contact"),
        pytest.param(request_bytes("REFER", extra="Refer-To: <sip:+990@evil.example>\r\n"), 403, id="REFER"),
        pytest.param(request_bytes(body=OFFER, extra="Supported: timer\r\nx: 30\r\n"), 422, id="brief session"),
        pytest.param(request_bytes(body=OFFER, extra="x: 1800\r\nMin-SE: soon\r\n"), 400, id="Min-SE"),
        pytest.param(request_bytes(body=OFFER, extra='x: 1800\r\nSupported: "timer\r\n'), 400, id="Supported"),
        pytest.param(request_bytes("NOTIFY", extra="Event: message-summary\r\n"), 481, id="NOTIFY"),
        pytest.param(request_bytes("BYE"), 481, id="BYE"),
        pytest.param(request_bytes("INFO"), 481, id="INFO"),
        pytest.param(request_bytes("BYE", to_tag="gone"), 481, id="BYE to a call that is gone"),
        pytest.param(request_bytes("INVITE", to_tag="gone", body=OFFER), 481, id="re-INVITE to a call that is gone"),
        pytest.param(request_bytes("CANCEL"), 481, id="CANCEL"),
        pytest.param(request_bytes().replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"), 400, id="CSeq"),
        pytest.param(request_bytes().replace(b"SIP/2.0\r\n", b"SIP/3.0\r\n", 1), 505, id="version"),
    ],
)
@pytest.mark.parametrize("flow", [PEER, PEER_TCP], ids=["udp", "tcp"])
def test_a_request_gets_the_answer_that_it_deserves(message: bytes, status: int, flow: Flow) -> None:
    core = agent().core

    outputs = send(core, message, flow)

    assert statuses(outputs) == [status]
    assert [output.flow for output in outputs if isinstance(output, Transmit)] == [flow]
    assert responses(outputs)[0].to.tag
    assert core.call_count == 0


def test_a_405_says_what_is_allowed_and_a_415_what_is_accepted() -> None:
    core = agent().core

    (not_allowed,) = responses(send(core, request_bytes("SUBSCRIBE")))
    (unsupported,) = responses(send(core, request_bytes(body=b"x", extra="Content-Type: a/b\r\n")))

    assert "INVITE" in (not_allowed.headers.first("Allow") or "")
    assert "application/sdp" in (unsupported.headers.first("Accept") or "")


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\x00" * 4])
def test_a_keep_alive_is_not_answered(data: bytes) -> None:
    assert send(agent().core, data) == []


def test_what_is_not_sip_is_counted_and_never_raises() -> None:
    core = agent().core

    assert send(core, b"GET / HTTP/1.1\r\n\r\n") == [
        MessageRefused(PEER, "the first line is neither a request nor a status line")
    ]
    (noted, answer) = send(core, request_bytes().replace(b"Forwards: 70", b"Forwards: -1"))
    assert (type(noted), type(answer)) == (MessageRefused, Transmit)


def test_a_stray_ack_or_response_is_dropped() -> None:
    core = agent().core
    ok = f"SIP/2.0 200 OK\r\n{request_bytes().decode().split(chr(10), 1)[1]}".encode()

    assert send(core, request_bytes("ACK", to_tag="x")) == []
    assert send(core, ok) == []


def test_a_full_house_answers_503_with_retry_after() -> None:
    core = agent(admit=lambda: 11).core

    (refusal,) = responses(send(core, request_bytes(body=OFFER)))

    assert (refusal.status, refusal.headers.first("Retry-After"), core.call_count) == (503, "11", 0)


def test_a_request_that_comes_by_two_paths_is_answered_once() -> None:
    core = agent().core
    ring(core)

    assert statuses(send(core, request_bytes(branch="z9hG4bKother", body=OFFER))) == [482]
    assert core.call_count == 1


def test_a_cancel_before_the_answer_ends_the_call() -> None:
    core = agent().core
    _, tag = ring(core)

    outputs = send(core, request_bytes("CANCEL"))

    assert [(response.status, response.cseq.method, response.to.tag) for response in responses(outputs)] == [
        (200, "CANCEL", tag),
        (487, "INVITE", tag),
    ]
    assert [output.cause for output in outputs if isinstance(output, CallEnded)] == [EndCause.CANCELLED]
    assert send(core, request_bytes("ACK", to_tag=tag)) == []
    assert core.call_count == 0


def test_a_cancel_that_crosses_the_answer_is_accepted_and_has_no_effect() -> None:
    core = agent().core
    handle, _ = ring(core)
    core.answer(handle, US, now=1.0)
    drain(core)

    assert statuses(send(core, request_bytes("CANCEL"), now=1.1)) == [200]
    assert core.call_count == 1


def test_a_cancel_of_a_re_invite_finds_it_answered() -> None:
    core = agent().core
    handle, tag = ring(core)
    core.answer(handle, US, now=1.0)
    send(core, request_bytes("ACK", branch="z9hG4bKack", to_tag=tag))
    send(core, request_bytes(branch="z9hG4bKre", cseq=2, to_tag=tag, body=OFFER))

    assert statuses(send(core, request_bytes("CANCEL", branch="z9hG4bKre", cseq=2, to_tag=tag))) == [200]


def test_a_call_without_an_offer_gets_ours() -> None:
    core = agent().core
    handle, tag = ring(core, body=b"")
    core.answer(handle, US, now=1.0)
    (ok,) = responses(drain(core))
    assert b"m=audio 20000 RTP/AVP 0 8 101" in ok.body

    outputs = send(core, request_bytes("ACK", branch="z9hG4bKack", to_tag=tag, body=OFFER))

    assert [output.parameters.remote_port for output in outputs if isinstance(output, MediaAgreed)] == [4000]


def test_key_presses_come_in_info_and_a_broken_one_is_an_error() -> None:
    core = agent().core
    handle, tag = ring(core)
    core.answer(handle, US, now=1.0)
    relay = {"extra": "Content-Type: application/dtmf-relay\r\n", "to_tag": tag}

    pressed = send(core, request_bytes("INFO", branch="z9hG4bK2", cseq=2, body=b"Signal=*", **relay))
    broken = send(core, request_bytes("INFO", branch="z9hG4bK3", cseq=3, body=b"Signal=", **relay))
    required = send(core, request_bytes("INFO", branch="z9hG4bK4", cseq=4, to_tag=tag, extra="Require: x\r\n"))

    assert [output.digit.digit for output in pressed if isinstance(output, DigitPressed)] == ["*"]
    assert [statuses(outputs)[-1] for outputs in (pressed, broken, required)] == [200, 400, 420]


def test_a_call_can_be_rejected_once() -> None:
    core = agent().core
    handle, _ = ring(core)

    core.reject(handle, 486, now=1.0)

    assert statuses(drain(core)) == [486]
    for late in (lambda: core.reject(handle, 486, now=1.0), lambda: core.answer(handle, US, now=1.0)):
        with pytest.raises(LegEndedError):
            late()
    core.hang_up(handle, now=1.0)
    assert drain(core) == []


def test_a_call_that_was_placed_here_is_not_answered_here() -> None:
    both = pair()
    handle = both.left.call(both.right)

    with pytest.raises(LocalProtocolError):
        both.left.core.answer(handle, both.left.audio, now=0.0)


def test_what_comes_for_a_call_that_is_forgotten_is_dropped() -> None:
    both = pair()
    both.left.call(both.right)
    both.settle()
    both.right.core.answer(both.right.offered(), both.right.audio, now=0.0)
    both.settle()
    (ok,) = [data for data in both.right.sent if data.startswith(b"SIP/2.0 200") and b"INVITE" in data]
    both.right.core.hang_up(both.right.offered(), now=0.0)
    both.settle()
    assert both.left.core.call_count == 0

    assert send(both.left.core, ok) == []


def test_a_cancel_that_nobody_answers_outlives_its_call() -> None:
    both = pair()
    handle = both.left.call(both.right)
    both.settle()
    both.left.core.hang_up(handle, now=0.0)
    both.right.core.reject(both.right.offered(), 486, now=0.0)
    (busy,) = [output.data for output in drain(both.right.core) if isinstance(output, Transmit)]
    send(both.left.core, busy)
    assert (both.left.core.call_count, both.left.core.transaction_count) == (0, 2)

    play(both.left.core)  # with nobody at the other end

    assert both.left.core.transaction_count == 0


def test_an_agent_that_holds_too_much_refuses_more() -> None:
    core = agent().core
    core._transactions._max = 0

    assert statuses(send(core, request_bytes(body=OFFER))) == [503]


def test_a_connection_that_is_lost_is_told_to_calls_and_transactions() -> None:
    core = agent().core
    handle, tag = ring(core, PEER_TCP, transport="TCP")
    core.answer(handle, US, now=1.0)
    send(core, request_bytes("ACK", branch="z9hG4bKack", to_tag=tag), PEER_TCP)

    core.flow_lost(PEER_TCP, now=2.0)
    core.hang_up(handle, now=2.0)

    assert [output.flow for output in drain(core) if isinstance(output, Transmit)] == [Flow("tcp", "192.0.2.1", 5060)]


METHODS = st.sampled_from(["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "REGISTER"])
EDITS = st.lists(
    st.tuples(
        st.integers(0, 700),
        st.integers(0, 10),
        st.binary(max_size=6) | st.sampled_from([b"\r\n", b'"', b"<", b";", b",", b"\xff", b"99999999999", b"\r\n "]),
    ),
    max_size=4,
)


@settings(max_examples=80)
@given(
    messages=st.lists(st.tuples(METHODS, st.integers(0, 3), st.booleans(), st.sampled_from([b"", OFFER]), EDITS)),
    answered=st.booleans(),
)
def test_no_message_however_broken_makes_the_agent_raise(
    messages: list[tuple[str, int, bool, bytes, list[tuple[int, int, bytes]]]], *, answered: bool
) -> None:
    core = agent().core
    handle, tag = ring(core)
    if answered:
        core.answer(handle, US, now=0.0)
    for number, (method, cseq, in_dialog, body, edits) in enumerate(messages):
        data = request_bytes(
            method,
            branch=f"z9hG4bK{number}",
            cseq=cseq,
            to_tag=tag if in_dialog else "",
            body=body,
            via_params=";rport",
        )
        for at, length, inserted in edits:
            data = data[:at] + inserted + data[at + length :]
        for output in send(core, data, now=0.1 * number):
            if isinstance(output, Transmit) and not output.data.startswith(b"SIP/2.0 400 "):
                parse_message(output.data)  # a 400 repeats headers that may be broken

    assert 200 in statuses(send(core, request_bytes("OPTIONS", branch="z9hG4bKlast", call_id="last"), now=50.0))


# Two agents


def pair(quality: LinkQuality | None = None, *, seed: int = 0, **options: object) -> Pair:
    right = Agent("192.0.2.2", salt=1_000_000, **options)  # type: ignore[arg-type] - passed on as they are
    return Pair(Agent("192.0.2.1"), right, quality=quality, seed=seed)


def test_a_call_goes_through_hold_and_ends_on_both_sides() -> None:
    both = pair()
    handle = both.left.call(both.right)
    both.settle()
    assert [event.status for event in both.left.of(CallRinging)] == [180]
    answered = both.right.offered()
    both.right.core.answer(answered, both.right.audio, now=0.0)
    both.settle()
    both.left.core.reoffer(handle, Direction.SENDONLY, now=0.0)
    both.settle()
    both.right.core.reoffer(answered, Direction.SENDRECV, now=0.0)
    both.settle()
    both.right.core.hang_up(answered, reason="Q.850;cause=16", now=0.0)
    both.play(until=100.0)

    assert [(each.send, each.receive) for each in both.right.media()] == [(True, True), (False, True), (False, True)]
    assert (both.left.causes(), both.right.causes()) == ([EndCause.CALLER_HUNG_UP], [EndCause.BOT_HUNG_UP])
    assert both.is_quiet()


def test_a_caller_with_the_right_password_gets_in() -> None:
    both = pair(passwords={"aysel": "gizli"})
    both.left.call(both.right, credentials=Credentials("aysel", "gizli"))
    both.settle()
    assert both.right.offered()
    both.left.call(both.right, credentials=Credentials("aysel", "wrong"))
    both.left.call(both.right)
    both.settle()

    assert len(both.right.of(CallOffered)) == 1
    assert [event.detail for event in both.left.of(CallEnded)] == ["401 Unauthorized"] * 2


def test_re_invites_that_cross_both_come_through_in_the_end() -> None:
    both = pair(LinkQuality(delay_s=0.05))
    handle = both.left.call(both.right)
    both.play(until=1.0)
    answered = both.right.offered()
    both.right.core.answer(answered, both.right.audio, now=both.now)
    both.play(until=2.0)

    both.left.core.reoffer(handle, Direction.SENDONLY, now=both.now)
    both.right.core.reoffer(answered, Direction.SENDONLY, now=both.now)
    both.play(until=20.0)

    assert any(b" 491 " in data.split(b"\r\n")[0] for data in both.left.sent)
    assert (both.left.media()[-1].receive, both.right.media()[-1].receive) == (False, False)


def test_a_far_end_that_is_not_there_is_given_up() -> None:
    both = pair(LinkQuality(loss=1.0))
    both.left.call(both.right)
    both.play(until=100.0)

    assert [event.detail for event in both.left.of(CallEnded)] == ["no answer to INVITE: timeout"]
    assert both.is_quiet()


PLANS = ("callee hangs up", "caller hangs up", "both hang up", "cancel", "reject", "race")


def answer_or_reject(right: Agent, plan: str) -> Callable[[UserAgentOutput, float], None]:
    def react(event: UserAgentOutput, now: float) -> None:
        if isinstance(event, CallOffered) and plan == "reject":
            right.core.reject(event.handle, 486, now=now)
        elif isinstance(event, CallOffered) and plan != "cancel":
            right.core.answer(event.handle, right.audio, now=now)

    return react


def hang_up_all(side: Agent, cause: EndCause, now: float) -> None:
    for handle in side.alive():
        side.core.hang_up(handle, cause, now=now)


def play_plan(both: Pair, plan: str, holders: list[Agent]) -> str:
    """One call from its INVITE to the silence after it; the caller's handle."""
    both.right.react = answer_or_reject(both.right, plan)
    handle = both.left.call(both.right)
    if plan == "race":  # the CANCEL meets the 200 on its way
        both.play(until=0.06)
        both.left.core.hang_up(handle, now=both.now)
    both.play(until=5.0)
    for side in holders:
        for each in side.established():
            side.core.reoffer(each, Direction.SENDONLY, now=both.now)
    both.play(until=10.0)
    if plan in ("caller hangs up", "both hang up", "cancel"):
        hang_up_all(both.left, EndCause.BOT_HUNG_UP, both.now)
    if plan in ("callee hangs up", "both hang up"):
        hang_up_all(both.right, EndCause.BOT_HUNG_UP, both.now)
    both.play(until=400.0)
    # What one side took for lost may still stand on the other: the silence of its media ends it.
    hang_up_all(both.left, EndCause.MEDIA_TIMEOUT, both.now)
    hang_up_all(both.right, EndCause.MEDIA_TIMEOUT, both.now)
    both.play(until=1000.0)
    return handle


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32),
    quality=st.builds(
        LinkQuality,
        st.floats(0.05, 0.3),
        st.floats(0.0, 0.3),
        st.floats(0.0, 0.3),
        delay_s=st.just(0.02),
        jitter_s=st.just(0.03),
    ),
    plan=st.sampled_from(PLANS),
    hold=st.sampled_from(["", "left", "right", "left right"]),
)
def test_over_a_bad_link_both_sides_always_end_alike(seed: int, quality: LinkQuality, plan: str, hold: str) -> None:
    both = pair(quality, seed=seed)
    left, right = both.left, both.right

    handle = play_plan(both, plan, [side for side, name in ((left, "left"), (right, "right")) if name in hold])

    assert both.is_quiet()
    for side, placed in ((left, [handle]), (right, [])):
        begun = sorted(placed + [event.handle for event in side.of(CallOffered)])
        assert sorted(event.handle for event in side.of(CallEnded)) == begun
        assert sorted(event.handle for event in side.of(CallForgotten)) == begun
    # Nobody has media with a far end that never answered.
    assert not left.media() or right.media()
    for data in (*left.sent, *right.sent):
        parse_message(data)


def test_requests_of_ours_name_us_and_the_way_back() -> None:
    both = pair()
    both.left.call(both.right)
    both.settle()

    invite = parse_message(both.left.sent[0])
    assert isinstance(invite, Request)
    assert (invite.via.host, invite.via.wants_rport) == ("192.0.2.1", True)
    assert invite.headers.first("User-Agent") == "Zeng"


def test_a_transfer_needs_a_call_and_a_target_and_news_of_no_call_are_dropped() -> None:
    pair = Pair(Agent("192.0.2.1"), Agent("192.0.2.2", salt=1000))
    handle = pair.left.call(pair.right)
    pair.settle()
    with pytest.raises(LocalProtocolError):
        pair.left.core.transfer(handle, None, now=0.0)
    with pytest.raises(LegEndedError):
        pair.left.core.transfer("gone", None, now=0.0)
    pair.left.core.follow("gone", (), now=0.0)
    pair.left.core.follow(handle, (), now=0.0)

    assert pair.left.alive() == [handle]


# Replaces: RFC 3891


def up(*, accepts_replaces: bool = True, by_us: bool = False, **options: Any) -> tuple[Pair, Agent, str]:
    """A call between a customer (left) and the bot (right); the bot's handle of it."""
    bot = Agent("192.0.2.2", salt=1000, accepts_replaces=accepts_replaces, **options)
    pair = Pair(Agent("192.0.2.1"), bot)
    answerer = pair.left if by_us else bot
    answerer.react = lambda event, now: (
        answerer.core.answer(event.handle, answerer.audio, now=now) if isinstance(event, CallOffered) else None
    )
    (bot if by_us else pair.left).call(answerer)
    pair.play(until=1.0)
    (handle,) = bot.alive()
    bot.events.clear()
    bot.sent.clear()
    return pair, bot, handle


def replacing(bot: Agent, handle: str, extra: str = "", *, early: str = "") -> bytes:
    dialog = bot.core._calls._calls[handle].dialog
    assert dialog is not None
    its = dialog.id
    header = f"Replaces: {its.call_id};to-tag={its.local_tag};from-tag={its.remote_tag}{early}\r\n"
    return request_bytes(body=OFFER, call_id="newcomer", extra=header + extra)


@pytest.mark.parametrize("by_us", [False, True])
def test_a_newcomer_takes_the_place_of_the_caller_and_the_bots_call_goes_on(by_us: bool) -> None:
    pair, bot, handle = up(by_us=by_us)
    before = bot.core.sip_call_id(handle)
    bot.core.receive(replacing(bot, handle, "Require: replaces\r\n"), PEER, now=2.0)
    pair.settle()

    sent = [parse_message(data) for data in bot.sent]
    assert [m.method if isinstance(m, Request) else m.status for m in sent] == ["BYE", 200]
    assert bot.of(CallReplaced) == [CallReplaced(handle, before, "newcomer")]
    assert (bot.causes(), len(bot.of(CallOffered)), len(bot.media())) == ([], 0, 1)
    assert (bot.core.sip_call_id(handle), bot.alive()) == ("newcomer", [handle])
    assert pair.left.causes()[-1] is EndCause.CALLER_HUNG_UP
    assert sent[-1].headers.first("Supported") == "100rel, replaces, timer"
    tag = sent[-1].to.tag
    bot.core.receive(request_bytes("ACK", branch="z9hG4bKa", to_tag=tag, call_id="newcomer"), PEER, now=2.1)
    bot.core.receive(request_bytes("BYE", branch="z9hG4bKb", cseq=2, to_tag=tag, call_id="newcomer"), PEER, now=3.0)
    pair.play(until=100.0)
    assert (bot.causes(), pair.is_quiet()) == ([EndCause.CALLER_HUNG_UP], True)


@pytest.mark.parametrize(
    ("early", "other", "status"), [(";early-only", False, 486), ("", True, 481)], ids=["early", "other"]
)
def test_a_call_that_is_not_there_or_not_early_is_not_replaced(early: str, other: bool, status: int) -> None:
    _, bot, handle = up()
    data = replacing(bot, handle, early=early)
    outputs = send(bot.core, data.replace(b";to-tag=", b";to-tag=x") if other else data)

    assert (statuses(outputs), bot.alive()) == ([status], [handle])


def test_a_call_in_the_middle_of_something_is_not_replaced() -> None:
    _, bot, handle = up()
    bot.core.reoffer(handle, Direction.SENDONLY, now=1.5)
    outputs = send(bot.core, replacing(bot, handle))

    assert (statuses(outputs), bot.alive()) == ([491], [handle])


def test_where_it_is_not_accepted_it_is_a_call_like_any_other() -> None:
    _, bot, handle = up(accepts_replaces=False)

    assert statuses(send(bot.core, replacing(bot, handle))) == [180]
    required = replacing(bot, handle, "Require: replaces\r\n").replace(b"z9hG4bKone", b"z9hG4bKtwo")
    assert statuses(send(bot.core, required.replace(b"newcomer", b"another"))) == [420]


def test_a_trunk_that_is_trusted_is_not_asked_for_a_password() -> None:
    def answers(*networks: str) -> list[int]:
        core = Agent("192.0.2.9", passwords={"aysel": "gizli"}, trusted=networks).core
        return statuses(send(core, request_bytes(body=OFFER)))

    assert (answers(), answers("192.0.2.0/30")) == ([401], [180])


def test_keys_go_by_info_to_the_other_side() -> None:
    pair, bot, handle = up()
    assert bot.core.press(handle, "5#", now=pair.now)
    pair.play(until=5.0)

    assert [event.digit.digit for event in pair.left.of(DigitPressed)] == ["5", "#"]
    assert bot.of(KeysSent) == [KeysSent(handle, 2, 200)]


OTHERS = ("198.51.100.0/24",)


@pytest.mark.parametrize(
    ("trusted", "passwords", "status"),
    [
        (("192.0.2.1",), {}, 200),
        (("198.51.100.0/24",), {}, 403),
        ((), {}, 200),
        (("198.51.100.0/24",), {"a": "b"}, 401),
    ],
)
def test_where_somebody_is_trusted_only_they_and_who_has_a_password_take_a_calls_place(
    trusted: tuple[str, ...], passwords: dict[str, str], status: int
) -> None:
    pair, bot, handle = up(by_us=True, trusted=trusted, passwords=passwords)
    bot.core.receive(replacing(bot, handle), PEER, now=2.0)
    pair.settle()

    answers = [m.status for data in bot.sent if isinstance(m := parse_message(data), Response)]
    assert answers == [status]


# What peers leave undone


def placed(core: UserAgent) -> tuple[str, Request]:
    """Place a call to the peer: its handle and its INVITE."""
    handle = core.place_call(Destination(SipUri(PEER.host, "callee"), PEER), US, now=0.0)
    return handle, requests(drain(core))[-1]


def requests(outputs: list[UserAgentOutput]) -> list[Request]:
    messages = [parse_message(output.data) for output in outputs if isinstance(output, Transmit)]
    return [message for message in messages if isinstance(message, Request)]


def test_an_early_dialog_that_a_redirect_has_left_behind_is_known_no_more() -> None:
    core = agent().core
    handle, invite = placed(core)
    send(core, response_bytes(invite, 183, to_tag="early", extra="Require: 100rel\r\nRSeq: 1\r\n"))
    send(core, response_bytes(invite, 302, extra="Contact: <sip:other@192.0.2.1>\r\n"))
    core.follow(handle, [PEER], now=1.0)
    again = requests(drain(core))[-1]
    send(core, response_bytes(again, 486))
    assert core.call_count == 0

    update = request_bytes("UPDATE", call_id=invite.call_id, from_tag="early", to_tag=invite.from_.tag)

    assert statuses(send(core, update)) == [481]


def test_an_invite_that_never_gets_a_final_response_goes_with_its_call() -> None:
    core = agent().core
    handle, invite = placed(core)
    send(core, response_bytes(invite, 180))
    core.hang_up(handle, now=1.0)
    (cancel,) = requests(drain(core))
    send(core, response_bytes(cancel, 200), now=1.0)  # and 487 never comes
    play(core)

    assert (core.call_count, core.transaction_count, core.timer_at()) == (0, 0, None)


def test_a_reinvite_that_is_never_answered_goes_with_its_call() -> None:
    core = agent().core
    handle, invite = placed(core)
    send(core, response_bytes(invite, 200, body=OFFER))
    core.reoffer(handle, Direction.SENDONLY, now=1.0)
    reinvite = requests(drain(core))[-1]
    send(core, response_bytes(reinvite, 100), now=1.0)
    bye = request_bytes("BYE", call_id=invite.call_id, from_tag="callee", to_tag=invite.from_.tag)
    assert statuses(send(core, bye, now=2.0)) == [200]
    play(core)

    assert (core.call_count, core.transaction_count) == (0, 0)


@pytest.mark.parametrize("extra", ['Allow: "INVITE\r\n', "Allow: \r\n"])
def test_a_call_whose_allow_cannot_be_read_is_answered_all_the_same(extra: str) -> None:
    core = agent().core
    inbound, _ = ring(core, extra=extra)
    core.answer(inbound, US, now=1.0)
    assert statuses(drain(core)) == [200]

    handle, invite = placed(core)
    outputs = send(core, response_bytes(invite, 200, body=OFFER, extra=extra))

    assert [output.handle for output in outputs if isinstance(output, MediaAgreed)] == [handle]


def test_a_reason_that_is_cut_short_keeps_no_call_alive() -> None:
    core, extra = agent().core, 'Reason: Q.850;cause=16;text="Normal call clea\r\n'
    inbound, tag = ring(core)
    core.answer(inbound, US, now=1.0)
    drain(core)
    ended = send(core, request_bytes("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag, extra=extra), now=2.0)
    assert statuses(ended) == [200]

    _, invite = placed(core)
    refused = send(core, response_bytes(invite, 486, extra=extra))

    causes = [(event.cause, event.q850) for event in ended + refused if isinstance(event, CallEnded)]
    assert causes == [(EndCause.CALLER_HUNG_UP, 16), (EndCause.FAILED, 16)]
