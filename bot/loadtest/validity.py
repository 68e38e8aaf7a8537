"""Whether a run may be believed: what the load generator itself got wrong. A run with a fault is INVALID."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GeneratorHealth:
    """One generator process over one stage."""

    cpu_share: float  # of one core
    loop_late_p99_ms: float  # how late its timers came
    paced_late_ms_max: float  # how late its sound left
    floor_ms: float | None  # round trip of sound to an echo on this machine, while the load ran; median
    floor_ms_max: float | None
    udp_drops: int  # datagrams that the kernel threw away on its sockets
    frames_dropped: int  # of what was heard, by the generator being too slow
    ports_free: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is still believed."""

    cpu_share: float = 0.85
    loop_late_p99_ms: float = 20.0
    paced_late_ms: float = 100.0  # once; the catch-up keeps the stream whole
    floor_ms: float = 150.0
    least_ports_free: int = 8


def faults(health: GeneratorHealth, bounds: Bounds | None = None) -> tuple[str, ...]:
    """Say what makes the figures unbelievable; empty: nothing."""
    bounds = bounds or Bounds()
    checks = (
        (health.cpu_share > bounds.cpu_share, f"the generator used {100 * health.cpu_share:.0f} % of its core"),
        (
            health.loop_late_p99_ms > bounds.loop_late_p99_ms,
            f"the generator's timers came {health.loop_late_p99_ms:.0f} ms late (p99)",
        ),
        (
            health.paced_late_ms_max > bounds.paced_late_ms,
            f"the callers' sound left up to {health.paced_late_ms_max:.0f} ms late",
        ),
        (
            health.floor_ms is not None and health.floor_ms > bounds.floor_ms,
            f"an echo on this machine took {health.floor_ms or 0:.0f} ms",
        ),
        (health.udp_drops > 0, f"the kernel threw away {health.udp_drops} datagrams for the generator"),
        (health.frames_dropped > 0, f"the generator was too slow for {health.frames_dropped} frames that it received"),
        (health.ports_free < bounds.least_ports_free, f"only {health.ports_free} RTP ports were free"),
    )
    return tuple(text for wrong, text in checks if wrong)
