"""The endpoint: a user agent on a loop, with legs, over a fake carrier."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote

import pytest

from telephony.errors import (
    CapacityError,
    ForbiddenTargetError,
    LegEndedError,
    LocalProtocolError,
    SipParseError,
    TransferFailedError,
)
from telephony.leg import CallLeg, EndCause, HoldChanged, LegEnded, LegEvent, RejectReason
from telephony.settings import SipSettings
from telephony.sip.admission import Admission, admit_all
from telephony.sip.auth import Credentials
from telephony.sip.endpoint import SipEndpoint, serve_sip
from telephony.sip.flow import Flow
from telephony.sip.from_settings import new_token, user_agent_config
from telephony.sip.leg import SipLeg
from telephony.sip.message import Message, Request, Response, parse_message
from telephony.sip.outbound_policy import OutboundPolicy
from telephony.sip.resolution import Resolver
from telephony.sip.timers import Timings
from telephony.sip.trunk_events import TrunkRoute
from telephony.sip.user_agent import UserAgent
from tests.fakes.media import FakeMediaFactory
from tests.unit.telephony.sip.messages import OFFER, PEER, PEER_TCP, offer, request_bytes, response_bytes

QUICK = Timings(t1_s=0.001, t2_s=0.004, t4_s=0.005)
T = TypeVar("T")


class FakeCarrier:
    """Collects what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Message, Flow]] = []
        self.kept: list[str] = []
        self.released: list[str] = []

    def transmit(self, data: bytes, flow: Flow) -> None:
        self.sent.append((parse_message(data), flow))

    def keep(self, sip_call_id: str) -> None:
        self.kept.append(sip_call_id)

    def release(self, sip_call_id: str) -> None:
        self.released.append(sip_call_id)

    def statuses(self) -> list[int]:
        return [message.status for message, _ in self.sent if isinstance(message, Response)]

    def requests(self, method: str) -> list[Request]:
        return [message for message, _ in self.sent if isinstance(message, Request) and message.method == method]


class House:
    """An endpoint with all around it."""

    def __init__(
        self, *, timings: Timings, admit: Admission, sessions: int, on_call: Callable[[CallLeg], None] | None
    ) -> None:
        self.legs: list[CallLeg] = []
        self.carrier = FakeCarrier()
        self.media = FakeMediaFactory(sessions=sessions)
        allowed = ("*@192.0.2.*", "!900*@*")
        config = user_agent_config(SipSettings(host="192.0.2.9", user="bot"), port=5060)
        agent = UserAgent(replace(config, timings=timings, accepts_replaces=True), new_token=new_token, admit=admit)
        self.endpoint = SipEndpoint(
            agent,
            carrier=self.carrier,
            media=self.media,
            on_call=on_call or self.legs.append,
            resolver=Resolver(),
            outbound=OutboundPolicy(allowed),
        )

    def receive(self, data: bytes, flow: Flow = PEER) -> None:
        self.endpoint.receive(data, flow)

    def ring(self, flow: Flow = PEER, **options: str) -> CallLeg:
        self.receive(request_bytes(body=OFFER, **options), flow)  # type: ignore[arg-type] - all text
        return self.legs[-1]

    def tag(self) -> str:
        return next(m.to.tag for m, _ in self.carrier.sent if isinstance(m, Response) and m.status > 100)

    async def answered(self) -> CallLeg:
        leg = self.ring()
        await leg.answer()
        self.receive(request_bytes("ACK", branch="z9hG4bKack", to_tag=self.tag()))
        return leg


@asynccontextmanager
async def house(
    *,
    timings: Timings = QUICK,
    admit: Admission = admit_all,
    sessions: int = 4,
    on_call: Callable[[CallLeg], None] | None = None,
) -> AsyncIterator[House]:
    ours = House(timings=timings, admit=admit, sessions=sessions, on_call=on_call)
    yield ours
    await ours.endpoint.close(within_s=0.05)
    assert ours.media.in_use == 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5.0):
        while not condition():
            await asyncio.sleep(0.001)


async def ending(leg: CallLeg) -> LegEvent:
    while not isinstance(event := await leg.receive(), LegEnded):
        pass
    return event


