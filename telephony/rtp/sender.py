"""What we send: one SSRC with its sequence numbers, its media clock and its marker bits."""

from __future__ import annotations

from telephony.rtp.packet import build_plain_rtp


class RtpSender:
    """Numbers packets; the media clock goes on whether or not anything is sent."""

    def __init__(self, *, ssrc: int, sequence: int, timestamp: int) -> None:
        self.ssrc = ssrc
        self.timestamp = timestamp  # of the next packet of audio
        self.packets = 0
        self.octets = 0  # of payload
        self._sequence = sequence
        self._marker = True

    def audio(self, payload_type: int, payload: bytes, *, duration: int | None = None) -> bytes:
        """Build a packet of so many timestamp units (None: a unit a byte, as of G.711 and G.722).

        It is marked after time in which none was sent (RFC 3551 section 4.1).
        """
        # All at one place, unlike the rarer packets below: there are 50 of these a second and call.
        sequence, timestamp, size = self._sequence, self.timestamp, len(payload)
        data = build_plain_rtp(payload_type, sequence, timestamp, self.ssrc, payload, marker=self._marker)
        self._sequence = sequence + 1 & 0xFFFF
        self.timestamp = timestamp + (size if duration is None else duration) & 0xFFFFFFFF
        self.packets += 1
        self.octets += size
        self._marker = False
        return data

    def noise(self, payload_type: int, payload: bytes, *, duration: int) -> bytes:
        """Build a packet of comfort noise (RFC 3389), with which a silence begins or goes on."""
        data = self._build(payload_type, payload, self.timestamp, marker=False)
        self.skip(duration)
        return data

    def event(self, payload_type: int, payload: bytes, *, timestamp: int, marker: bool) -> bytes:
        """Build a packet of a telephone event that began at `timestamp`."""
        return self._build(payload_type, payload, timestamp, marker=marker)

    def skip(self, duration: int) -> None:
        """Let media time pass without a packet, in timestamp units."""
        self.timestamp = (self.timestamp + duration) & 0xFFFFFFFF
        self._marker = True

    def _build(self, payload_type: int, payload: bytes, timestamp: int, *, marker: bool) -> bytes:
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return build_plain_rtp(payload_type, sequence, timestamp, self.ssrc, payload, marker=marker)
