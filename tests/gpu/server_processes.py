"""What the processes of a server take of this machine: processor time, memory, stalls, and where the time goes.

A process that has ended meanwhile takes nothing; to be asked after it is no error.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path


def busy_s(pids: list[int]) -> dict[int, float]:
    """Seconds of processor time that each process has taken, threads included (proc(5))."""
    taken: dict[int, float] = {}
    for pid in pids:
        if fields := _read(pid, "stat").rpartition(")")[2].split():
            taken[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return taken


def cores(pids: list[int], earlier: dict[int, float], took_s: float) -> float:
    """Processors that the processes were busy on since `earlier`, on average."""
    return sum(now - earlier.get(pid, now) for pid, now in busy_s(pids).items()) / took_s


def children(pid: int) -> list[int]:
    """Return the processes below a process, of every depth."""
    try:
        direct = [
            int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return direct + [below for child in direct for below in children(child)]


def memory_mb(pids: list[int]) -> float:
    """Resident memory of processes, without what they share twice (proc(5), smaps_rollup)."""
    shares = (_read(pid, "smaps_rollup").partition("\nPss:")[2].split() for pid in pids)
    return sum(int(share[0]) for share in shares if share) / 1024


def stalls(log: Path, servers: list[int]) -> str:
    """What the watched processes (watch/sitecustomize.py) noted since the last call, in words."""
    taken = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    found: dict[str, list[float]] = {}
    for line in taken:
        which, *kind, ms = line.split()
        whose = "server" if int(which) in servers else "vLLM"
        found.setdefault(f"{whose} {' '.join(kind)}", []).append(float(ms))
    said = [f"{name}: {len(ms)} of 10 ms and more, the longest {max(ms):.0f}" for name, ms in sorted(found.items())]
    return "; ".join(said) or "nothing of 10 ms and more"


def spent(folder: Path, pids: list[int]) -> dict[str, Counter[str]]:
    """Microseconds of processor time of the watched processes' threads until now, by place (watch/watch_where.py)."""
    found: dict[str, Counter[str]] = {}
    for pid in pids:
        if (place := folder / str(pid)).exists():
            threads: dict[str, dict[str, int]] = json.loads(place.read_text())
            found |= {f"process {pid}, thread {name}": Counter(places) for name, places in threads.items()}
    return found


def where(found: dict[str, Counter[str]], earlier: dict[str, Counter[str]], *, least_s: float = 0.2) -> None:
    """Print what threads have spent since."""
    for name, places in found.items():
        since = places - earlier.get(name, Counter())
        if (total := since.total()) >= least_s * 1e6:
            print(f"{name}: {total / 1e6:.1f} s", flush=True)
            for place, us in since.most_common(14):
                print(f"  {us / total:5.1%} {place}", flush=True)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:  # FileNotFoundError, and ProcessLookupError of one that is just ending
        return ""