async def test_a_call_rings_before_anybody_answers_it() -> None:
    async with house() as ours:
        leg = ours.ring()

        assert (ours.carrier.statuses(), ours.carrier.kept) == ([180], ["call-1"])
        assert (leg.info.transport, leg.info.caller, leg.info.variables["sip_call_id"]) == ("sip", "caller", "call-1")
        assert len(leg.info.call_id) == 32
        assert ours.endpoint.call_count == 1
        await leg.reject(RejectReason.BUSY)
        assert ours.carrier.statuses() == [180, 486]


async def test_a_call_is_answered_talks_and_is_hung_up_by_its_caller() -> None:
    async with house() as ours:
        leg = await ours.answered()
        ours.receive(request_bytes("BYE", branch="z9hG4bKbye", cseq=2, to_tag=ours.tag()))

        assert await ending(leg) == LegEnded(EndCause.CALLER_HUNG_UP)
        assert (ours.carrier.released, ours.endpoint.call_count) == (["call-1"], 0)


async def test_hold_reaches_the_leg() -> None:
    async with house() as ours:
        leg = await ours.answered()
        ours.receive(request_bytes(branch="z9hG4bKre", cseq=2, to_tag=ours.tag(), body=offer("sendonly")))

        assert await leg.receive() == HoldChanged(True)
        assert isinstance(leg, SipLeg)
        await leg.hold(on_hold=True)


async def test_a_200_without_an_ack_is_repeated_by_the_loops_clock_and_ends_the_call() -> None:
    async with house() as ours:
        leg = ours.ring()
        await leg.answer()

        assert await ending(leg) == LegEnded(EndCause.NO_ACK, "the 200 was never acknowledged")
        assert ours.carrier.statuses().count(200) > 5
        assert len(ours.carrier.requests("BYE")) >= 1


async def test_a_cancel_ends_a_call_that_rings() -> None:
    async with house() as ours:
        leg = ours.ring()
        ours.receive(request_bytes("CANCEL"))

        assert await ending(leg) == LegEnded(EndCause.CANCELLED)
        with pytest.raises(LegEndedError):
            await leg.answer()


async def test_a_full_house_is_not_entered() -> None:
    async with house(admit=lambda: 3) as ours:
        ours.receive(request_bytes(body=OFFER))

        assert (ours.carrier.statuses(), ours.legs) == ([503], [])


async def test_a_call_that_nobody_can_take_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    def fail(leg: CallLeg) -> None:
        raise RuntimeError("no bot")

    async with house(on_call=fail) as ours:
        ours.receive(request_bytes(body=OFFER))

        assert ours.carrier.statuses() == [180, 480]
        assert "no bot" in caplog.text


async def test_media_that_cannot_start_ends_only_its_own_call(caplog: pytest.LogCaptureFixture) -> None:
    async with house() as ours:
        leg = ours.ring()
        ours.media.fails_to_apply = OSError("no buffer space")

        with pytest.raises(LegEndedError):
            await leg.answer()
        assert await ending(leg) == LegEnded(EndCause.FAILED, "no buffer space")
        assert "no buffer space" in caplog.text


async def test_what_is_not_sip_is_logged_once_a_second_with_how_often(caplog: pytest.LogCaptureFixture) -> None:
    async with house() as ours:
        for second in (0.0, 1.0):
            ours.endpoint.now = lambda second=second: second
            for _ in range(100):
                ours.receive(b"GET / HTTP/1.1\r\n\r\n")

        said = [record.getMessage() for record in caplog.records]
        assert [re.findall(r"and (\d+) before it", each) for each in said] == [["0"], ["99"]]


async def test_a_lost_connection_is_survived_by_its_call() -> None:
    async with house() as ours:
        leg = ours.ring(PEER_TCP, transport="TCP")
        await leg.answer()
        ours.receive(request_bytes("ACK", branch="z9hG4bKack", to_tag=ours.tag(), transport="TCP"), PEER_TCP)
        ours.endpoint.flow_lost(PEER_TCP)
        await leg.hang_up()

        assert ours.carrier.sent[-1][1] == Flow("tcp", "192.0.2.1", 5060)


