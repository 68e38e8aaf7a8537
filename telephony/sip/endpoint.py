"""`SipEndpoint`: one user agent on an asyncio loop, with its legs; it does not know whose sockets carry it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Coroutine, Mapping
from typing import TypeAlias

from telephony.errors import CapacityError, ForbiddenTargetError, LegEndedError, LocalProtocolError, SipParseError
from telephony.leg import CallInfo, CallLeg, EndCause
from telephony.media import MediaFactory
from telephony.settings import SipSettings
from telephony.sip.admission import Admission, admit_all
from telephony.sip.auth import Credentials
from telephony.sip.call_info import call_info, party
from telephony.sip.carrier import Carrier
from telephony.sip.destination import Destination
from telephony.sip.digit_sender import DigitWay
from telephony.sip.events import (
    CallEnded,
    CallEvent,
    CallForgotten,
    CallOffered,
    CallRedirected,
    CallReplaced,
    MessageRefused,
    ReferAsked,
    ServerFailed,
    TargetCalled,
    UserAgentOutput,
)
from telephony.sip.flow import Flow, Transmit
from telephony.sip.from_settings import new_token, resolver_of, user_agent_config
from telephony.sip.leg import SipLeg
from telephony.sip.offer_answer import Direction, LocalAudio
from telephony.sip.outbound_policy import OutboundPolicy
from telephony.sip.rate_limit import RateLimit
from telephony.sip.resolution import Resolver
from telephony.sip.server_holds import ServerHolds
from telephony.sip.sockets import SipSockets, gate_limits
from telephony.sip.source_gate import SourceGate
from telephony.sip.tls import tls_contexts
from telephony.sip.trunk_events import TrunkRoute
from telephony.sip.uri import SipUri, parse_uri
from telephony.sip.user_agent import UserAgent, UserAgentConfig

OnCall: TypeAlias = Callable[[CallLeg], None]
"""Told of each call that comes in, not yet answered; must not block. If it raises, the call is refused."""

_CLOSING_RETRY_AFTER_S = 5
_SHUTDOWN = "Q.850;cause=41"  # temporary failure

NOBODY = OutboundPolicy()

_logger = logging.getLogger(__name__)


class SipEndpoint:
    """Drives a user agent: mutate, drain, sleep until its timer. All methods are called from one loop."""

    def __init__(
        self,
        user_agent: UserAgent,
        *,
        carrier: Carrier,
        media: MediaFactory,
        on_call: OnCall,
        resolver: Resolver,
        outbound: OutboundPolicy = NOBODY,
        digits: DigitWay = "auto",
    ) -> None:
        """`outbound`: whom we may call; `digits`: how keys are sent."""
        self._digits: DigitWay = digits
        self._outbound = outbound
        self._user_agent = user_agent
        self._carrier = carrier
        self._media = media
        self._on_call = on_call
        self._resolver = resolver
        self._holds = ServerHolds()
        self._loop = asyncio.get_running_loop()
        self._legs: dict[str, SipLeg] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._closing = False
        self._emptied = asyncio.Event()
        self._refusal_log = RateLimit(period_s=1.0)

    @property
    def call_count(self) -> int:
        """How many calls are kept, those being closed included."""
        return self._user_agent.call_count

    # From the carrier

    def receive(self, data: bytes, flow: Flow) -> None:
        """Take one message from the network."""
        self._user_agent.receive(data, flow, now=self.now())
        self._drain()

    def flow_lost(self, flow: Flow) -> None:
        """Take the news that a connection broke or could not be opened."""
        self._user_agent.flow_lost(flow, now=self.now())
        self._drain()

    # For legs

    def now(self) -> float:
        """Seconds on the loop's monotonic clock."""
        return self._loop.time()

    def answer(self, handle: str, local: LocalAudio) -> None:
        """See `UserAgent.answer`."""
        self._user_agent.answer(handle, local, now=self.now())
        self._drain()

    def reject(self, handle: str, status: int, *, retry_after_s: int | None, cause: EndCause, detail: str = "") -> None:
        """See `UserAgent.reject`."""
        self._user_agent.reject(handle, status, retry_after_s=retry_after_s, cause=cause, detail=detail, now=self.now())
        self._drain()

    def hang_up(self, handle: str, cause: EndCause, detail: str = "", *, reason: str = "") -> None:
        """See `UserAgent.hang_up`."""
        self._user_agent.hang_up(handle, cause, detail, reason=reason, now=self.now())
        self._drain()

    def end(self, sip_call_id: str, detail: str) -> None:
        """Hang the call up that has this Call-ID, if there still is one."""
        for handle in list(self._legs):
            with contextlib.suppress(LegEndedError):
                if self._user_agent.sip_call_id(handle) == sip_call_id:
                    self.hang_up(handle, EndCause.BOT_HUNG_UP, detail)

    def reoffer(self, handle: str, direction: Direction) -> None:
        """See `UserAgent.reoffer`."""
        self._user_agent.reoffer(handle, direction, now=self.now())
        self._drain()

    def press(self, handle: str, digits: str) -> bool:
        """See `UserAgent.press`."""
        taken = self._user_agent.press(handle, digits, now=self.now())
        self._drain()
        return taken

    def transfer(self, handle: str, target: str, *, consult: str | None = None) -> None:
        """Ask the far end to call `target` (empty: where the far end of the call `consult` is).

        Raises `SipParseError` for a malformed target and `ForbiddenTargetError` for one that may not be called.
        """
        uri = self._destination(target) if target or consult is None else None
        self._user_agent.transfer(handle, uri, consult=consult, now=self.now())
        self._drain()

    def _destination(self, target: str) -> SipUri:
        uri = parse_uri(target)
        if not isinstance(uri, SipUri):
            raise SipParseError("only sip: and sips: URIs can be called")
        if not self._outbound.allows(uri):
            raise ForbiddenTargetError("[sip] outbound_allowed does not name this destination")
        return uri

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a task that `close()` waits for."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Placing calls

    async def place_call(
        self,
        target: str,
        *,
        caller: str = "",
        credentials: Credentials | None = None,
        by: TrunkRoute | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> SipLeg:
        """Send an INVITE to a sip: or sips: URI. `answer()` of the leg waits for the far end; `hang_up()` gives up.

        `by` is the trunk that the call goes out by; without it the target's own host is asked. Raises `SipParseError`
        for a malformed target, `ForbiddenTargetError` for one that may not be called, `OSError` when its host cannot
        be resolved and `CapacityError` when no RTP port is free, or every server has asked to be left alone.
        """
        uri = self._destination(target)
        servers = await self._servers_of(uri) if by is None else (by.flow, *by.others)
        flow, *others = self._in_order(servers)
        media = await self._media.open()
        routes = () if by is None else tuple(("Route", route) for route in by.service_route)
        domain = "" if by is None else by.domain
        caller = caller or ("" if by is None else by.user)
        destination = Destination(uri, flow, caller, credentials, routes, domain, tuple(others))
        try:
            local = LocalAudio(media.local_host, media.local_port, media.abilities)
            handle = self._user_agent.place_call(destination, local, now=self.now())
        except BaseException:
            await media.close()
            raise
        sip_call_id = self._user_agent.sip_call_id(handle)
        info = CallInfo(
            handle, "sip", caller, party(uri), {**(variables or {}), "sip_call_id": sip_call_id}, placed=True
        )
        leg = self._legs[handle] = SipLeg(info, self, self._media, media=media, digits=self._digits)
        self._carrier.keep(sip_call_id)
        self._drain()
        return leg

    async def _lead(self, asked: CallRedirected | ReferAsked) -> None:
        """Call whom a far end has named, if we may."""
        flows = await self._way_to(asked.target)
        if isinstance(asked, ReferAsked):
            self._user_agent.refer(asked.handle, flows, now=self.now())
        else:
            self._user_agent.follow(asked.handle, flows, now=self.now())
        self._drain()

    async def _way_to(self, target: SipUri) -> tuple[Flow, ...]:
        if self._outbound.allows(target):
            with contextlib.suppress(OSError, CapacityError):
                return self._in_order(await self._servers_of(target))
        return ()

    async def _servers_of(self, uri: SipUri) -> tuple[Flow, ...]:
        return await self._resolver.find(uri, family=self._user_agent.family)

    def _in_order(self, servers: tuple[Flow, ...]) -> tuple[Flow, ...]:
        """Leave out those that are to be left alone; raises `CapacityError` when that is all of them."""
        open_ = self._holds.order(servers, now=self.now())
        if not open_:
            wait_s = math.ceil(self._holds.free_in_s(servers, now=self.now()))
            raise CapacityError("every server of the target asks to be left alone", retry_after_s=wait_s)
        return open_

    # Driving

    def _drain(self) -> None:
        while (output := self._user_agent.poll()) is not None:
            self._handle(output)
        self._arm()

    def _handle(self, output: UserAgentOutput) -> None:
        match output:
            case Transmit(data, flow):
                self._carrier.transmit(data, flow)
            case CallOffered(handle, invite, flow):
                self._carrier.keep(invite.call_id)
                info = call_info(handle, invite, trusted=self._user_agent.trusts(flow))
                # Over UDP anybody may have sent it in the name of another: only the ACK shows that the sender hears us.
                leg = SipLeg(info, self, self._media, digits=self._digits, proven=flow.reliable)
                self._offer(leg)
            case CallReplaced(_, before, after):
                self._carrier.keep(after)
                self._carrier.release(before)
            case CallRedirected() | ReferAsked():
                self.spawn(self._lead(output))
            case TargetCalled(_, sip_call_id):
                self._carrier.keep(sip_call_id)
            case ServerFailed(_, server, retry_after_s):
                self._holds.failed(server, retry_after_s=retry_after_s, now=self.now())
            case MessageRefused(flow, reason):
                self._note_refusal(flow, reason)
            case CallForgotten():
                self._forget(output.sip_call_id)
            case _:
                self._signal(output)

    def _forget(self, sip_call_id: str) -> None:
        self._carrier.release(sip_call_id)
        if not self._user_agent.call_count:
            self._emptied.set()

    def _signal(self, event: CallEvent) -> None:
        leg = self._legs.get(event.handle)
        if leg is None:
            return
        if isinstance(event, CallEnded):
            del self._legs[event.handle]
        try:
            leg.signal(event)
        except Exception as error:
            # One call's media must not take the others with it.
            _logger.exception("the media of call %s failed", leg.info.call_id)
            self._user_agent.hang_up(leg.info.call_id, EndCause.FAILED, str(error), now=self.now())

    def _offer(self, leg: SipLeg) -> None:
        handle = leg.info.call_id
        if self._closing:
            self._user_agent.reject(handle, 503, retry_after_s=_CLOSING_RETRY_AFTER_S, now=self.now())
            return
        self._legs[handle] = leg
        try:
            self._on_call(leg)
        except Exception as error:
            _logger.exception("call %s found no handler", handle)
            self._user_agent.hang_up(handle, EndCause.FAILED, str(error), now=self.now())

    def _note_refusal(self, flow: Flow, reason: str) -> None:
        held_back = self._refusal_log.allow(now=self.now())
        if held_back is not None:
            _logger.warning("refused a message over %s: %s (and %d before it)", flow.transport, reason, held_back)

    def _arm(self) -> None:
        at = self._user_agent.timer_at()
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        # The time is kept here: what uvloop returns for a time that has passed does not know it.
        self._timer_at = at
        self._timer = None if at is None else self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = self._timer_at = None
        self._user_agent.handle_timer(now=self.now())
        self._drain()

    async def close(self, *, within_s: float = 2.0) -> None:
        """Refuse new calls, hang up the others, wait for the far ends at most so long; the carrier stays open."""
        self._closing = True
        for handle in list(self._legs):
            self.hang_up(handle, EndCause.BOT_HUNG_UP, "shutting down", reason=_SHUTDOWN)
        self._emptied.clear()
        if self._user_agent.call_count:
            try:
                async with asyncio.timeout(within_s):
                    await self._emptied.wait()
            except TimeoutError:
                _logger.warning("%d calls were not closed in time", self._user_agent.call_count)
        if self._timer is not None:
            self._timer.cancel()
        # What is left are media sessions that are being closed.
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def serve_sip(
    settings: SipSettings,
    *,
    media: MediaFactory,
    on_call: OnCall,
    admit: Admission = admit_all,
    adjust: Callable[[UserAgentConfig], UserAgentConfig] = lambda config: config,
) -> tuple[SipEndpoint, SipSockets]:
    """Open the sockets of `[sip]` and put an endpoint behind them; close both, the endpoint first.

    `adjust` may change what the settings do not say, such as timers. Raises `OSError` when the address is in use.
    """
    if not settings.enabled:
        raise LocalProtocolError("SIP is switched off: set [sip] enabled = true")
    sockets = SipSockets(gate=SourceGate(gate_limits(settings)), tls=tls_contexts(settings.tls))
    _, port = await sockets.open(settings.host, settings.port, tcp=settings.tcp, tls_port=settings.tls.port)
    config = adjust(user_agent_config(settings, port=port, tls_port=sockets.tls_port))
    agent = UserAgent(config, new_token=new_token, admit=admit)
    endpoint = SipEndpoint(
        agent,
        carrier=sockets,
        media=media,
        on_call=on_call,
        resolver=resolver_of(settings),
        outbound=OutboundPolicy(settings.outbound_allowed),
        digits=settings.send_digits,
    )
    sockets.attach(endpoint)
    return endpoint, sockets
