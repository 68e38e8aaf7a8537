"""The listening socket, with what its connections inherit so that no client can hold much of the kernel."""

from __future__ import annotations

import socket
import sys

from tts_engine.errors import SpeechUnavailableError

# Left alone, Linux grows a send buffer to megabytes: a minute of speech that a cancel could not take back.
SEND_BUFFER_BYTES = 131_072


def listen(host: str, port: int, *, dead_after_s: float) -> socket.socket:
    """Listen for TCP; a peer that takes none of what it was sent for `dead_after_s` is dropped.

    Raises `SpeechUnavailableError` if the address cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SpeechUnavailableError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if sys.platform == "linux":
        # A closed connection whose peer reads nothing would keep its buffers for as long as the peer lives.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(dead_after_s * 1000))
    return listener
