"""Calls that go on with somebody else because the far end asked for it: RFC 3515. PBX and target are one agent."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from telephony.leg import EndCause
from telephony.sip.events import (
    CallEnded,
    CallForgotten,
    CallOffered,
    CallRedirected,
    CallReplaced,
    DigitPressed,
    KeysSent,
    MediaAgreed,
    ReferAsked,
    TargetCalled,
    TransferEnded,
    UserAgentOutput,
)
from telephony.sip.flow import Flow
from telephony.sip.message import Request, Response, parse_message
from telephony.sip.referrals import Abandoned
from telephony.sip.transfer import Outcome
from telephony.sip.uri import SipUri
from telephony.sip.user_agent_config import ReferPolicy
from tests.unit.telephony.sip.agents import Agent, Pair
from tests.unit.telephony.sip.messages import OFFER, PEER, response_bytes

TARGET = SipUri("192.0.2.1", "target")
React = Callable[[Agent, str, float], None]


def pick_up(pbx: Agent, handle: str, now: float) -> None:
    pbx.core.answer(handle, pbx.audio, now=now)


def busy(pbx: Agent, handle: str, now: float) -> None:
    pbx.core.reject(handle, 486, now=now)


def ring(pbx: Agent, handle: str, now: float) -> None:
    """Nobody is there."""


def answers_notify(data: bytes) -> bool:
    return re.search(rb"^SIP/2.0 .*^CSeq: \d+ NOTIFY", data, re.MULTILINE | re.DOTALL) is not None


class Referred:
    """A call between a PBX (left) and the bot (right), which the PBX wants to go on with a target."""

    def __init__(
        self,
        target: React = pick_up,
        *,
        policy: ReferPolicy = "listed",
        allowed: bool = True,
        by_us: bool = False,
        flows: tuple[Flow, ...] = (PEER,),
    ) -> None:
        self.bot = Agent("192.0.2.2", salt=1000, refers=policy, trusted=("192.0.2.0/28",))
        self.pbx = Agent("192.0.2.1")
        self.pair = Pair(self.pbx, self.bot)
        answerer, caller = (self.pbx, self.bot) if by_us else (self.bot, self.pbx)
        answerer.react = lambda event, now: (
            answerer.core.answer(event.handle, answerer.audio, now=now) if isinstance(event, CallOffered) else None
        )
        caller.call(answerer)
        self.pair.play(until=1.0)
        (self.handle,) = self.bot.alive()
        (self.theirs,) = self.pbx.alive()
        self.before = self.bot.core.sip_call_id(self.handle)
        self.flows = flows if allowed else ()
        self.target = target
        self.pbx.react, self.bot.react = self._at_pbx, self._at_bot
        self.forget()

    def forget(self) -> None:
        for agent in (self.pbx, self.bot):
            agent.events.clear()
            agent.sent.clear()

    def _at_pbx(self, event: UserAgentOutput, now: float) -> None:
        if isinstance(event, CallOffered):
            self.target(self.pbx, event.handle, now)

    def _at_bot(self, event: UserAgentOutput, now: float) -> None:
        if isinstance(event, ReferAsked):
            self.bot.core.refer(event.handle, self.flows, now=now)

    def refer(self, *, until: float = 3.0) -> None:
        self.pbx.core.transfer(self.theirs, TARGET, now=self.pair.now)
        self.pair.play(until=until)

    def outcomes(self) -> list[Outcome]:
        return [event.outcome for event in self.pbx.of(TransferEnded)]

    def requests(self, agent: Agent) -> list[Request]:
        return [m for data in agent.sent if isinstance(m := parse_message(data), Request)]

    def methods(self, agent: Agent) -> list[str]:
        return [request.method for request in self.requests(agent)]

    def told(self) -> list[bytes]:
        """What NOTIFYs have said, each once."""
        notified = [request for request in self.requests(self.bot) if request.method == "NOTIFY"]
        return list(dict.fromkeys(request.body.removeprefix(b"SIP/2.0 ").strip() for request in notified))

    def ended(self) -> bool:
        """Let everything come to its end, and see that nothing is left."""
        self.pair.play(until=300.0)
        return self.pair.is_quiet()


@pytest.mark.parametrize("by_us", [False, True])
def test_the_bots_call_goes_on_with_the_target_once_that_has_answered(by_us: bool) -> None:
    call = Referred(by_us=by_us)
    call.refer()

    (asked,) = call.bot.of(ReferAsked)
    (called,) = call.bot.of(TargetCalled)
    assert (asked.target, called.handle) == (TARGET, call.handle)
    assert call.bot.of(CallReplaced) == [CallReplaced(call.handle, call.before, called.sip_call_id)]
    assert [event.handle for event in call.bot.of(MediaAgreed)] == [call.handle]
    assert (call.bot.causes(), call.bot.core.sip_call_id(call.handle)) == ([], called.sip_call_id)
    assert call.outcomes() == [Outcome(True, 200, "OK")]
    assert call.methods(call.bot)[:3] == ["NOTIFY", "INVITE", "NOTIFY"]
    # What the user does is done to the new far end.
    assert call.bot.core.press(call.handle, "5", now=call.pair.now)
    call.pair.play(until=5.0)
    assert ([event.handle for event in call.bot.of(KeysSent)], len(call.pbx.of(DigitPressed))) == ([call.handle], 1)
    call.bot.core.hang_up(call.handle, now=call.pair.now)
    assert call.ended()
    assert [event.handle for event in call.bot.of(CallEnded)] == [call.handle]
    assert {event.sip_call_id for event in call.bot.of(CallForgotten)} == {call.before, called.sip_call_id}


@pytest.mark.parametrize("answers", [True, False])
def test_the_old_far_end_is_not_left_before_it_has_answered_the_last_notify(answers: bool) -> None:
    call = Referred()
    call.pair.lose = lambda agent, data: agent is call.pbx and answers_notify(data) and call.told()[-1] == b"200 OK"
    call.refer()
    assert "BYE" not in call.methods(call.bot)

    if answers:
        call.pair.lose = lambda agent, data: False
    call.pair.play(until=40.0)
    assert "BYE" not in call.methods(call.bot)  # it has hung up by itself meanwhile
    call.bot.core.hang_up(call.handle, now=call.pair.now)
    assert call.ended()


@pytest.mark.parametrize("status", [200, 481])
def test_a_notify_waits_for_the_answer_to_the_one_before(status: int) -> None:
    held: list[bytes] = []

    def holds_answers(agent: Agent, data: bytes) -> bool:
        held.extend([data] if agent is call.pbx and answers_notify(data) else [])
        return data in held

    call = Referred()
    call.pair.lose = holds_answers
    call.refer()
    assert call.told() == [b"100 Trying"]

    call.pair.lose = lambda agent, data: False
    answer = held[0].replace(b"SIP/2.0 200 OK", f"SIP/2.0 {status} Answered".encode())
    call.bot.core.receive(answer, PEER, now=call.pair.now)
    call.pair.play(until=5.0)
    assert (call.told()[-1] == b"200 OK") is (status == 200)
    # Whoever does not listen is left all the same.
    assert "BYE" in call.methods(call.pbx if status == 200 else call.bot)
    call.bot.core.hang_up(call.handle, now=call.pair.now)
    assert call.ended()


def test_the_new_far_end_may_hang_up_and_may_refer_on() -> None:
    call = Referred()
    call.refer()
    (call.theirs,) = [handle for handle in call.pbx.alive() if handle != call.theirs]
    call.refer(until=6.0)
    assert len(call.bot.of(CallReplaced)) == 2
    last = call.pbx.alive()[-1]
    call.pbx.core.hang_up(last, now=call.pair.now)

    assert call.ended()
    assert [(event.handle, event.cause) for event in call.bot.of(CallEnded)] == [(call.handle, EndCause.CALLER_HUNG_UP)]


def test_whom_we_may_not_call_is_not_called_and_the_call_goes_on() -> None:
    call = Referred(allowed=False)
    call.refer()

    assert call.outcomes() == [Outcome(False, 603, "Decline")]
    assert (call.methods(call.bot), call.bot.alive()) == ([], [call.handle])


@pytest.mark.parametrize(("policy", "heeded"), [("never", False), ("trusted", True), ("listed", True)])
def test_refer_is_heeded_as_far_as_the_settings_say(policy: ReferPolicy, heeded: bool) -> None:
    call = Referred(policy=policy)
    call.refer()

    assert bool(call.bot.of(ReferAsked)) is heeded
    assert call.outcomes()[0].status == (200 if heeded else 603)
    options = [m for data in call.bot.sent if isinstance(m := parse_message(data), Response) and m.status == 202]
    assert all("REFER" in (accepted.headers.first("Allow") or "") for accepted in options)
    assert len(options) == heeded


def test_a_peer_that_is_not_trusted_is_not_heeded_where_only_those_are() -> None:
    call = Referred(policy="trusted")
    call.pbx.flow = Flow("udp", "192.0.2.99", 5060)  # as the bot sees it from now on
    call.refer()

    assert call.bot.of(ReferAsked) == []


def test_a_target_that_does_not_want_the_call_leaves_it_where_it_was() -> None:
    call = Referred(busy)
    call.refer()

    assert call.outcomes() == [Outcome(False, 486, "Busy Here")]
    assert (call.bot.causes(), call.bot.alive()) == ([], [call.handle])
    assert call.bot.of(CallReplaced) == []
    call.target = pick_up  # and it may be tried again
    call.refer(until=6.0)
    assert call.outcomes()[-1].succeeded


@pytest.mark.parametrize(("target", "causes"), [(pick_up, []), (busy, [EndCause.CALLER_HUNG_UP])])
def test_whoever_refers_may_hang_up_at_once_and_the_call_lasts_if_the_target_answers(
    target: React, causes: list[EndCause]
) -> None:
    late: list[str] = []
    call = Referred(lambda pbx, handle, now: late.append(handle))
    call.refer(until=2.0)
    call.pbx.core.hang_up(call.theirs, now=call.pair.now)
    call.pair.play(until=3.0)
    assert (call.bot.causes(), len(late)) == ([], 1)
    target(call.pbx, late[0], call.pair.now)
    call.pair.play(until=4.0)

    assert (call.bot.causes(), len(call.bot.of(CallReplaced))) == (causes, 0 if causes else 1)
    call.bot.core.hang_up(call.handle, now=call.pair.now)
    assert call.ended()
    assert len(call.bot.causes()) == 1


@pytest.mark.parametrize("alone", [False, True])
def test_a_user_that_hangs_up_gives_the_target_up_too(alone: bool) -> None:
    call = Referred(ring)
    call.refer(until=2.0)
    if alone:  # whoever referred has hung up before
        call.pbx.core.hang_up(call.theirs, now=call.pair.now)
        call.pair.play(until=3.0)
    call.bot.core.hang_up(call.handle, now=call.pair.now)
    call.bot.core.hang_up(call.handle, now=call.pair.now)

    assert call.ended()
    assert ("CANCEL" in call.methods(call.bot), call.bot.causes()) == (True, [EndCause.BOT_HUNG_UP])


def test_a_target_that_rings_for_ever_is_given_up_and_the_call_goes_on() -> None:
    call = Referred(ring)
    call.refer(until=100.0)

    assert (call.outcomes()[0].succeeded, call.bot.alive()) == (False, [call.handle])
    assert "CANCEL" in call.methods(call.bot)


def test_a_second_refer_has_to_wait_for_the_first() -> None:
    call = Referred(ring)
    call.pbx.core.transfer(call.theirs, TARGET, now=call.pair.now)
    call.pair.play(until=2.0)
    (refer,) = [request for request in call.requests(call.pbx) if request.method == "REFER"]
    data = call.pbx.sent[[request.method for request in call.requests(call.pbx)].index("REFER")]
    number = refer.cseq.number
    changed = data.replace(refer.via.branch.encode(), b"z9hG4bKsecond")
    changed = changed.replace(f"CSeq: {number} ".encode(), f"CSeq: {number + 1} ".encode())
    call.bot.core.receive(changed, call.pbx.flow, now=call.pair.now)

    statuses: list[int] = []
    while (output := call.bot.core.poll()) is not None:
        message = parse_message(output.data) if hasattr(output, "data") else None
        statuses += [message.status] if isinstance(message, Response) else []
    assert statuses == [491]


def test_a_target_may_send_us_elsewhere_and_its_servers_may_fail() -> None:
    call = Referred(ring, flows=(PEER, Flow("udp", "192.0.2.1", 5070)))
    call.refer(until=2.0)
    invite = next(request for request in call.requests(call.bot) if request.method == "INVITE")
    call.bot.core.receive(
        response_bytes(invite, 302, contact="", extra="Contact: <sip:else@192.0.2.7>\r\n"), PEER, now=call.pair.now
    )
    call.pair.settle()

    (moved,) = call.bot.of(CallRedirected)
    call.bot.core.follow(moved.handle, (), now=call.pair.now)
    call.pair.play(until=4.0)
    assert (call.outcomes()[0].status, call.bot.alive()[0]) == (302, call.handle)


def test_what_nobody_asked_for_is_not_done() -> None:
    call = Referred()
    call.bot.core.refer("gone", (PEER,), now=call.pair.now)
    call.bot.core.refer(call.handle, (PEER,), now=call.pair.now)
    call.bot.core.hang_up("gone", now=call.pair.now)

    assert call.methods(call.bot) == []


def test_the_early_media_of_a_target_is_not_listened_to() -> None:
    call = Referred(ring)
    call.refer(until=2.0)
    invite = next(request for request in call.requests(call.bot) if request.method == "INVITE")
    call.bot.core.receive(response_bytes(invite, 183, body=OFFER), PEER, now=call.pair.now)
    call.pair.settle()

    assert call.bot.of(MediaAgreed) == []


def test_whoever_referred_and_does_not_listen_any_more_keeps_the_call() -> None:
    call = Referred(ring)
    call.pbx.core.transfer(call.theirs, TARGET, now=call.pair.now)
    call.pair.settle()
    call.pbx.core.receive = lambda *_, **__: None  # type: ignore[method-assign] - it has gone deaf
    call.pair.play(until=200.0)

    assert (call.bot.alive(), call.bot.causes()) == ([call.handle], [])


def test_a_target_that_is_gone_already_is_not_hung_up() -> None:
    call = Referred()
    call.bot.core._referrals._steps.append(Abandoned("gone"))
    call.bot.core.handle_timer(now=call.pair.now)

    assert call.methods(call.bot) == []


@pytest.mark.parametrize("by_us", [True, False])
def test_a_refer_that_is_not_decided_when_the_call_ends_is_answered(by_us: bool) -> None:
    call = Referred()
    call.bot.react = lambda event, now: None  # whom it names is still looked up
    call.refer()
    (bot, theirs) = (call.bot.core, call.pbx.core)
    bot.hang_up(call.handle, now=3.0) if by_us else theirs.hang_up(call.theirs, now=3.0)
    call.pair.play(until=4.0)
    bot.refer(call.handle, call.flows, now=4.0)
    call.pair.play(until=100.0)

    assert [line for line in call.bot.sent if b"487" in line[:12]] != []
    assert call.pair.is_quiet()
