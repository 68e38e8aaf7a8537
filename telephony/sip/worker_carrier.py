"""`WorkerCarrier`: a worker's side of the edge, which owns the public sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable

from telephony.sip.carrier import Receiver
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


class WorkerCarrier:
    """Carries a user agent over one end of a Unix socket pair; the edge has the other one."""

    def __init__(self, sock: socket.socket, *, on_edge_lost: Callable[[], None]) -> None:
        self._receiver: Receiver | None = None
        self._on_end: Callable[[str], None] | None = None
        self._channel = DatagramChannel(sock, peer="the edge", on_datagram=self._take, on_lost=on_edge_lost)

    def attach(self, receiver: Receiver, *, on_end: Callable[[str], None] | None = None) -> None:
        """Say who takes what arrives; before that it is dropped. `on_end` takes Call-IDs of calls to be ended."""
        self._receiver, self._on_end = receiver, on_end

    def _take(self, datagram: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            return
        match unpack(datagram):
            case MessageFrame(data, flow):
                receiver.receive(data, flow)
            case FlowLostFrame(flow):
                receiver.flow_lost(flow)
            case EndFrame(sip_call_id):
                if self._on_end is not None:
                    self._on_end(sip_call_id)
            case KeepFrame() | ReleaseFrame():
                pass  # the edge keeps no calls

    def transmit(self, data: bytes, flow: Flow) -> None:
        """Send one message."""
        self._channel.send(pack(MessageFrame(data, flow)))

    def keep(self, sip_call_id: str) -> None:
        """Have the edge send this call's messages here."""
        self._channel.send(pack(KeepFrame(sip_call_id)))

    def release(self, sip_call_id: str) -> None:
        """Tell the edge that the call is over."""
        self._channel.send(pack(ReleaseFrame(sip_call_id)))

    async def close(self) -> None:
        """Close the socket."""
        self._channel.close()
