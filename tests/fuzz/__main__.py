"""`python -m tests.fuzz --inputs 1000000`: the long run; docs/security.md has its figures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import Outcome, run
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Fuzz every target; 1 where anything was found, with the inputs left in `--findings`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="over all targets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS, help="only this one")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    sound = True
    print("| target | inputs | MB | CPU s | mean us | slowest ms | grown KiB | left in tables | found |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (make, share) in TARGETS.items():
        if options.target in (None, name):
            outcome = run(make, inputs=options.inputs * (100 if options.target else share) // 100, seed=options.seed)
            sound = sound and outcome.sound
            print(_row(name, outcome), flush=True)
            _save(outcome, options.findings / name)
    return 0 if sound else 1


def _row(name: str, outcome: Outcome) -> str:
    mean_us = 1e6 * outcome.cpu_s / max(1, outcome.inputs)
    figures = (
        f"{outcome.inputs:,}",
        f"{outcome.bytes / 1e6:.0f}",
        f"{outcome.cpu_s:.0f}",
        f"{mean_us:.0f}",
        f"{1000 * outcome.slowest_s:.1f}",
        f"{outcome.grown_kib:,}",
        f"{sum(outcome.held.values())}",
        f"{len(outcome.findings)}",
    )
    return f"| {name} | {' | '.join(figures)} |"


def _save(outcome: Outcome, folder: Path) -> None:
    for number, (data, trace) in enumerate(outcome.findings):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.bin").write_bytes(data)
        (folder / f"{number}.txt").write_text(trace)
    if not outcome.sound and not outcome.findings:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "slowest.bin").write_bytes(outcome.slowest)


if __name__ == "__main__":
    sys.exit(main())
