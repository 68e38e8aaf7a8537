"""Feeds a target and watches it: exceptions, the slowest input, memory, and tables that did not empty."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.mutate import Mutator
from tests.fuzz.targets import Target

HANG_S = 0.1
"""Processor time for one input beyond which it hangs."""

_MAX_FINDINGS = 20


@dataclass
class Outcome:
    """What came of a campaign."""

    inputs: int = 0
    bytes: int = 0
    cpu_s: float = 0.0
    slowest_s: float = 0.0
    slowest: bytes = b""
    grown_kib: int = 0  # resident memory between the first tenth of the inputs and the end
    held: dict[str, int] = field(default_factory=dict)
    findings: list[tuple[bytes, str]] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings and self.slowest_s < HANG_S and not any(self.held.values())


def resident_kib() -> int:
    """Resident memory of this process (Linux)."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def run(make: Callable[[], Target], *, inputs: int, seed: int) -> Outcome:
    """Feed so many inputs."""
    gc.freeze()  # what was there before: a walk over a whole test session's objects is no input's doing
    try:
        return _run(make, inputs=inputs, seed=seed)
    finally:
        gc.unfreeze()


def _run(make: Callable[[], Target], *, inputs: int, seed: int) -> Outcome:
    target, outcome, first_kib = make(), Outcome(), resident_kib()
    mutator = Mutator(target.seeds, seed=seed)
    for number in range(inputs):
        data = mutator.next()
        began = time.thread_time()
        try:
            target.take(data)
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            if len(outcome.findings) < _MAX_FINDINGS:
                outcome.findings.append((data, traceback.format_exc()))
        took = time.thread_time() - began
        outcome.inputs += 1
        outcome.bytes += len(data)
        outcome.cpu_s += took
        if took > outcome.slowest_s:
            outcome.slowest_s, outcome.slowest = took, data
        if number == inputs // 10:
            first_kib = resident_kib()
    outcome.grown_kib = resident_kib() - first_kib
    outcome.held = target.held()
    return outcome
