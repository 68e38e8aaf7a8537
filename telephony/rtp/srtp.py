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
        profile = _PROFILES[keys.suite]
        self._outbound = SrtpCalls(Session(Policy(keys.ours, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)))
        self._inbound = SrtpCalls(Session(Policy(keys.theirs, Policy.SSRC_ANY_INBOUND, srtp_profile=profile)))

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
