from __future__ import annotations

import pytest
from pylibsrtp import Error, Policy, Session

from telephony.rtp.packet import build_plain_rtp
from telephony.rtp.srtp_calls import SrtpCalls

KEY = bytes(range(30))
REPORT = bytes([0x80, 201, 0, 1, 0, 0, 0, 7])


def sessions() -> tuple[Session, Session]:
    return Session(Policy(KEY, Policy.SSRC_ANY_OUTBOUND)), Session(Policy(KEY, Policy.SSRC_ANY_INBOUND))


def packet(number: int, size: int = 60) -> bytes:
    return build_plain_rtp(111, number, 960 * number, 7, bytes([number]) * size, marker=False)


def test_packets_are_sealed_as_pylibsrtp_seals_them_and_opened_again() -> None:
    sealing, opening = (SrtpCalls(session) for session in sessions())
    theirs, _ = sessions()
    for number in range(3):
        sealed = sealing.protect(packet(number))
        assert sealed == theirs.protect(packet(number))
        assert opening.unprotect(sealed) == packet(number)


def test_reports_are_sealed_and_opened_again() -> None:
    sealing, opening = (SrtpCalls(session) for session in sessions())
    sealed = sealing.protect_rtcp(REPORT)
    assert REPORT[8:] != sealed[8:]
    assert opening.unprotect_rtcp(sealed) == REPORT


def test_what_is_forged_comes_again_or_is_too_short_is_refused() -> None:
    sealing, opening = (SrtpCalls(session) for session in sessions())
    sealed = sealing.protect(packet(1))
    assert opening.unprotect(sealed) == packet(1)
    for refused in (sealed, bytes([*sealed[:-1], sealed[-1] ^ 1]), b"", b"x", packet(2)):
        with pytest.raises(Error):
            opening.unprotect(refused)
    assert opening.unprotect(sealing.protect(packet(2))) == packet(2)


@pytest.mark.parametrize("size", [1888, 1889, 60_000])
def test_a_packet_that_has_no_room_is_refused_before_it_is_copied(size: int) -> None:
    sealing, _ = (SrtpCalls(session) for session in sessions())
    if size == 1888:
        assert len(sealing.protect(packet(1, size))) == 12 + size + 10
    else:
        with pytest.raises(Error, match="too long"):
            sealing.protect(packet(1, size))
