"""How many connections a process may hold: as many files as the system lets it open, less what it needs itself."""

from __future__ import annotations

import resource

WANTED = 65_536
RESERVED = 256  # its own: listeners, Redis, children, models, the interpreter


def room_for_connections() -> int:
    """Raise this process' limit of open files as far as it may, to `WANTED` at most; tell what is for connections.

    Left at the 1,024 that systems begin with, a server would run out of them at fewer callers than it takes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(most - RESERVED, most // 2)