async def test_a_call_is_placed_answered_and_hung_up() -> None:
    async with house(timings=Timings()) as ours:
        leg = await ours.endpoint.place_call("sip:callee@192.0.2.1:5070", caller="+994121234567")
        ((invite, flow),) = ours.carrier.sent
        assert isinstance(invite, Request)
        assert flow == Flow("udp", "192.0.2.1", 5070)
        assert (leg.info.caller, leg.info.callee) == ("+994121234567", "callee")
        assert ours.carrier.kept == [invite.call_id]

        ours.receive(response_bytes(invite, 200, body=OFFER))
        await leg.answer()
        await leg.hang_up()

        assert len(ours.carrier.requests("ACK")) == 1
        assert len(ours.carrier.requests("BYE")) == 1
        assert await ending(leg) == LegEnded(EndCause.BOT_HUNG_UP)


async def test_a_call_is_placed_over_tcp_with_credentials() -> None:
    async with house() as ours:
        leg = await ours.endpoint.place_call(
            "sip:callee@192.0.2.1;transport=tcp", credentials=Credentials("aysel", "gizli")
        )
        invite, flow = ours.carrier.sent[0]
        assert isinstance(invite, Request)
        assert flow == Flow("tcp", "192.0.2.1", 5060)
        challenge = 'WWW-Authenticate: Digest realm="a", nonce="b"\r\n'
        ours.receive(response_bytes(invite, 401, extra=challenge), PEER_TCP)

        assert "Digest" in (ours.carrier.requests("INVITE")[-1].headers.first("Authorization") or "")
        await leg.hang_up()


@pytest.mark.parametrize("target", ["tel:+994121234567", "nonsense"])
async def test_only_sip_can_be_called(target: str) -> None:
    async with house() as ours:
        with pytest.raises(SipParseError):
            await ours.endpoint.place_call(target)


async def test_a_call_that_cannot_be_written_leaves_no_port_behind() -> None:
    async with house() as ours:
        with pytest.raises(SipParseError):
            await ours.endpoint.place_call("sip:callee@192.0.2.1", caller="a b")
        assert ours.media.in_use == 0


async def test_a_call_without_a_port_is_not_placed() -> None:
    async with house(sessions=0) as ours:
        with pytest.raises(CapacityError):
            await ours.endpoint.place_call("sip:callee@192.0.2.1")
        assert ours.carrier.sent == []


async def test_closing_hangs_up_what_is_left_and_waits_for_the_far_end() -> None:
    ours = House(timings=QUICK, admit=admit_all, sessions=4, on_call=None)
    leg = await ours.answered()
    closing = asyncio.ensure_future(ours.endpoint.close(within_s=5.0))
    await until(lambda: bool(ours.carrier.requests("BYE")))

    ours.receive(response_bytes(ours.carrier.requests("BYE")[0], 200))
    await closing

    assert (ours.endpoint.call_count, ours.media.in_use) == (0, 0)
    assert await ending(leg) == LegEnded(EndCause.BOT_HUNG_UP, "shutting down")


async def test_a_call_that_comes_while_closing_is_refused() -> None:
    ours = House(timings=Timings(), admit=admit_all, sessions=4, on_call=None)
    await ours.answered()
    closing = asyncio.ensure_future(ours.endpoint.close(within_s=0.05))
    await until(lambda: bool(ours.carrier.requests("BYE")))

    ours.receive(request_bytes(branch="z9hG4bKnew", call_id="new", body=OFFER))
    await closing

    assert (ours.carrier.statuses()[-1], len(ours.legs)) == (503, 1)


async def test_closing_does_not_wait_for_a_far_end_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    ours = House(timings=Timings(), admit=admit_all, sessions=4, on_call=None)
    await ours.answered()

    await ours.endpoint.close(within_s=0.01)

    assert "1 calls were not closed" in caplog.text
    assert ours.media.in_use == 0


