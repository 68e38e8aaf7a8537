"""The VoIP metrics block of RTCP extended reports (RFC 3611 section 4.7), and the runs of loss behind it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

_BLOCK_TYPE = 7
_BLOCK_WORDS = 8  # after the block's header
_HEADER = struct.Struct("!BBH")
_METRICS = struct.Struct("!IBBBBHHHHBBBBBBBBBBHHH")
_UNKNOWN = 127  # of levels, of R factors and MOS
_G_MIN = 16  # packets received in a row that end a burst (section 4.7.2)
_ENHANCED_ADAPTIVE = 0xB0  # receiver configuration: enhanced concealment, adaptive buffer (section 4.7.6)


@dataclass(frozen=True, slots=True)
class VoipMetrics:
    """How one source is heard. Rates and densities are parts of 256; None where the reporter does not know."""

    ssrc: int
    loss_rate: int
    discard_rate: int
    burst_density: int = 0
    gap_density: int = 0
    burst_ms: int = 0
    gap_ms: int = 0
    round_trip_ms: int = 0
    end_system_ms: int = 0
    r_factor: int | None = None
    mos_lq: float | None = None  # listening quality, 1.0 to 5.0
    mos_cq: float | None = None  # conversational quality
    buffer_ms: int = 0
    buffer_max_ms: int = 0


@dataclass(frozen=True, slots=True)
class ExtendedReport:
    """XR; blocks of other types are passed over."""

    ssrc: int
    metrics: tuple[VoipMetrics, ...] = ()


def parse_xr(body: bytes) -> ExtendedReport:
    """Read what follows the RTCP header; raises `struct.error`."""
    (ssrc,) = struct.unpack_from("!I", body)
    metrics: list[VoipMetrics] = []
    start = 4
    while start < len(body):
        block_type, _, words = _HEADER.unpack_from(body, start)
        if block_type == _BLOCK_TYPE and words == _BLOCK_WORDS:
            metrics.append(_parse_metrics(body, start + _HEADER.size))
        start += _HEADER.size + 4 * words
    return ExtendedReport(ssrc, tuple(metrics))


def _parse_metrics(body: bytes, start: int) -> VoipMetrics:
    fields = _METRICS.unpack_from(body, start)
    ssrc, loss, discard, burst_density, gap_density, burst_ms, gap_ms, trip_ms, end_ms = fields[:9]
    r_factor, _, mos_lq, mos_cq = fields[13:17]
    return VoipMetrics(
        ssrc, loss, discard, burst_density, gap_density, burst_ms, gap_ms, trip_ms, end_ms,
        r_factor=None if r_factor == _UNKNOWN else r_factor,
        mos_lq=None if mos_lq == _UNKNOWN else mos_lq / 10,
        mos_cq=None if mos_cq == _UNKNOWN else mos_cq / 10,
        buffer_ms=fields[19],
        buffer_max_ms=fields[20],
    )  # fmt: skip


def build_xr(report: ExtendedReport) -> bytes:
    """Write what follows the RTCP header."""
    return struct.pack("!I", report.ssrc) + b"".join(_build_metrics(metrics) for metrics in report.metrics)


def _build_metrics(metrics: VoipMetrics) -> bytes:
    return _HEADER.pack(_BLOCK_TYPE, 0, _BLOCK_WORDS) + _METRICS.pack(
        metrics.ssrc,
        metrics.loss_rate,
        metrics.discard_rate,
        metrics.burst_density,
        metrics.gap_density,
        *(min(ms, 0xFFFF) for ms in (metrics.burst_ms, metrics.gap_ms, metrics.round_trip_ms, metrics.end_system_ms)),
        *(_UNKNOWN, _UNKNOWN, _UNKNOWN),  # signal, noise, echo: not measured
        _G_MIN,
        _UNKNOWN if metrics.r_factor is None else metrics.r_factor,
        _UNKNOWN,  # no other segment
        _tenths(metrics.mos_lq),
        _tenths(metrics.mos_cq),
        _ENHANCED_ADAPTIVE,
        0,
        *(min(ms, 0xFFFF) for ms in (metrics.buffer_ms, metrics.buffer_max_ms, metrics.buffer_max_ms)),
    )


def _tenths(mos: float | None) -> int:
    return _UNKNOWN if mos is None else round(mos * 10)


@dataclass(slots=True)
class LossRuns:
    """Counts transitions between gap and burst, packet by packet in the order of their numbers (appendix A.2)."""

    received: int = 0
    lost: int = 0
    _since_loss: int = 0
    _run: int = 0  # losses of the burst or gap under way
    _counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("11", "13", "14", "22", "23", "33"), 0))

    def count(self, *, lost: int) -> None:
        """Take one packet that came, after so many that did not."""
        if lost:
            for _ in range(min(lost, 1000)):
                self._lose()
        self.received += 1
        self._since_loss += 1

    def _lose(self) -> None:
        self.lost += 1
        counts, since = self._counts, self._since_loss
        if since >= _G_MIN:
            counts["14" if self._run == 1 else "13"] += 1
            counts["11"] += since
            self._run = 1
        else:
            self._run += 1
            if since == 0:
                counts["33"] += 1
            else:
                counts["23"] += 1
                counts["22"] += since - 1
        self._since_loss = 0

    def metrics(self, ssrc: int, *, packet_ms: int, discarded: int) -> VoipMetrics:
        """Report what was counted so far; `discarded` came and were of no use."""
        c = self._counts
        total = max(1, self.received + self.lost)
        in_gaps, in_bursts = c["11"] + c["14"] + c["13"], c["22"] + 2 * c["23"] + c["33"] + c["13"]
        to_gap = c["13"] + c["23"] + c["33"]
        stay = 1.0 if c["22"] + c["23"] < 1 else 1 - c["22"] / (c["22"] + c["23"])
        leave = c["23"] / to_gap if to_gap else 0.0
        bursts = max(1, c["13"])
        return VoipMetrics(
            ssrc,
            loss_rate=min(255, 256 * self.lost // total),
            discard_rate=min(255, 256 * discarded // total),
            burst_density=min(255, int(256 * stay / (stay + leave))) if in_bursts else 0,
            gap_density=min(255, 256 * c["14"] // max(1, c["11"] + c["14"])),
            burst_ms=in_bursts * packet_ms // bursts,
            gap_ms=in_gaps * packet_ms // bursts,
        )

    @property
    def burst_ratio(self) -> float:
        """Mean length of a run of losses against that of random loss at the same rate (ITU-T G.107 section 3.5)."""
        runs = self.lost - self._counts["33"]
        if not runs or not self.received:
            return 1.0
        rate = self.lost / (self.lost + self.received)
        return max(1.0, self.lost / runs * (1 - rate))
