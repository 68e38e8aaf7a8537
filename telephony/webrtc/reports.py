"""`Reports`: RTCP of one call (RFC 3550, 6): what we tell the far side, and what it says of us. Sans I/O."""

from __future__ import annotations

from collections import deque
from typing import Final

from telephony.audio.quality import mos, r_factor
from telephony.errors import RtpParseError
from telephony.leg import FRAME_MS
from telephony.rtp.packet import RtpPacket
from telephony.rtp.reception import Reception
from telephony.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    build_rtcp,
    parse_rtcp,
)

_CLOCK_HZ: Final = 48_000
_NTP_EPOCH_S: Final = 2_208_988_800  # 1970 in seconds since 1900
_CNAME: Final = "zeng"
_REMEMBERED: Final = 8  # of our sender reports, to find the one that an answer means


class Reports:
    """Reception figures of the caller's stream, and the far side's figures of ours."""

    def __init__(self, *, ssrc: int) -> None:
        self._ssrc = ssrc
        self._reception: Reception | None = None
        self._lost_before = 0  # of streams before this one
        self._received_before = 0
        self._heard: tuple[int, float] | None = None  # middle 32 bits of the last SR's NTP time, when it came
        self._told: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)  # the same of ours, when they went
        self.round_trip_ms: float | None = None
        self.loss_percent = 0  # of our packets, in the far side's last interval
        self.jitter_there_ms = 0.0  # as the far side reports it
        self._reported = False

    @property
    def lost(self) -> int:
        """Packets of the caller that never came."""
        return self._lost_before + (max(0, self._reception.lost) if self._reception else 0)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter of the caller's packets."""
        return self._reception.jitter * 1000 / _CLOCK_HZ if self._reception else 0.0

    def mos_here(self, *, late: int, playout_delay_ms: float) -> float | None:
        """Rate what is heard here by the E-model (ITU-T G.107), as SIP legs do; None before anything was."""
        reception = self._reception
        if reception is None:
            return None
        received = self._received_before + reception.received
        loss_percent = 100 * (self.lost + late) / (received + self.lost)
        delay_ms = (self.round_trip_ms or 0.0) / 2 + playout_delay_ms + FRAME_MS  # and a packet's own time
        ratio = reception.runs.burst_ratio
        return mos(r_factor(codec="opus", loss_percent=loss_percent, burst_ratio=ratio, delay_ms=delay_ms))

    def mos_there(self) -> float | None:
        """Rate what the far side hears, by its last report; None before one."""
        if not self._reported:
            return None
        delay_ms = (
            self.round_trip_ms or 0.0
        ) / 2 + 2 * FRAME_MS  # its buffer is not known: a frame of it, and a packet
        return mos(r_factor(codec="opus", loss_percent=self.loss_percent, delay_ms=delay_ms))

    def count(self, packet: RtpPacket, *, now: float) -> None:
        """Count a packet of the caller."""
        if self._reception is None or self._reception.ssrc != packet.ssrc:
            self._lost_before = self.lost
            self._received_before += self._reception.received if self._reception else 0
            self._reception = Reception(packet.ssrc, _CLOCK_HZ)
            self._heard = None
        self._reception.update(packet.sequence, timestamp=packet.timestamp, now=now)

    def receive(self, data: bytes, *, now: float) -> None:
        """Take what the far side reports; what is no RTCP is passed over."""
        try:
            packets = parse_rtcp(data)
        except RtpParseError:
            return
        for packet in packets:
            if isinstance(packet, SenderReport) and self._reception and packet.ssrc == self._reception.ssrc:
                self._heard = (packet.ntp >> 16 & 0xFFFFFFFF, now)
            if isinstance(packet, SenderReport | ReceiverReport):
                for block in packet.blocks:
                    self._learn(block, now)

    def build(self, *, timestamp: int, packets: int, octets: int, now: float, wall_clock_s: float) -> bytes:
        """Write our sender report, with what was received; `timestamp` is the RTP time of now."""
        ntp = int((wall_clock_s + _NTP_EPOCH_S) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF  # eras of 136 years
        self._told.append((ntp >> 16 & 0xFFFFFFFF, now))
        counts = (packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
        report = SenderReport(self._ssrc, ntp, timestamp, *counts, blocks=self._blocks(now))
        return build_rtcp([report, SourceDescription(self._ssrc, _CNAME)])

    def build_goodbye(self) -> bytes:
        """Write the end of our stream (RFC 3550, 6.6)."""
        packets: list[RtcpPacket] = [ReceiverReport(self._ssrc), Goodbye((self._ssrc,))]
        return build_rtcp(packets)

    def _blocks(self, now: float) -> tuple[ReportBlock, ...]:
        if self._reception is None:
            return ()
        last, delay = (self._heard[0], round((now - self._heard[1]) * 65_536)) if self._heard else (0, 0)
        return (self._reception.block(last_sender_report=last, delay_since_last=delay & 0xFFFFFFFF),)

    def _learn(self, block: ReportBlock, now: float) -> None:
        if block.ssrc != self._ssrc:
            return
        self.loss_percent = block.fraction_lost * 100 // 256
        self.jitter_there_ms = block.jitter * 1000 / _CLOCK_HZ
        self._reported = True
        for middle, sent_at in self._told:
            if middle == block.last_sender_report:
                self.round_trip_ms = max(0.0, 1000 * (now - sent_at - block.delay_since_last / 65_536))
