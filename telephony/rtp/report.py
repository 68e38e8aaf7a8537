"""When to send RTCP and what to say in it (RFC 3550 sections 6.2 to 6.4), and what the peer's reports tell."""

from __future__ import annotations

from collections.abc import Callable

from telephony.rtp.reception import Reception
from telephony.rtp.rtcp import Goodbye, ReceiverReport, ReportBlock, RtcpPacket, SenderReport, SourceDescription
from telephony.rtp.sender import RtpSender
from telephony.rtp.xr import ExtendedReport, VoipMetrics

_INTERVAL_S = 5.0
_COMPENSATION = 1.21828  # e - 3/2, section 6.3.1
_NTP_UNIX_S = 2_208_988_800  # 1900 to 1970


class Reporter:
    """RTCP of a session of two. `wall_offset_s` is wall clock less `now`; `dice` gives numbers from 0 to 1."""

    def __init__(self, *, cname: str, wall_offset_s: float, dice: Callable[[], float]) -> None:
        self.round_trip_s: float | None = None
        self.lost_there = 0.0  # share of our packets, in the peer's last interval
        self.jitter_there = 0  # timestamp units
        self.metrics_there: VoipMetrics | None = None  # of the peer's last extended report
        self._cname = cname
        self._wall_offset_s = wall_offset_s
        self._dice = dice
        self._due_at: float | None = None
        self._packets_before = 0
        self._last_sender_report = 0
        self._last_arrived_at = 0.0

    # Ours

    def start(self, *, now: float) -> None:
        """Set the first report at half the interval (section 6.2)."""
        self._due_at = now + self._interval_s() / 2

    def _interval_s(self) -> float:
        return _INTERVAL_S * (0.5 + self._dice()) / _COMPENSATION

    def timer_at(self) -> float | None:
        """When the next report is due."""
        return self._due_at

    def report(
        self, sender: RtpSender, reception: Reception | None, *, now: float, metrics: VoipMetrics | None = None
    ) -> list[RtcpPacket]:
        """Make the compound packet that is due and set the next; `metrics` where the peer wants them."""
        self._due_at = now + self._interval_s()
        blocks = () if reception is None else (self._block(reception, now),)
        head: RtcpPacket
        if sender.packets > self._packets_before:
            ntp = self._ntp(now)
            head = SenderReport(
                sender.ssrc, ntp, sender.timestamp, sender.packets & 0xFFFFFFFF, sender.octets & 0xFFFFFFFF, blocks
            )
        else:
            head = ReceiverReport(sender.ssrc, blocks)
        self._packets_before = sender.packets
        extended = () if metrics is None else (ExtendedReport(sender.ssrc, (metrics,)),)
        return [head, SourceDescription(sender.ssrc, self._cname), *extended]

    def goodbye(self, sender: RtpSender, reception: Reception | None, *, now: float) -> list[RtcpPacket]:
        """Make the last compound packet."""
        return [*self.report(sender, reception, now=now), Goodbye((sender.ssrc,))]

    def _ntp(self, now: float) -> int:
        return int((now + self._wall_offset_s + _NTP_UNIX_S) * 2**32) & 0xFFFFFFFFFFFFFFFF

    def _block(self, reception: Reception, now: float) -> ReportBlock:
        delay = int((now - self._last_arrived_at) * 65_536) & 0xFFFFFFFF if self._last_sender_report else 0
        return reception.block(last_sender_report=self._last_sender_report, delay_since_last=delay)

    # The peer's

    def receive(self, packets: list[RtcpPacket], *, our_ssrc: int, now: float) -> None:
        """Take the peer's reports: its clock to answer with, and the round trip (section 6.4.1)."""
        for packet in packets:
            if isinstance(packet, SenderReport):
                self._last_sender_report = packet.ntp >> 16 & 0xFFFFFFFF
                self._last_arrived_at = now
            if isinstance(packet, SenderReport | ReceiverReport):
                for block in packet.blocks:
                    if block.ssrc == our_ssrc:
                        self._take_block(block, now)
            if isinstance(packet, ExtendedReport):
                of_us = (metrics for metrics in packet.metrics if metrics.ssrc == our_ssrc)
                self.metrics_there = next(of_us, self.metrics_there)

    def _take_block(self, block: ReportBlock, now: float) -> None:
        self.lost_there, self.jitter_there = block.fraction_lost / 256, block.jitter
        if block.last_sender_report:
            self._measure_round_trip(block, now)

    def _measure_round_trip(self, block: ReportBlock, now: float) -> None:
        here = self._ntp(now) >> 16 & 0xFFFFFFFF
        trip = (here - block.last_sender_report - block.delay_since_last) & 0xFFFFFFFF
        if trip < 0x80000000:  # else the peer's clock makes it negative
            self.round_trip_s = trip / 65_536