def test_settings_become_configuration() -> None:
    config = user_agent_config(SipSettings(host="::1", domain="bot.example.com", digest_users={"a": "b"}), port=5070)

    assert (config.identity.host, config.identity.port, config.address_type) == ("bot.example.com", 5070, "IP6")
    assert (config.realm, config.passwords) == ("bot.example.com", {"a": "b"})
    assert (len(new_token()), new_token() != new_token()) == (32, True)


async def test_sip_that_is_switched_off_is_not_served() -> None:
    with pytest.raises(LocalProtocolError, match="enabled"):
        await serve_sip(SipSettings(enabled=False), media=FakeMediaFactory(), on_call=lambda leg: None)


@pytest.mark.parametrize("target", ["sip:bot@203.0.113.1", "sip:900@192.0.2.1"])
async def test_nobody_is_called_whom_the_settings_do_not_name(target: str) -> None:
    async with house() as ours:
        with pytest.raises(ForbiddenTargetError):
            await ours.endpoint.place_call(target)
        leg = await ours.answered()
        with pytest.raises(ForbiddenTargetError):
            await leg.transfer(target)

        assert not ours.carrier.requests("REFER")
        assert ours.media.in_use == 1


async def test_a_call_goes_out_by_a_trunk_as_the_trunk_knows_us() -> None:
    async with house() as ours:
        flow = Flow("tcp", "192.0.2.7", 5060)
        by = TrunkRoute(flow, "pbx.example", "aysel", ("<sip:edge.example;lr>",))
        leg = await ours.endpoint.place_call("sip:+99412@192.0.2.1", by=by, variables={"campaign": "x"})
        invite, way = ours.carrier.sent[0]

        assert isinstance(invite, Request)
        assert (way, invite.headers.first("Route")) == (flow, "<sip:edge.example;lr>")
        assert str(invite.from_).startswith("<sip:aysel@pbx.example>;tag=")
        assert (leg.info.caller, leg.info.variables["campaign"]) == ("aysel", "x")
        await leg.hang_up()


async def test_a_redirect_is_followed_only_to_whom_we_may_call() -> None:
    async with house(timings=Timings()) as ours:
        leg = await ours.endpoint.place_call("sip:callee@192.0.2.1")
        contacts = "Contact: <sip:900@192.0.2.1>, <sip:b@nowhere.invalid>, <sip:b@192.0.2.5:5070>\r\n"
        ours.receive(response_bytes(ours.carrier.requests("INVITE")[0], 302, contact="", extra=contacts))
        await until(lambda: len(ours.carrier.requests("INVITE")) == 2)

        assert (str(ours.carrier.requests("INVITE")[1].uri), ours.carrier.sent[-1][1].port) == (
            "sip:b@192.0.2.5:5070",
            5070,
        )
        await leg.hang_up()


async def test_a_caller_is_handed_over_and_a_second_call_of_ours_may_take_it() -> None:
    async with house(timings=Timings()) as ours:
        leg = await ours.answered()
        blind = asyncio.ensure_future(leg.transfer("sip:operator@192.0.2.5"))
        await until(lambda: bool(ours.carrier.requests("REFER")))
        (refer,) = ours.carrier.requests("REFER")
        assert refer.headers.first("Refer-To") == "<sip:operator@192.0.2.5>"
        ours.receive(response_bytes(refer, 603))
        with pytest.raises(TransferFailedError) as failure:
            await blind
        assert failure.value.status == 603

        second = await ours.endpoint.place_call("sip:operator@192.0.2.5")
        invite = ours.carrier.requests("INVITE")[-1]
        with pytest.raises(LocalProtocolError):
            await leg.transfer("", consult=second)
        ours.receive(response_bytes(invite, 200, body=OFFER, to_tag="operator"))
        attended = asyncio.ensure_future(leg.transfer("", consult=second))
        await until(lambda: len(ours.carrier.requests("REFER")) == 2)
        refer = ours.carrier.requests("REFER")[-1]
        replaces = f"{invite.call_id};to-tag=operator;from-tag={invite.from_.tag}"
        assert refer.headers.first("Refer-To") == f"<sip:callee@192.0.2.1:5060?Replaces={quote(replaces, safe='')}>"
        ours.receive(response_bytes(refer, 202))
        frag = b"SIP/2.0 200 OK\r\n"
        extra = "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\nContent-Type: message/sipfrag\r\n"
        ours.receive(request_bytes("NOTIFY", branch="z9hG4bKn", cseq=2, to_tag=ours.tag(), extra=extra, body=frag))
        await attended

        assert await ending(leg) == LegEnded(EndCause.TRANSFERRED)
        await second.hang_up()


