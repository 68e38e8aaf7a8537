"""`build_rtp`: any RTP packet (RFC 3550 section 5.1), as peers may send it; ours are all plain."""

from __future__ import annotations

import struct

from telephony.rtp.packet import RtpPacket


def build_rtp(packet: RtpPacket) -> bytes:
    """Write a packet without padding."""
    flags = 0x80 | len(packet.csrcs)
    rest = struct.pack(f"!{len(packet.csrcs)}I", *packet.csrcs)
    if packet.extension is not None:
        profile, words = packet.extension
        flags |= 0x10
        rest += struct.pack("!HH", profile, len(words) // 4) + words
    marked_type = packet.payload_type | (0x80 if packet.marker else 0)
    front = struct.pack("!BBHII", flags, marked_type, packet.sequence, packet.timestamp, packet.ssrc)
    return front + rest + packet.payload
