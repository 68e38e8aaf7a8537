"""`SipDispatcher`: the edge's side of SIP; it owns the public sockets and gives every call to one worker."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TypeAlias

from telephony.errors import SipParseError
from telephony.sip.call_id_table import CallIdTable
from telephony.sip.call_routing import Drop, Forward, PickWorker, Refuse, route
from telephony.sip.carrier_frame import (
    EndFrame,
    FlowLostFrame,
    KeepFrame,
    MessageFrame,
    ReleaseFrame,
    pack,
    unpack,
)
from telephony.sip.datagram_channel import DatagramChannel
from telephony.sip.flow import Flow
from telephony.sip.inspection import Refusal
from telephony.sip.message import Message, Request, Response, build_message, parse_message
from telephony.sip.rate_limit import RateLimit
from telephony.sip.responses import refuse_malformed, stateless_response
from telephony.sip.sockets import SipSockets
from telephony.sip.toll_gate import TollGate
from telephony.sip.transactions import response_flow
from telephony.sip.trunk_endpoint import TrunkEndpoint

Look: TypeAlias = Callable[[Request, Flow], Refusal | None]

_logger = logging.getLogger(__name__)


def let_pass(_request: Request, _flow: Flow) -> Refusal | None:
    """Refuse nothing."""
    return None


class SipDispatcher:
    """Passes messages between the public sockets and the workers; keeps nothing of SIP but Call-IDs."""

    def __init__(
        self,
        sockets: SipSockets,
        *,
        pick_worker: PickWorker,
        on_worker_lost: Callable[[int], None],
        table: CallIdTable | None = None,
        retry_after_s: int = 5,
        toll: TollGate | None = None,
        look: Look = let_pass,
    ) -> None:
        """`look` may refuse a request, by which flow it came, before a worker is chosen for it."""
        self._look = look
        self._toll = toll
        self._sockets = sockets
        self._pick_worker = pick_worker
        self._on_worker_lost = on_worker_lost
        self._table = table or CallIdTable()
        self._retry_after_s = retry_after_s
        self._loop = asyncio.get_running_loop()
        self._workers: dict[int, DatagramChannel] = {}
        self._ends: dict[str, asyncio.TimerHandle] = {}  # of calls that may cost no more by then
        self._refusal_log = RateLimit(period_s=1.0)
        self._trunks: TrunkEndpoint | None = None
        self.refused_messages = 0
        self.refused_calls = 0
        sockets.attach(self)

    def attach_trunks(self, trunks: TrunkEndpoint) -> None:
        """Say who takes the answers to what the edge itself sends: registrations and probes."""
        self._trunks = trunks

    def add_worker(self, worker: int, sock: socket.socket) -> None:
        """Take our end of a worker's Unix socket pair (SOCK_SEQPACKET, or SOCK_DGRAM); it is ours to close."""
        self._workers[worker] = DatagramChannel(
            sock,
            peer=f"worker {worker}",
            on_datagram=lambda datagram: self._take(worker, datagram),
            on_lost=lambda: self._lose(worker),
        )

    def remove_worker(self, worker: int) -> None:
        """Let a worker go; requests of its calls are answered 481 from now on."""
        channel = self._workers.pop(worker, None)
        if channel is not None:
            channel.close()
        for sip_call_id in self._table.forget_worker(worker):
            self._settle(sip_call_id)

    def _lose(self, worker: int) -> None:
        self.remove_worker(worker)
        self._on_worker_lost(worker)

    # From the network

    def receive(self, data: bytes, flow: Flow) -> None:
        """Take one message from the public sockets."""
        if not data.strip(b"\r\n\x00 "):
            if self._trunks is not None:
                self._trunks.receive(data, flow)  # a keep-alive, or a trunk's answer to ours
            return
        try:
            message = parse_message(data)
        except SipParseError as error:
            self._note_refusal(flow, str(error))
            answer = refuse_malformed(data, error)
            if answer is not None:
                self._sockets.transmit(answer, flow)
            return
        if isinstance(message, Response) and self._take_response(message, data, flow):
            return
        refusal = self._look(message, flow) if isinstance(message, Request) else None
        if isinstance(message, Request) and refusal is not None:
            self._refuse(message, refusal, flow)
        else:
            self._hand_on(message, data, flow)

    def _take_response(self, response: Response, data: bytes, flow: Flow) -> bool:
        """Whether it is the edge's own, and not one of a worker's."""
        if self._trunks is None:
            return False
        self._trunks.watch(response, flow)
        if self._trunks.owns(response.call_id):
            self._trunks.receive(data, flow)
            return True
        return False

    def _hand_on(self, message: Message, data: bytes, flow: Flow) -> None:
        if self._toll is not None and (at := self._toll.receive(message, now=self._loop.time())) is not None:
            self._ends[message.call_id] = self._loop.call_at(at, self._end, message.call_id)
        match route(message, self._table, self._pick_worker, now=self._loop.time()):
            case Forward(worker) if worker in self._workers:
                self._workers[worker].send(pack(MessageFrame(data, flow)))
            case Refuse(status) if isinstance(message, Request):
                retry = (("Retry-After", str(self._retry_after_s)),) if status == 503 else ()
                self.refused_calls += status == 503 and message.method == "INVITE"
                self._refuse(message, Refusal(status, retry), flow)
            case Forward() | Refuse() | Drop():
                pass

    def _refuse(self, request: Request, refusal: Refusal, flow: Flow) -> None:
        seen = request.with_top_via(request.via.received_from(flow.host, flow.port))
        response = stateless_response(seen, refusal.status, extra=refusal.extra)
        self._sockets.transmit(build_message(response), response_flow(seen, flow))

    def _note_refusal(self, flow: Flow, reason: str) -> None:
        self.refused_messages += 1
        held_back = self._refusal_log.allow(now=self._loop.time())
        if held_back is not None:
            _logger.warning("refused a message over %s: %s (and %d before it)", flow.transport, reason, held_back)

    def flow_lost(self, flow: Flow) -> None:
        """Tell every worker: which of them has calls on that connection is theirs to know."""
        for channel in self._workers.values():
            channel.send(pack(FlowLostFrame(flow)))
        if self._trunks is not None:
            self._trunks.flow_lost(flow)

    # From the workers

    def _take(self, worker: int, datagram: bytes) -> None:
        match unpack(datagram):
            case MessageFrame(data, flow):
                refusal = None if self._toll is None else self._toll.send(data, now=self._loop.time())
                if refusal is None:
                    self._sockets.transmit(data, flow)
                elif refusal and worker in self._workers:
                    self._workers[worker].send(pack(MessageFrame(refusal, flow)))
            case KeepFrame(sip_call_id):
                self._table.keep(sip_call_id, worker, now=self._loop.time())
            case ReleaseFrame(sip_call_id):
                self._table.release(sip_call_id, now=self._loop.time())
                self._settle(sip_call_id)
            case FlowLostFrame() | EndFrame():
                pass  # workers own no connections, and no money

    def _end(self, sip_call_id: str) -> None:
        """Have the worker end a call whose money is used up."""
        binding = self._table.find(sip_call_id, now=self._loop.time())
        if binding is not None and binding.worker in self._workers:
            self._workers[binding.worker].send(pack(EndFrame(sip_call_id)))

    def _settle(self, sip_call_id: str) -> None:
        """Note that a call is over, and what it has cost."""
        if (timer := self._ends.pop(sip_call_id, None)) is not None:
            timer.cancel()
        if self._toll is not None:
            self._toll.released(sip_call_id, now=self._loop.time())

    async def close(self) -> None:
        """Close the workers' channels and the public sockets."""
        for worker in list(self._workers):
            self.remove_worker(worker)
        await self._sockets.close()