async def test_over_udp_no_sound_goes_where_an_offer_says_before_the_ack() -> None:
    async with house(timings=Timings()) as ours:
        leg = ours.ring()
        await leg.answer()
        media = ours.media.opened[0]
        assert [(each.send, each.receive) for each in media.applied] == [(False, True)]

        ours.receive(request_bytes("ACK", branch="z9hG4bKack", to_tag=ours.tag()))

        assert [(each.send, each.receive) for each in media.applied] == [(False, True), (True, True)]
        await leg.hang_up()


async def test_over_tcp_a_caller_has_proven_itself_by_the_handshake() -> None:
    async with house(timings=Timings()) as ours:
        leg = ours.ring(PEER_TCP, transport="TCP")
        await leg.answer()

        assert [each.send for each in ours.media.opened[0].applied] == [True]
        ours.receive(request_bytes("ACK", branch="z9hG4bKack", to_tag=ours.tag(), transport="TCP"), PEER_TCP)
        await leg.hang_up()


async def test_a_newcomer_takes_the_callers_place_and_the_leg_goes_on() -> None:
    async with house(timings=Timings()) as ours:
        leg = await ours.answered()
        replaces = f"Replaces: call-1;to-tag={ours.tag()};from-tag=caller\r\n"
        ours.receive(request_bytes(branch="z9hG4bKnew", call_id="newcomer", body=offer(port=4800), extra=replaces))

        assert (ours.carrier.kept, ours.carrier.released) == (["call-1", "newcomer"], ["call-1"])
        assert ours.media.opened[0].applied[-1].remote_port == 4800
        assert len(ours.carrier.requests("BYE")) == 1
        assert len(ours.legs) == 1
        await leg.hang_up()


async def test_only_a_trusted_peer_is_believed_about_who_calls() -> None:
    identity = "P-Asserted-Identity: <sip:+994501111111@op>\r\n"
    async with house() as ours:
        assert "pai" not in ours.ring(extra=identity).info.variables

    config = user_agent_config(SipSettings(host="192.0.2.9", trusted_peers=("192.0.2.1",)), port=5060)
    assert config.trusted.allows("192.0.2.1")


async def test_a_server_that_fails_makes_room_for_the_next_and_is_asked_last_for_a_while() -> None:
    first, second = (Flow("udp", f"192.0.2.{n}", 5060) for n in (1, 2))
    route = TrunkRoute(first, "192.0.2.1", "bot", others=(second,))
    async with house() as ours:
        leg = await ours.endpoint.place_call("sip:a@192.0.2.1", by=route)
        ours.receive(response_bytes(ours.carrier.requests("INVITE")[0], 503))
        again = await ours.endpoint.place_call("sip:b@192.0.2.1", by=route)

        flows = [
            flow for message, flow in ours.carrier.sent if isinstance(message, Request) and message.method == "INVITE"
        ]
        assert flows == [first, second, second]
        for each in (leg, again):
            await each.hang_up()


async def test_servers_that_all_ask_to_be_left_alone_are_left_alone() -> None:
    async with house() as ours:
        leg = await ours.endpoint.place_call("sip:a@192.0.2.1")
        ours.receive(response_bytes(ours.carrier.requests("INVITE")[0], 503, extra="Retry-After: 60\r\n"))

        assert (await ending(leg)).cause is EndCause.FAILED  # type: ignore[union-attr] - the last event
        await leg.hang_up()
        with pytest.raises(CapacityError, match="left alone") as refused:
            await ours.endpoint.place_call("sip:a@192.0.2.1")
        assert refused.value.retry_after_s == 60
        assert (len(ours.carrier.requests("INVITE")), ours.media.in_use) == (1, 0)
