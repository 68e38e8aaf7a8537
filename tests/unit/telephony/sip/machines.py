"""Plays a sans-I/O machine from timer to timer."""

from __future__ import annotations

from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Machine(Protocol[T_co]):
    def poll(self) -> T_co | None: ...
    def timer_at(self) -> float | None: ...
    def handle_timer(self, *, now: float) -> None: ...


def drain(machine: Machine[T_co]) -> list[T_co]:
    """Take all outputs."""
    outputs: list[T_co] = []
    while (output := machine.poll()) is not None:
        outputs.append(output)
    return outputs


def play(machine: Machine[T_co], *, until: float = 1000.0) -> list[tuple[float, T_co]]:
    """Let time pass until no timer is left; what was put out, and when."""
    played: list[tuple[float, T_co]] = []
    while (at := machine.timer_at()) is not None and at <= until:
        machine.handle_timer(now=at)
        played += [(at, output) for output in drain(machine)]
    return played
