"""Reception figures of one source: sequence (RFC 3550 A.1), loss (A.3) and jitter (A.8)."""

from __future__ import annotations

from dataclasses import dataclass, field

from telephony.rtp.rtcp import ReportBlock
from telephony.rtp.xr import LossRuns

_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_LOST_MIN, _LOST_MAX = -0x800000, 0x7FFFFF


@dataclass(slots=True)
class Reception:
    """Counters of one SSRC whose timestamps run at `clock_hz`."""

    ssrc: int
    clock_hz: int
    received: int = 0
    jitter: float = 0.0  # timestamp units
    runs: LossRuns = field(default_factory=LossRuns)
    _first: int = 0
    _highest: int = 0  # unwrapped
    _expected_before: int = 0
    _received_before: int = 0
    _transit: float | None = None

    def update(self, sequence: int, *, timestamp: int | None, now: float) -> None:
        """Count a packet; `timestamp` None where it says nothing of its time (telephone events)."""
        if not self.received:
            self._first = self._highest = sequence
        step = (sequence - self._highest + _MAX_MISORDER & 0xFFFF) - _MAX_MISORDER
        if step > _MAX_DROPOUT:
            # The source began again with other numbers: what is lost so far stays lost.
            self._first += sequence - self._highest - 1
            self._highest = sequence
        elif step > 0:
            self._highest += step
        if step > 0 or not self.received:
            self.runs.count(lost=step - 1 if 0 < step <= _MAX_DROPOUT else 0)
        self.received += 1
        if timestamp is None:
            return
        transit = now * self.clock_hz - timestamp
        if self._transit is not None:
            difference = abs((transit - self._transit + 0x80000000) % 0x100000000 - 0x80000000)
            # A jump of the sender's clock is no jitter.
            if difference < self.clock_hz:
                self.jitter += (difference - self.jitter) / 16
        self._transit = transit

    @property
    def expected(self) -> int:
        """Packets from the first to the highest number."""
        return self._highest - self._first + 1 if self.received else 0

    @property
    def lost(self) -> int:
        """Packets that did not come; negative with duplicates."""
        return self.expected - self.received

    def block(self, *, last_sender_report: int, delay_since_last: int) -> ReportBlock:
        """Report, and begin the next interval for the fraction lost."""
        expected, received = self.expected - self._expected_before, self.received - self._received_before
        self._expected_before, self._received_before = self.expected, self.received
        fraction = max(0, expected - received) * 256 // expected if expected > 0 else 0
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min(fraction, 255),
            lost=min(max(self.lost, _LOST_MIN), _LOST_MAX),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=int(self.jitter),
            last_sender_report=last_sender_report,
            delay_since_last=delay_since_last,
        )
