"""How many calls a second the signalling takes: INVITE, 180, 200, ACK, 200 ms, BYE, 200 by SIPp over UDP, no media.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_sip.py [--rates 50 100 200 400 800] [--seconds 8] [--edge]

SIPp is a process of its own. CPU is this process's: the user agent of one worker and its sockets, or with `--edge` the
edge's dispatcher and two workers in one process. p50 and p95 are INVITE to 200 as SIPp has it.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop

from tests.integration.telephony.sip_house import SCENARIOS, House, house


async def place(ours: House, *, rate: int, calls: int, folder: Path) -> tuple[list[float], int]:
    """Have SIPp place calls; gives the time to each answer in ms, and how often it sent something again."""
    process = await asyncio.create_subprocess_exec(
        "sipp", f"127.0.0.1:{ours.port}", "-sf", str(SCENARIOS / "uac_call.xml"), "-s", "bot", "-i", "127.0.0.1",
        "-mi", "127.0.0.1", "-mp", "33000", "-r", str(rate), "-m", str(calls), "-l", str(calls), "-timeout", "60",
        "-nostdin", "-trace_rtt", "-rtt_freq", "1", "-trace_stat", "-fd", "1",
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    await process.wait()
    (table,) = folder.glob("*_rtt.csv")
    times = [float(cells[1]) for cells in list(csv.reader(table.open(), delimiter=";"))[1:] if len(cells) > 1]
    (figures,) = (path for path in folder.glob("uac_call_*_.csv") if "rtt" not in path.name)
    last = list(csv.DictReader(figures.open(), delimiter=";"))[-1]
    return times, int(last["Retransmissions(C)"])


async def measure(options: argparse.Namespace) -> None:
    """Print the table."""
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| calls a second | answered | failed | sent again | p50 ms | p95 | CPU, % of a core | CPU a call, ms |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    for rate in options.rates:
        calls = rate * options.seconds
        carriage = "dispatched" if options.edge else "straight"
        with tempfile.TemporaryDirectory() as folder:
            async with house(carriage=carriage, messages_per_s=1e6, message_burst=10**6) as ours:
                began, used = time.monotonic(), time.process_time()
                times, again = await place(ours, rate=rate, calls=calls, folder=Path(folder))
                wall, used = time.monotonic() - began, time.process_time() - used
                await ours.settled()
        p50, p95 = np.percentile(times, [50, 95]) if times else (0.0, 0.0)
        print(
            f"| {rate} | {len(times)} | {calls - len(times)} | {again} | {p50:.1f} | {p95:.1f} "
            f"| {100 * used / wall:.0f} | {1000 * used / calls:.2f} |",
            flush=True,
        )


def main() -> None:
    """Run by uvloop, as a worker does."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rates", type=int, nargs="+", default=[50, 100, 200, 400, 800])
    options.add_argument("--seconds", type=int, default=8)
    options.add_argument("--edge", action="store_true")
    uvloop.run(measure(options.parse_args()))


if __name__ == "__main__":
    main()
