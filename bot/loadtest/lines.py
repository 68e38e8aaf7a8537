"""How a generator reaches a bot: `Line.call()` gives an answered leg, over SIP or the page's WebRTC."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import httpx

from bot.loadtest.network import RelayedTarget, sip_target
from bot.loadtest.plan import Network
from telephony.errors import CapacityError, LegEndedError, TelephonyError
from telephony.leg import CallLeg, LegEnded
from telephony.local_address import local_address, reachable_address
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings, WebRtcSettings
from telephony.sip.carrier import Receiver
from telephony.sip.endpoint import SipEndpoint, serve_sip
from telephony.sip.flow import Flow
from telephony.sip.uri import bracketed, unbracketed
from telephony.webrtc.caller import place_call
from telephony.webrtc.shared_media import SharedMedia

_LEAD_MS = 40  # little is queued ahead: what the caller says leaves at once
_STATUS = re.compile(rb"SIP/2\.0 (\d{3}) ")
_CALL_ID = re.compile(rb"(?im)^(?:call-id|i) *: *(\S+)")
_CSEQ = re.compile(rb"(?im)^cseq *: *(\d+ +\w+)")


class CallFailed(Exception):  # noqa: N818  # what happened to a call, no error of ours
    """A call did not come about; the message is a status or a cause."""


@dataclass(slots=True)
class Rung:
    """An answered call."""

    leg: CallLeg
    call_id: str  # joins the bot's own record
    asked_at: float  # when INVITE left, or the offer began to be made; monotonic


class Line(Protocol):
    """A way to place calls."""

    async def call(self) -> Rung:
        """Place a call and wait for the answer; raises `CallFailed`."""
        ...

    @property
    def ports_free(self) -> int:
        """RTP ports left; a large number where there is no such limit."""
        ...

    @property
    def signalling(self) -> Counter[str]:
        """Counts of the signalling: responses by status, `repeated` responses."""
        ...


class _Tap:
    """Counts SIP responses as they come, and hands them on."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._seen: dict[tuple[bytes, ...], None] = {}
        self.counts: Counter[str] = Counter()

    def receive(self, data: bytes, flow: Flow) -> None:
        """Count a message."""
        status, call_id, cseq = _STATUS.match(data), _CALL_ID.search(data), _CSEQ.search(data)
        if status and call_id and cseq:
            self.counts[status[1].decode()] += 1
            key = (status[1], call_id[1], cseq[1])
            self.counts["repeated"] += key in self._seen
            self._seen[key] = None
            if len(self._seen) > 10_000:
                del self._seen[next(iter(self._seen))]
        self._receiver.receive(data, flow)

    def flow_lost(self, flow: Flow) -> None:
        """Hand on."""
        self._receiver.flow_lost(flow)


class SipLine:
    """Calls by SIP over one user agent."""

    def __init__(
        self, endpoint: SipEndpoint, media: RtpMediaFactory, tap: _Tap, target: str, caller: str, ports: int
    ) -> None:
        self._endpoint = endpoint
        self._media = media
        self._tap = tap
        self._target = target
        self._caller = caller
        self._ports = ports

    async def call(self) -> Rung:
        """Place a call; see `Line`."""
        try:
            leg = await self._endpoint.place_call(self._target, caller=self._caller)
        except CapacityError as error:
            raise CallFailed("no RTP port free here") from error
        except (OSError, TelephonyError) as error:
            raise CallFailed(f"cannot call the target: {error}") from error
        asked_at = time.monotonic()
        try:
            await leg.answer()
        except LegEndedError as error:
            event = await leg.receive()
            raise CallFailed(event.detail if isinstance(event, LegEnded) else str(error)) from error
        except BaseException:
            await leg.hang_up()
            raise
        return Rung(leg, leg.info.variables.get("sip_call_id", ""), asked_at)

    @property
    def ports_free(self) -> int:
        """RTP ports left."""
        return self._ports - self._media.ports_taken

    @property
    def signalling(self) -> Counter[str]:
        """See `Line`."""
        return self._tap.counts


class WebRtcLine:
    """Calls as a page does."""

    def __init__(self, client: httpx.AsyncClient, url: str, relays: RelayedTarget | None) -> None:
        self._client = client
        self._url = url
        self._relays = relays
        self._counts: Counter[str] = Counter()
        self._media = SharedMedia()

    async def call(self) -> Rung:
        """Place a call; see `Line`."""
        found: dict[str, str] = {}
        asked_at = time.monotonic()

        async def send_offer(sdp: str) -> str:
            if self._relays is not None:
                sdp = self._relays.hide_candidates(sdp)
            answer = await self._client.post(f"{self._url}/api/offer", json={"sdp": sdp, "type": "offer"})
            self._counts[str(answer.status_code)] += 1
            if answer.status_code != 200:
                raise CallFailed(str(answer.status_code))
            body = answer.json()
            found["call_id"] = body["call_id"]
            return self._relays.relay_candidates(body["sdp"]) if self._relays is not None else body["sdp"]

        try:
            leg = await place_call(send_offer, WebRtcSettings(lead_ms=_LEAD_MS), media=self._media)
        except (httpx.HTTPError, TelephonyError) as error:
            raise CallFailed(f"{type(error).__name__}: {error}") from error
        return Rung(leg, found["call_id"], asked_at)

    @property
    def ports_free(self) -> int:
        """The system's own."""
        return 10_000

    @property
    def signalling(self) -> Counter[str]:
        """See `Line`."""
        return self._counts


@asynccontextmanager
async def open_line(
    target: str, *, network: Network, seed: int, port_min: int, port_max: int
) -> AsyncGenerator[SipLine | WebRtcLine]:
    """Open a line to a target, through a bad network where there is to be one."""
    async with AsyncExitStack() as stack:
        relays: RelayedTarget | None = None
        if not network.clear:
            relays = stack.enter_context(RelayedTarget(target, network.model(), seed=seed))
        if not target.startswith("sip"):
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=30.0, trust_env=False))
            yield WebRtcLine(client, target.rstrip("/"), relays)
            return
        dialled = relays.sip_uri if relays is not None else target
        host = await _address_towards(dialled)
        media = RtpMediaFactory(RtpSettings(host=host, port_min=port_min, port_max=port_max, lead_ms=_LEAD_MS))
        await media.start()
        stack.push_async_callback(media.stop)
        endpoint, sockets = await serve_sip(
            SipSettings(host=host, port=0, outbound_allowed=("*@*",)), media=media, on_call=lambda _: None
        )
        stack.push_async_callback(sockets.close)
        stack.push_async_callback(endpoint.close)
        tap = _Tap(endpoint)
        sockets.attach(tap)
        ports = (port_max - port_min + 1) // 2
        yield SipLine(endpoint, media, tap, dialled, f"sip:loadtest@{bracketed(host)}", ports)


async def _address_towards(target: str) -> str:
    """Our address that a SIP target can answer to: where its name has none, that of the default route."""
    host = unbracketed(sip_target(target).host)
    with suppress(OSError):
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        return local_address(str(found[0][4][0]))
    with suppress(OSError):
        return reachable_address("0.0.0.0")  # noqa: S104  # asked for, not bound to
    return "127.0.0.1"
