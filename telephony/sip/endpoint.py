"""`SipEndpoint`: one user agent on an asyncio loop, with its legs; it does not know whose sockets carry it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable, Coroutine
from typing import TypeAlias

from telephony.errors import LocalProtocolError, SipParseError
from telephony.leg import CallInfo, CallLeg, EndCause
from telephony.local_address import reachable_address
from telephony.media import MediaFactory
from telephony.settings import SipSettings
from telephony.sip.admission import Admission, admit_all
from telephony.sip.auth import Credentials
from telephony.sip.call_info import call_info, party
from telephony.sip.carrier import Carrier
from telephony.sip.events import (
    CallEnded,
    CallEvent,
    CallForgotten,
    CallOffered,
    MessageRefused,
    UserAgentOutput,
)
from telephony.sip.flow import Flow, Transmit
from telephony.sip.identity import Identity
from telephony.sip.leg import SipLeg
from telephony.sip.offer_answer import Direction, LocalAudio
from telephony.sip.outbound_call import Destination
from telephony.sip.rate_limit import RateLimit
from telephony.sip.sockets import SipSockets
from telephony.sip.uri import SipUri, parse_uri, unbracketed
from telephony.sip.user_agent import UserAgent, UserAgentConfig

OnCall: TypeAlias = Callable[[CallLeg], None]
"""Told of each call that comes in, not yet answered; must not block. If it raises, the call is refused."""

_DEFAULT_PORT = 5060
_CLOSING_RETRY_AFTER_S = 5
_SHUTDOWN = "Q.850;cause=41"  # temporary failure

_logger = logging.getLogger(__name__)


def new_token() -> str:
    """Draw 32 hex digits that nobody can guess."""
    return secrets.token_hex(16)


def user_agent_config(settings: SipSettings, *, port: int) -> UserAgentConfig:
    """Turn the `[sip]` section and the port that was bound into the user agent's configuration.

    A host that is all addresses, without a domain, is named by the address that the default route leaves from;
    raises `LocalProtocolError` when there is none.
    """
    try:
        host = reachable_address(settings.domain or settings.host)
    except OSError as error:
        raise LocalProtocolError(
            f"[sip] host is {settings.host} and there is no default route: set [sip] domain to what callers can reach"
        ) from error
    return UserAgentConfig(
        Identity(host, port, settings.user),
        address_type="IP6" if ":" in settings.host else "IP4",
        realm=host,
        passwords=settings.digest_users,
    )


class SipEndpoint:
    """Drives a user agent: mutate, drain, sleep until its timer. All methods are called from one loop."""

    def __init__(self, user_agent: UserAgent, *, carrier: Carrier, media: MediaFactory, on_call: OnCall) -> None:
        self._user_agent = user_agent
        self._carrier = carrier
        self._media = media
        self._on_call = on_call
        self._loop = asyncio.get_running_loop()
        self._legs: dict[str, SipLeg] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._closing = False
        self._emptied = asyncio.Event()
        self._refusal_log = RateLimit(period_s=1.0)
        self.refused_messages = 0
        self.offered_calls = 0

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

    def reoffer(self, handle: str, direction: Direction) -> None:
        """See `UserAgent.reoffer`."""
        self._user_agent.reoffer(handle, direction, now=self.now())
        self._drain()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a task that `close()` waits for."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Placing calls

    async def place_call(self, target: str, *, caller: str = "", credentials: Credentials | None = None) -> SipLeg:
        """Send an INVITE to a sip: URI. `answer()` of the leg waits for the far end; `hang_up()` gives up.

        Raises `SipParseError` for a malformed target, `OSError` when its host cannot be resolved and
        `CapacityError` when no RTP port is free.
        """
        uri = parse_uri(target)
        if not isinstance(uri, SipUri) or uri.scheme != "sip":
            raise SipParseError("only sip: URIs can be called")
        flow = await self._resolve(uri)
        media = await self._media.open()
        destination = Destination(uri, flow, caller, credentials)
        try:
            local = LocalAudio(media.local_host, media.local_port, media.abilities)
            handle = self._user_agent.place_call(destination, local, now=self.now())
        except BaseException:
            await media.close()
            raise
        sip_call_id = self._user_agent.sip_call_id(handle)
        info = CallInfo(handle, "sip", caller, party(uri), {"sip_call_id": sip_call_id})
        leg = self._legs[handle] = SipLeg(info, self, self._media, media=media)
        self._carrier.keep(sip_call_id)
        self._drain()
        return leg

    async def _resolve(self, uri: SipUri) -> Flow:
        """Find the address of a host; SRV and NAPTR records are not looked up."""
        port = uri.port or _DEFAULT_PORT
        transport = "tcp" if (uri.parameter("transport") or "").lower() == "tcp" else "udp"
        try:
            host = str(ipaddress.ip_address(unbracketed(uri.host)))
        except ValueError:
            found = await self._loop.getaddrinfo(uri.host, port, type=socket.SOCK_DGRAM)
            host = str(found[0][4][0])
        return Flow(transport, host, port)

    # Driving

    def _drain(self) -> None:
        while (output := self._user_agent.poll()) is not None:
            self._handle(output)
        self._arm()

    def _handle(self, output: UserAgentOutput) -> None:
        match output:
            case Transmit(data, flow):
                self._carrier.transmit(data, flow)
            case CallOffered(handle, invite):
                self._carrier.keep(invite.call_id)
                self._offer(SipLeg(call_info(handle, invite), self, self._media))
            case MessageRefused(flow, reason):
                self._note_refusal(flow, reason)
            case CallForgotten(_, sip_call_id):
                self._carrier.release(sip_call_id)
                if not self._user_agent.call_count:
                    self._emptied.set()
            case _:
                leg = self._legs.get(output.handle)
                if leg is not None:
                    self._signal(leg, output)

    def _signal(self, leg: SipLeg, event: CallEvent) -> None:
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
        self.offered_calls += 1
        self._legs[handle] = leg
        try:
            self._on_call(leg)
        except Exception as error:
            _logger.exception("call %s found no handler", handle)
            self._user_agent.hang_up(handle, EndCause.FAILED, str(error), now=self.now())

    def _note_refusal(self, flow: Flow, reason: str) -> None:
        self.refused_messages += 1
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
    sockets = SipSockets()
    _, port = await sockets.open(settings.host, settings.port, tcp=settings.tcp)
    agent = UserAgent(adjust(user_agent_config(settings, port=port)), new_token=new_token, admit=admit)
    endpoint = SipEndpoint(agent, carrier=sockets, media=media, on_call=on_call)
    sockets.attach(endpoint)
    return endpoint, sockets
