"""What Linux tells of processes: CPU time of a tree, its UDP sockets and their drops, whose port it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS_S = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01


@dataclass(frozen=True, slots=True)
class UdpSocket:
    """A line of /proc/net/udp."""

    inode: str
    port: int
    drops: int


def udp_sockets(proc: Path = _PROC) -> tuple[UdpSocket, ...]:
    """All UDP sockets of the network namespace; none where there is no /proc."""
    found: list[UdpSocket] = []
    for name in ("udp", "udp6"):
        try:
            lines = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            found.append(UdpSocket(words[9], int(words[1].rpartition(":")[2], 16), int(words[-1])))
    return tuple(found)


def inodes_of(pid: int, proc: Path = _PROC) -> frozenset[str]:
    """The sockets that a process has open; none where it is not ours to see."""
    found: set[str] = set()
    try:
        for descriptor in (proc / str(pid) / "fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        pass
    return frozenset(found)


def tree_of(root: int, proc: Path = _PROC) -> tuple[int, ...]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for folder in proc.iterdir():
        if folder.name.isdigit():
            stat = _stat(int(folder.name), proc)
            if stat is not None:
                children.setdefault(int(stat[1]), []).append(int(folder.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return tuple(found)


def owner_of(port: int, proc: Path = _PROC) -> int | None:
    """The process that has a UDP or listening TCP port on this machine open; the eldest where several have it."""
    inodes = {socket.inode for socket in udp_sockets(proc) if socket.port == port}
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        rows = (line.split() for line in lines)
        inodes |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    if not inodes:
        return None
    pids = sorted(int(folder.name) for folder in proc.iterdir() if folder.name.isdigit())
    return next((pid for pid in pids if inodes & inodes_of(pid, proc)), None)


def cpu_s(pids: tuple[int, ...], proc: Path = _PROC) -> dict[int, float]:
    """CPU seconds of each process that still lives, user and system."""
    times: dict[int, float] = {}
    for pid in pids:
        stat = _stat(pid, proc)
        if stat is not None:
            times[pid] = (int(stat[11]) + int(stat[12])) * _TICKS_S
    return times


def name_of(pid: int, proc: Path = _PROC) -> str:
    """What a process runs, in a few words: modules and commands, no paths."""
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "gone"
    if "-m" in words:
        module = words.index("-m") + 1
        extra = [word for word in words[module + 1 : module + 3] if word.isalnum()]
        return " ".join([*words[module : module + 1], *extra])
    return Path(words[0].split()[0] if words[0] else "?").name


def _stat(pid: int, proc: Path) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on (the third)."""
    try:
        return (proc / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
