"""Messages out of a TCP stream (RFC 3261 section 18.3): a message ends where its Content-Length says."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from telephony.sip.message import MAX_HEAD_BYTES, MAX_MESSAGE_BYTES

_LENGTH = re.compile(
    rb"^(?:content-length|l)[ \t]*:(?:\r\n[ \t])?[ \t]*([0-9]{1,10})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_EMPTY_LINE = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Framed:
    """One whole message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """A keep-alive that wants one CRLF back (RFC 5626 section 4.4.1)."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The stream cannot be followed any further: answer `head` if it can be answered, then close."""

    head: bytes
    reason: str


StreamOutput: TypeAlias = Framed | Ping | Broken


class StreamFramer:
    """Cuts one stream into messages; holds no more than one message's bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._output: deque[StreamOutput] = deque()
        self._broken = False

    @property
    def mid_message(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer.lstrip(b"\r\n")) and not self._broken

    @property
    def at_empty_line(self) -> bool:
        """Whether one empty line came last: the answer to a keep-alive of ours, or half of one (RFC 5626 4.4.1)."""
        return bytes(self._buffer) == b"\r\n"

    def feed(self, data: bytes) -> None:
        """Take what came."""
        if self._broken:
            return
        self._buffer += data
        while not self._broken and self._cut():
            pass

    def poll(self) -> StreamOutput | None:
        """Next message, keep-alive or failure."""
        return self._output.popleft() if self._output else None

    def _cut(self) -> bool:
        """Take one thing off the front of the buffer; False when more bytes are needed."""
        if self._buffer.startswith(b"\r\n"):
            return self._cut_empty_lines()
        end = self._buffer.find(_EMPTY_LINE, self._searched)
        if end < 0:
            self._searched = max(0, len(self._buffer) - len(_EMPTY_LINE) + 1)
            if len(self._buffer) > MAX_HEAD_BYTES:
                self._break(bytes(self._buffer), "headers are too long")
            return False
        return self._cut_message(end + len(_EMPTY_LINE))

    def _cut_empty_lines(self) -> bool:
        # CRLF CRLF is a ping; a single CRLF is a pong, or an empty line before a message (section 7.5).
        if self._buffer.startswith(_EMPTY_LINE):
            del self._buffer[:4]
            self._output.append(Ping())
            return True
        if bytes(self._buffer) in (b"\r\n", b"\r\n\r"):
            return False
        del self._buffer[:2]
        return True

    def _cut_message(self, head_bytes: int) -> bool:
        head = bytes(self._buffer[:head_bytes])
        lengths = {int(length) for length in _LENGTH.findall(head)}
        if len(lengths) != 1:
            self._break(head, "a message on a stream needs one Content-Length")
            return False
        total = head_bytes + lengths.pop()
        if total > MAX_MESSAGE_BYTES:
            self._break(head, "a message is too long")
            return False
        if len(self._buffer) < total:
            self._searched = head_bytes - len(_EMPTY_LINE)
            return False
        self._output.append(Framed(bytes(self._buffer[:total])))
        del self._buffer[:total]
        self._searched = 0
        return True

    def _break(self, head: bytes, reason: str) -> None:
        self._broken = True
        self._buffer.clear()
        self._output.append(Broken(head, reason))
