"""A bot worker process: whole calls. `python -m bot.worker`, started by the edge; composition root."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvicorn
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from bot.call import Call, CallServices
from bot.call_records import CallRecords
from bot.calls import Calls
from bot.collector import hold_back
from bot.errors import BotError, ServiceStartError
from bot.events import Who
from bot.flows.live import LiveFlow
from bot.flows.shipped import flow_path
from bot.log import set_up_bot_logging
from bot.metrics import CallMetrics, FlowCollector, LoopLateness, TaskCollector
from bot.placed_calls import PlacedCalls, WorkerDial
from bot.settings import Settings, load_settings
from bot.web.serving import serve_web
from bot.worker_api import WorkerParts, WorkerRenewal, WorkerStatus, worker_api
from bot.worker_parts import call_services
from telephony.leg import CallLeg, LegEnded
from telephony.rtp.factory import RtpMediaFactory
from telephony.rtp.loop_thread import LoopThread
from telephony.sip.endpoint import SipEndpoint
from telephony.sip.from_settings import new_token, resolver_of, user_agent_config
from telephony.sip.leg import SipLeg
from telephony.sip.outbound_policy import OutboundPolicy
from telephony.sip.trunk_endpoint import trunk_config
from telephony.sip.uri import SipUri, parse_uri, unbracketed
from telephony.sip.user_agent import UserAgent
from telephony.sip.worker_carrier import WorkerCarrier
from telephony.stream.endpoint import StreamEndpoint
from telephony.webrtc.endpoint import WebRtcEndpoint
from telephony.webrtc.shared_media import SharedMedia
from tts_engine.log import LogLevel

_log = structlog.get_logger("zeng.worker")


@dataclass(frozen=True, slots=True)
class Place:
    """Where this worker stands among the others, as the edge tells it."""

    index: int
    count: int
    http_socket: Path
    sip_fd: int | None  # our end of the edge's socket pair
    sip_port: int  # the public ones, for Contact and Via
    sip_tls_port: int


class Worker:
    """Runs calls until SIGTERM, then lets them end."""

    def __init__(self, settings: Settings, place: Place) -> None:
        self._settings = settings
        self._place = place
        self._stop = asyncio.Event()
        self._registry = CollectorRegistry()
        self._placed: PlacedCalls | None = None

    async def run(self) -> None:
        """Serve until SIGTERM."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        async with contextlib.AsyncExitStack() as stack:
            live = LiveFlow(flow_path(self._settings.flow.path))
            self._registry.register(FlowCollector(live))
            services = replace(
                await call_services(self._settings, live, CallMetrics(self._registry), stack),
                on_answerer=self._answered_by,
            )
            workers = self._settings.workers
            calls = Calls(
                capacity=workers.calls, limit_s=workers.call_limit_s, run=lambda leg: self._converse(leg, services)
            )
            self._registry.register(TaskCollector(loop))
            ProcessCollector(registry=self._registry)
            lateness = asyncio.create_task(LoopLateness(self._registry).run())
            stack.callback(lateness.cancel)
            endpoint = await self._start_sip(calls, stack)
            if endpoint is not None:
                self._placed = self._place_calls(endpoint, calls, services)
            webrtc = await self._start_webrtc(calls, stack)
            await self._start_stream(calls, stack)
            await self._start_api(calls, webrtc, live, services.records, stack)
            hold_back()
            _log.info("worker serves", index=self._place.index, places=calls.capacity)
            await self._stop.wait()
            await self._end(calls, within_s=self._settings.workers.drain_s)

    async def _end(self, calls: Calls, *, within_s: float = 0.0) -> None:
        calls.drain()
        if left := await calls.wait(timeout_s=within_s):
            _log.warning("calls hung up at the end of the drain", calls=left)

    async def _converse(self, leg: CallLeg, services: CallServices) -> LegEnded:
        ended = await Call(leg, services).run()
        if self._placed is not None:
            self._placed.ended(leg.info.call_id, ended)
        return ended

    def _answered_by(self, call_id: str, who: Who) -> None:
        if self._placed is not None:
            self._placed.answered_by(call_id, who)

    def _place_calls(self, endpoint: SipEndpoint, calls: Calls, services: CallServices) -> PlacedCalls:
        sip = self._settings.sip
        identity = user_agent_config(sip, port=self._place.sip_port).identity
        credentials = {trunk.name: trunk_config(trunk, identity).credentials for trunk in sip.trunks}

        async def place(request: WorkerDial) -> SipLeg:
            return await endpoint.place_call(
                request.target,
                caller=request.caller,
                credentials=credentials.get(request.trunk),
                by=None if request.route is None else request.route.trunk_route(),
                variables=request.variables,
            )

        return PlacedCalls(place=place, take=calls.take, free=lambda: calls.free, check_flow=services.check_flow)

    async def _start_sip(self, calls: Calls, stack: contextlib.AsyncExitStack) -> SipEndpoint | None:
        if self._place.sip_fd is None:
            return None
        rtp = self._settings.rtp.share(self._place.index, self._place.count)
        media = RtpMediaFactory(rtp.model_copy(update={"host": rtp.host or self._settings.sip.host}))
        await media.start()
        stack.push_async_callback(media.stop)
        ports = Gauge("zeng_rtp_ports_taken", "RTP ports in use", registry=self._registry)
        ports.set_function(lambda: media.ports_taken)
        carrier = WorkerCarrier(socket.socket(fileno=self._place.sip_fd), on_edge_lost=self._stop.set)
        stack.push_async_callback(carrier.close)

        agent = UserAgent(
            user_agent_config(
                self._settings.sip,
                port=self._place.sip_port,
                tls_port=self._place.sip_tls_port,
                abilities=self._settings.rtp.abilities(),
            ),
            new_token=new_token,
            admit=lambda: None if calls.free else 5,
        )
        endpoint = SipEndpoint(
            agent,
            carrier=carrier,
            media=media,
            on_call=calls.take,
            resolver=resolver_of(self._settings.sip),
            outbound=outbound_policy(self._settings),
            digits=self._settings.sip.send_digits,
        )
        carrier.attach(endpoint, on_end=lambda call_id: endpoint.end(call_id, "toll: what it may cost is used up"))
        stack.push_async_callback(endpoint.close)
        return endpoint

    async def _start_webrtc(self, calls: Calls, stack: contextlib.AsyncExitStack) -> WebRtcEndpoint | None:
        if not self._settings.webrtc.enabled:
            return None
        thread = LoopThread("webrtc-media")
        await asyncio.to_thread(thread.start)
        stack.push_async_callback(asyncio.to_thread, thread.stop)
        endpoint = WebRtcEndpoint(
            self._settings.webrtc,
            calls.take,
            max_legs=self._settings.workers.calls,
            media=SharedMedia(thread.loop),
        )
        stack.push_async_callback(endpoint.close)
        return endpoint

    async def _start_stream(self, calls: Calls, stack: contextlib.AsyncExitStack) -> None:
        """Listen for streams on the ports that all workers share."""
        endpoint = StreamEndpoint(self._settings.stream, on_call=calls.take)
        try:
            await endpoint.open()
        except OSError as error:
            raise ServiceStartError(f"cannot listen for streams ({error.strerror}); set [stream] ports") from error
        stack.push_async_callback(endpoint.close)

    async def _start_api(
        self,
        calls: Calls,
        webrtc: WebRtcEndpoint | None,
        live: LiveFlow,
        records: CallRecords,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        async def offer(sdp: str) -> tuple[str, str]:
            assert webrtc is not None, "the edge sends no offers when [webrtc] is off"
            answer = await webrtc.offer(sdp)
            return answer.sdp, answer.call_id

        async def renew(renewal: WorkerRenewal) -> str:
            assert webrtc is not None, "the edge sends no offers when [webrtc] is off"
            return await webrtc.renew(renewal.call_id, renewal.candidates, restart=renewal.sdp or "")

        parts = WorkerParts(
            offer=offer,
            renew=renew,
            status=lambda: WorkerStatus(
                capacity=calls.capacity, active=calls.active, flow_refused=str(live.problem) if live.problem else None
            ),
            drain=calls.drain,
            hang_up=lambda: self._end(calls),
            registry=self._registry,
            placed=self._placed,
            calls=records.latest,
        )
        self._place.http_socket.unlink(missing_ok=True)
        config = uvicorn.Config(
            worker_api(parts), uds=str(self._place.http_socket), log_config=None, access_log=False, ws="none"
        )
        serve_web(config, stack)


def outbound_policy(settings: Settings) -> OutboundPolicy:
    """Whom we may call: whom `[sip] outbound_allowed` names, and `[flow] operator`, which is named there already."""
    operator = settings.flow.operator
    uri = parse_uri(operator) if operator else None
    named = (f"{uri.user}@{unbracketed(uri.host)}",) if isinstance(uri, SipUri) else ()
    return OutboundPolicy((*settings.sip.outbound_allowed, *named))


def main(
    index: int,
    count: int,
    http_socket: Path,
    sip_port: int = 0,
    sip_tls_port: int = 0,
    sip_fd: Annotated[int, typer.Option(help="-1: no SIP")] = -1,
    log_level: LogLevel = "INFO",
) -> None:
    """Run one worker; the edge's business, not a person's."""
    set_up_bot_logging(level=log_level, process=f"worker-{index}")
    place = Place(index, count, http_socket, sip_fd if sip_fd >= 0 else None, sip_port, sip_tls_port)
    try:
        settings = load_settings(None)
        sys.setswitchinterval(0.001)  # the media thread must not wait 5 ms for a busy bot
        import uvloop  # noqa: PLC0415  # Linux and macOS only

        uvloop.run(Worker(settings, place).run())
    except BotError as error:
        print(f"zeng worker: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from error


if __name__ == "__main__":
    typer.run(main)
