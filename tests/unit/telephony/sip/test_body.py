"""Bodies."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.body import media_type, session_description
from telephony.sip.headers import parse_headers
from tests.unit.telephony.sip.messages import OFFER, request

ISUP = b"--b\r\nContent-Type: application/isup;version=nxv3\r\nContent-Disposition: signal\r\n\r\n\x01\x00I\x00\r\n"
SDP_PART = b"--b\r\nContent-Type: application/sdp\r\n\r\n" + OFFER + b"\r\n"


def sdp(content_type: str, body: bytes, extra: str = "") -> bytes | None:
    return session_description(request(extra=f"Content-Type: {content_type}\r\n{extra}", body=body))


def test_sdp_alone_is_found() -> None:
    assert sdp("Application/SDP ;charset=utf-8", OFFER) == OFFER


def test_no_body_is_no_sdp() -> None:
    assert session_description(request()) is None


@pytest.mark.parametrize("kind", ["multipart/mixed;boundary=b", 'multipart/alternative; boundary="b"'])
def test_sdp_is_found_among_several_parts(kind: str) -> None:
    assert sdp(kind, b"preamble\r\n" + ISUP + SDP_PART + b"--b--\r\n") == OFFER


def test_several_parts_without_sdp_are_no_offer() -> None:
    assert sdp("multipart/mixed;boundary=b", ISUP + b"--b--") is None


def test_a_multipart_within_a_multipart_is_not_looked_into() -> None:
    nested = b"--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n--c--\r\n--b--"

    assert sdp("multipart/mixed;boundary=b", nested) is None


def test_a_part_may_have_no_headers() -> None:
    assert sdp("multipart/mixed;boundary=b", b"--b\r\n\r\ntext\r\n" + SDP_PART + b"--b--") == OFFER


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", b"--b\r\n\r\n--b--"),
        ("multipart/mixed;boundary=b", b"no delimiter"),
        ("multipart/mixed;boundary=b", SDP_PART),
        ("multipart/mixed;boundary=b", b"--b\r\nno colon\r\n\r\nx\r\n--b--"),
    ],
)
def test_a_broken_multipart_is_an_error(kind: str, body: bytes) -> None:
    with pytest.raises(SipParseError) as caught:
        sdp(kind, body)

    assert caught.value.status == 400


@pytest.mark.parametrize(("kind", "extra"), [("text/plain", ""), ("application/sdp", "Content-Encoding: gzip\r\n")])
def test_a_body_that_must_be_understood_and_is_not_is_unsupported(kind: str, extra: str) -> None:
    with pytest.raises(SipParseError) as caught:
        sdp(kind, b"x", extra)

    assert caught.value.status == 415


def test_a_body_that_need_not_be_understood_is_let_be() -> None:
    assert sdp("text/plain", b"x", "Content-Disposition: render;handling=optional\r\n") is None


def test_a_message_without_a_content_type_has_none() -> None:
    assert media_type(parse_headers("To: a")) == ("", "")
