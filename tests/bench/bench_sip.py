"""How many calls a second the signalling takes: INVITE, 180, 200, ACK, 200 ms, BYE, 200 by SIPp over UDP, no media.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_sip.py [--rates 50 100 200 400 800] [--seconds 8] [--edge]

SIPp is a process of its own. CPU is this process's: the user agent of one worker and its sockets, or with `--edge` the
edge's dispatcher and two workers in one process; SIPp's own stands beside it. Times are INVITE to 200 as SIPp has it.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from bot.collector import hold_back
from telephony.leg import CallLeg
from tests.integration.telephony.sip_house import SCENARIOS, House, house

SESSIONS = 20_000
"""Room for every call that can be up at once: a call that finds none is refused, and that is not what is measured."""

LONGEST_S = 8.0
SETTLES_S = 80.0
"""A call that SIPp gave up waits 64*T1 for its ACK, then as long for the answer to BYE."""

_SIPP_BUFFER_BYTES = 1_048_576


async def talk(leg: CallLeg) -> None:
    """Answer, and hang up on who has not done so in time: SIPp gives up calls without a word."""
    await leg.answer()
    await asyncio.sleep(LONGEST_S)
    await leg.hang_up()


async def place(ours: House, *, rate: int, calls: int, folder: Path) -> tuple[list[float], int]:
    """Have SIPp place calls; gives the time to each answer in ms, and how often it sent something again."""
    process = await asyncio.create_subprocess_exec(
        "sipp", f"127.0.0.1:{ours.port}", "-sf", str(SCENARIOS / "uac_call.xml"), "-s", "bot", "-i", "127.0.0.1",
        "-mi", "127.0.0.1", "-mp", "33000", "-r", str(rate), "-m", str(calls), "-l", str(calls), "-timeout", "60",
        "-buff_size", str(_SIPP_BUFFER_BYTES), "-nostdin", "-trace_rtt", "-rtt_freq", "1", "-trace_stat", "-fd", "1",
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    await process.wait()
    (table,) = folder.glob("*_rtt.csv")
    times = [float(cells[1]) for cells in list(csv.reader(table.open(), delimiter=";"))[1:] if len(cells) > 1]
    (figures,) = (path for path in folder.glob("uac_call_*_.csv") if "rtt" not in path.name)
    last = list(csv.DictReader(figures.open(), delimiter=";"))[-1]
    return times, int(last["Retransmissions(C)"])


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def measure(options: argparse.Namespace) -> None:
    """Print the table."""
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(
        "| calls a second | answered | failed | sent again | p50 ms | p99 | max | % of a core | CPU ms each | SIPp's |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    carriage = "dispatched" if options.edge else "straight"
    room: dict[str, Any] = {"sessions": SESSIONS, "messages_per_s": 1e6, "message_burst": 10**6}
    for rate in options.rates:
        calls = rate * options.seconds
        with tempfile.TemporaryDirectory() as folder:
            async with house(talk, carriage=carriage, **room) as ours:
                began, used, theirs = time.monotonic(), time.process_time(), _children_s()
                times, again = await place(ours, rate=rate, calls=calls, folder=Path(folder))
                wall, used = time.monotonic() - began, time.process_time() - used
                theirs = _children_s() - theirs
                await ours.settled(within_s=SETTLES_S)
        p50, p99, most = np.percentile(times, [50, 99, 100]) if times else (0.0, 0.0, 0.0)
        print(
            f"| {rate} | {len(times)} | {calls - len(times)} | {again} | {p50:.1f} | {p99:.1f} | {most:.1f} "
            f"| {100 * used / wall:.0f} | {1000 * used / calls:.2f} | {1000 * theirs / calls:.2f} |",
            flush=True,
        )


def main() -> None:
    """Run by uvloop, with the collector as a worker has it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rates", type=int, nargs="+", default=[50, 100, 200, 400, 800])
    options.add_argument("--seconds", type=int, default=8)
    options.add_argument("--edge", action="store_true")
    hold_back()
    uvloop.run(measure(options.parse_args()))


if __name__ == "__main__":
    main()
