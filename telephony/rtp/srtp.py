"""SRTP and SRTCP (RFC 3711) of one agreed stream each way, by libsrtp through pylibsrtp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pylibsrtp import Error, Policy, Session

from telephony.errors import RtpParseError
from telephony.media import SrtpKeys, SrtpSuite
from telephony.rtp.srtp_calls import SrtpCalls

_PROFILES: Final[Mapping[SrtpSuite, int]] = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}


class Srtp:
    """Seals what we send and opens what comes; whatever SSRC either side uses."""

    def __init__(self, keys: SrtpKeys) -> None:
        self.keys = keys
        self._outbound = _sealing(keys)
        self._inbound = _opening(keys)

    def renew(self, keys: SrtpKeys) -> None:
        """Take the keys of a new agreement.

        A way whose key stays goes on as it was: its wraps of sequence numbers are counted (RFC 3711 section 3.3.1), and
        counted anew they would seal with what was used before, and the far end, which counts on, could open none of it.
        """
        before, self.keys = self.keys, keys
        if (keys.suite, keys.ours) != (before.suite, before.ours):
            self._outbound = _sealing(keys)
        if (keys.suite, keys.theirs) != (before.suite, before.theirs):
            self._inbound = _opening(keys)

    def seal_rtp(self, packet: bytes) -> bytes:
        """Encrypt and sign a packet of RTP."""
        return self._outbound.protect(packet)

    def seal_rtcp(self, packet: bytes) -> bytes:
        """Encrypt and sign a compound packet of RTCP."""
        return self._outbound.protect_rtcp(packet)

    def open_rtp(self, data: bytes) -> bytes:
        """Check and decrypt a datagram; raises `RtpParseError` for one that is forged, replayed or damaged."""
        try:
            return self._inbound.unprotect(data)
        except Error as error:
            raise RtpParseError(f"SRTP: {error}") from error

    def open_rtcp(self, data: bytes) -> bytes:
        """Check and decrypt a datagram of SRTCP; raises `RtpParseError`."""
        try:
            return self._inbound.unprotect_rtcp(data)
        except Error as error:
            raise RtpParseError(f"SRTCP: {error}") from error


def _sealing(keys: SrtpKeys) -> SrtpCalls:
    return SrtpCalls(Session(Policy(keys.ours, Policy.SSRC_ANY_OUTBOUND, srtp_profile=_PROFILES[keys.suite])))


def _opening(keys: SrtpKeys) -> SrtpCalls:
    return SrtpCalls(Session(Policy(keys.theirs, Policy.SSRC_ANY_INBOUND, srtp_profile=_PROFILES[keys.suite])))
