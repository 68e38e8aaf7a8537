"""Which of our own addresses a peer sees."""

from __future__ import annotations

import socket


def local_address(towards: str) -> str:
    """Look up the address that packets to this numeric address leave from; sends none. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((towards, 9))
        return str(probe.getsockname()[0])
