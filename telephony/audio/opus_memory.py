"""Opus packets of what bots say again and again: the same words from the same beginning are encoded once for all.

An encoder's packets follow from its settings and from all it was given since it was made or reset. So a talk that
begins with a reset is named, frame by frame, by a digest of all frames so far; another call that says the same gets
the same packets, bit for bit. Where it goes on to say something else, its own encoder is given the last frames again.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from hashlib import blake2b
from typing import Final

from telephony.audio.opus import OpusEncoder

_CATCH_UP_FRAMES: Final = 10  # after 200 ms an encoder has forgotten what was before (docs/benchmarks.md)
_DIGEST_BYTES: Final = 16


class PacketMemory:
    """Packets by the digest of what led to them; bounded, the longest unused goes first. For one thread."""

    def __init__(self, *, packets: int) -> None:
        self._limit = packets
        self._packets: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._packets)

    def find(self, digest: bytes) -> bytes | None:
        """Give the packet, if it is here."""
        packet = self._packets.get(digest)
        if packet is not None:
            self._packets.move_to_end(digest)
        return packet

    def keep(self, digest: bytes, packet: bytes) -> None:
        """Take a packet."""
        self._packets[digest] = packet
        if len(self._packets) > self._limit:
            self._packets.popitem(last=False)


class RememberingEncoder:
    """An `OpusEncoder` of one call that looks into the memory of all calls first."""

    def __init__(self, rate_hz: int, memory: PacketMemory) -> None:
        self._encoder = OpusEncoder(rate_hz)
        self._memory = memory
        self._loss_percent = 0
        self._passed_by: deque[bytes] = deque(maxlen=_CATCH_UP_FRAMES)  # frames that the encoder has not been given
        self.begin()

    def begin(self) -> None:
        """Begin a talk, after silence in which nothing of the one before is left: what follows is named by itself."""
        self._is_stale = True
        self._passed_by.clear()
        self._digest = _after(b"", self._loss_percent.to_bytes(1))

    def encode(self, pcm: bytes) -> bytes:
        """Give the packet of a frame."""
        self._digest = _after(self._digest, pcm)
        packet = self._memory.find(self._digest)
        if packet is None:
            self._catch_up()
            packet = self._encoder.encode(pcm)
            self._memory.keep(self._digest, packet)
        else:
            self._is_stale = True
            self._passed_by.append(pcm)
        return packet

    def expect_loss(self, percent: int) -> None:
        """How many packets of a hundred the far side loses (RTCP): the strength of the in-band FEC from now on."""
        percent = max(0, min(percent, 100))
        if percent != self._loss_percent:
            self._loss_percent = percent
            self._encoder.expect_loss(percent)
            self._digest = _after(self._digest, percent.to_bytes(1))

    def close(self) -> None:
        """Free the encoder."""
        self._encoder.close()

    def _catch_up(self) -> None:
        """Bring the encoder to where it would be had it been given all frames."""
        if self._is_stale:
            self._encoder.reset()
            for pcm in self._passed_by:
                self._encoder.encode(pcm)
            self._passed_by.clear()
            self._is_stale = False


def _after(digest: bytes, what: bytes) -> bytes:
    return blake2b(what, digest_size=_DIGEST_BYTES, key=digest).digest()
