"""Keys of SRTP in SDP (RFC 4568)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import SdpError
from telephony.sip.sdes import CryptoAttribute, choose_crypto, own_crypto, parse_crypto

KEY = bytes(range(30))
TEXT = base64.b64encode(KEY).decode()
SUITE = "AES_CM_128_HMAC_SHA1_80"


@pytest.mark.parametrize(
    "line",
    [
        f"1 {SUITE} inline:{TEXT}",
        f"1 {SUITE.lower()} INLINE:{TEXT}",
        f"1 {SUITE} inline:{TEXT}|2^48",
        f"1 {SUITE} inline:{TEXT}|1048576 WSH=128",
        f"1 {SUITE} inline:{TEXT} -future=1",
    ],
)
def test_a_line_is_read(line: str) -> None:
    assert parse_crypto(line) == CryptoAttribute(1, SUITE, KEY)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "it is not"),
        (f"x {SUITE} inline:{TEXT}", "it is not"),
        (f"1 {SUITE} uri:{TEXT}", "it is not"),
        (f"1 F8_128_HMAC_SHA1_80 inline:{TEXT}", "the suite F8_128_HMAC_SHA1_80"),
        (f"1 {SUITE} inline:{TEXT[:-3]}", "not base64"),
        (f"1 {SUITE} inline:ə{TEXT}", "not base64"),
        (f"1 {SUITE} inline:{TEXT[:20]}", "has 15 bytes, not 30"),
        (f"1 {SUITE} inline:{TEXT}|2^48|1:4", "MKI"),
        (f"1 {SUITE} inline:{TEXT} UNENCRYPTED_SRTP", "UNENCRYPTED_SRTP"),
        (f"1 {SUITE} inline:{TEXT} KDR=1", "KDR=1"),
    ],
)
def test_a_line_of_no_use_is_told_why_and_never_by_its_key(line: str, reason: str) -> None:
    said = parse_crypto(line)

    assert isinstance(said, str)
    assert reason in said
    assert TEXT not in said


@given(st.text(max_size=200))
def test_any_text_is_read_or_told_why_not(line: str) -> None:
    assert parse_crypto(line)


def test_the_first_usable_line_is_taken() -> None:
    lines = [
        f"1 AEAD_AES_256_GCM inline:{TEXT}",
        f"2 AES_CM_128_HMAC_SHA1_32 inline:{TEXT}",
        f"3 {SUITE} inline:{TEXT}",
    ]

    assert choose_crypto(lines).tag == 2


@pytest.mark.parametrize(("lines", "said"), [([], "without a=crypto"), (["9 X inline:x"], "the suite X")])
def test_without_a_usable_line_the_reason_is_told(lines: list[str], said: str) -> None:
    with pytest.raises(SdpError, match=said) as caught:
        choose_crypto(lines)

    assert caught.value.status == 488


def test_our_lines_are_read_as_they_were_meant() -> None:
    ours = own_crypto((KEY, KEY[::-1]))

    assert [parse_crypto(str(line)) for line in ours] == list(ours)
    assert [line.tag for line in ours] == [1, 2]
    assert TEXT not in repr(ours[0])
