"""Which of our own addresses a peer sees."""

from __future__ import annotations

import socket


def reachable_address(host: str) -> str:
    """Name `host` to a peer: all addresses are named by the one that the default route leaves from.

    Raises `OSError` when there is none.
    """
    match host:
        case "0.0.0.0":  # noqa: S104  # compared with, not bound to
            return local_address("192.0.2.1")  # the default route leads there
        case "::":
            return local_address("2001:db8::1")
        case _:
            return host


def local_address(towards: str) -> str:
    """Look up the address that packets to this numeric address leave from; sends none. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((towards, 9))
        return str(probe.getsockname()[0])
