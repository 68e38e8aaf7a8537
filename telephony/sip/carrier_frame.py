"""What passes between the edge and a worker, one datagram each: SIP messages with their flow, and notes on calls.

A frame is a kind (1 byte), then for a message or flow: transport (1 byte: 0 UDP, 1 TCP, 2 TLS), port (2), connection
(8), lengths of the host and of the server name (1 each), both of them, and the message; for a note on a call: the
Call-ID. Numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from telephony.errors import LocalProtocolError
from telephony.sip.flow import Flow, Transport

_FLOW = struct.Struct("!BHQBB")
_TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp", "tls")


@dataclass(frozen=True, slots=True)
class MessageFrame:
    """A message: from the edge it was received, from a worker it is to be sent."""

    data: bytes
    flow: Flow


@dataclass(frozen=True, slots=True)
class FlowLostFrame:
    """From the edge: a connection broke or could not be opened."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class KeepFrame:
    """From a worker: it has a call by this Call-ID."""

    sip_call_id: str


@dataclass(frozen=True, slots=True)
class ReleaseFrame:
    """From a worker: the call is over."""

    sip_call_id: str


@dataclass(frozen=True, slots=True)
class EndFrame:
    """From the edge: the call is to be ended, since the money that it may cost is used up."""

    sip_call_id: str


CarrierFrame: TypeAlias = MessageFrame | FlowLostFrame | KeepFrame | ReleaseFrame | EndFrame


_NOTES: Mapping[type[KeepFrame | ReleaseFrame | EndFrame], bytes] = {
    KeepFrame: b"K",
    ReleaseFrame: b"R",
    EndFrame: b"E",
}


def pack(frame: CarrierFrame) -> bytes:
    """Write a frame."""
    match frame:
        case MessageFrame(data, flow):
            return b"M" + _pack_flow(flow) + data
        case FlowLostFrame(flow):
            return b"L" + _pack_flow(flow)
        case _:
            return _NOTES[type(frame)] + frame.sip_call_id.encode("utf-8", "surrogateescape")


def _pack_flow(flow: Flow) -> bytes:
    host, name = flow.host.encode(), flow.server_name.encode()
    transport = _TRANSPORTS.index(flow.transport)
    return _FLOW.pack(transport, flow.port, flow.connection, len(host), len(name)) + host + name


def unpack(datagram: bytes) -> CarrierFrame:
    """Read a frame; raises `LocalProtocolError`: both ends are ours."""
    kind, content = datagram[:1], datagram[1:]
    for note, letter in _NOTES.items():
        if kind == letter:
            return note(content.decode("utf-8", "surrogateescape"))
    match kind:
        case b"M" | b"L" if len(content) >= _FLOW.size:
            flow, data = _unpack_flow(content)
            return MessageFrame(data, flow) if kind == b"M" else FlowLostFrame(flow)
        case _:
            raise LocalProtocolError("a datagram that is no carrier frame")


def _unpack_flow(content: bytes) -> tuple[Flow, bytes]:
    transport, port, connection, host_bytes, name_bytes = _FLOW.unpack_from(content)
    host_end = _FLOW.size + host_bytes
    name_end = host_end + name_bytes
    host, name = content[_FLOW.size : host_end].decode(), content[host_end:name_end].decode()
    return Flow(_TRANSPORTS[transport], host, port, connection, name), content[name_end:]
