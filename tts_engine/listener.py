"""The listening sockets, with what connections inherit so that no client can hold much of the kernel."""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def listening_at(path: Path) -> Generator[socket.socket, None, None]:
    """Listen at a Unix socket that this user and its group may connect to; it is removed in the end.

    Raises `SpeechUnavailableError` if the path cannot be had, or somebody listens there.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            if path.is_socket():
                _leave_to_others(path)
            listener.bind(str(path))
            path.chmod(0o660)
            listener.listen()
        except OSError as error:
            raise SpeechUnavailableError(f"cannot listen at {path}: {error.strerror or error}") from error
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _leave_to_others(path: Path) -> None:
    """Remove a socket that a process that was killed has left; raises OSError if one lives."""
    with socket.socket(socket.AF_UNIX) as visitor:
        try:
            visitor.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise OSError("another process listens there")
