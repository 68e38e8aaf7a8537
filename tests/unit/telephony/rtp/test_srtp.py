from __future__ import annotations

import pytest

from telephony.errors import RtpParseError
from telephony.media import SRTP_SUITES, SrtpKeys, SrtpSuite
from telephony.rtp.packet import RtpPacket
from telephony.rtp.rtcp import ReceiverReport, build_rtcp
from telephony.rtp.srtp import Srtp
from tests.fakes.rtp_packet import build_rtp

OURS, THEIRS = bytes(range(30)), bytes(range(30, 60))


def ends(suite: SrtpSuite = "AES_CM_128_HMAC_SHA1_80") -> tuple[Srtp, Srtp]:
    return Srtp(SrtpKeys(suite, OURS, THEIRS)), Srtp(SrtpKeys(suite, THEIRS, OURS))


def packet(sequence: int = 1, ssrc: int = 5) -> bytes:
    return build_rtp(RtpPacket(0, sequence, 160 * sequence, ssrc, b"secret" * 10))


@pytest.mark.parametrize(("suite", "tag"), list(zip(SRTP_SUITES, (10, 4), strict=True)))
def test_what_one_end_seals_the_other_opens(suite: SrtpSuite, tag: int) -> None:
    left, right = ends(suite)
    report = build_rtcp([ReceiverReport(5)])

    sealed = left.seal_rtp(packet())

    assert b"secret" not in sealed
    assert len(sealed) == len(packet()) + tag
    assert right.open_rtp(sealed) == packet()
    assert right.open_rtcp(left.seal_rtcp(report)) == report


def test_any_ssrc_will_do_and_the_sequence_may_wrap() -> None:
    left, right = ends()

    for ssrc in (5, 6):
        for sequence in (65_534, 65_535, 0, 1):
            assert right.open_rtp(left.seal_rtp(packet(sequence, ssrc))) == packet(sequence, ssrc)


def test_forged_replayed_and_foreign_datagrams_are_refused() -> None:
    left, right = ends()
    sealed = left.seal_rtp(packet())
    right.open_rtp(sealed)

    for data in (sealed, sealed[:-1] + bytes([sealed[-1] ^ 1]), packet(2), b"", bytes(3_000), b"\x80" * 12):
        with pytest.raises(RtpParseError):
            right.open_rtp(data)
    for data in (b"", build_rtcp([ReceiverReport(5)]), bytes(3_000)):
        with pytest.raises(RtpParseError):
            right.open_rtcp(data)


def test_keys_do_not_stand_in_what_is_printed() -> None:
    assert "OURS" not in repr(SrtpKeys("AES_CM_128_HMAC_SHA1_80", b"OURS", b"THEIRS"))
