"""What is looked at before a request is acted on: RFC 3261 section 8.2."""

from __future__ import annotations

import pytest

from telephony.errors import SdpError, SipParseError
from telephony.media import MediaAbilities
from telephony.sip.flow import Transport
from telephony.sip.inspection import (
    ACCEPT,
    ALLOW,
    Refusal,
    inspect_early,
    inspect_extensions,
    inspect_head,
    inspect_offer,
    refusal_of,
    warning,
)
from telephony.sip.message import Request
from tests.unit.telephony.sip.messages import OFFER, request


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH"])
def test_a_method_that_we_have_not_is_told_which_we_have(method: str) -> None:
    assert inspect_head(request(method)) == Refusal(405, (ALLOW,))


def test_sips_is_for_tls_alone() -> None:
    assert inspect_head(request(uri="sips:bot@192.0.2.9")) == Refusal(416)
    assert inspect_head(request(uri="sips:bot@192.0.2.9"), transport="tls") is None


def test_a_method_that_nobody_knows_is_not_implemented() -> None:
    assert inspect_head(request("FOO")) == Refusal(501, (ALLOW,))


def test_a_trace_of_the_route_by_options_ends_here() -> None:
    last_hop = request("OPTIONS").headers.without("Max-Forwards").plus(("Max-Forwards", "0"))

    assert inspect_head(type(request())("OPTIONS", request().uri, last_hop)) is None


@pytest.mark.parametrize("uri", ["http://example.com/", "urn:service:sos"])
def test_a_uri_that_is_neither_sip_nor_tel_is_not_understood(uri: str) -> None:
    assert inspect_head(request(uri=uri)) == Refusal(416)


def test_a_telephone_number_may_be_called() -> None:
    assert inspect_head(request(uri="tel:+994121234567")) is None


def test_a_request_that_went_round_in_circles_is_stopped() -> None:
    looped = request().headers.without("Max-Forwards").plus(("Max-Forwards", "0"))

    assert inspect_head(type(request())("INVITE", request().uri, looped)) == Refusal(483)
    within = request(to_tag="ours").headers.without("Max-Forwards").plus(("Max-Forwards", "0"))
    assert inspect_head(type(request())("INVITE", request().uri, within)) is None


def test_a_request_without_max_forwards_is_let_pass() -> None:
    old = request()

    assert inspect_head(type(old)(old.method, old.uri, old.headers.without("Max-Forwards"))) is None


@pytest.mark.parametrize("value", ["256", "-1", "many", "70, 70"])
def test_max_forwards_that_makes_no_sense_is_an_error(value: str) -> None:
    old = request()
    headers = old.headers.without("Max-Forwards").plus(("Max-Forwards", value))

    with pytest.raises(SipParseError):
        inspect_head(type(old)(old.method, old.uri, headers))


def test_an_extension_that_we_have_not_is_named() -> None:
    asked = request(extra="Require: precondition, timer\r\nRequire: foo\r\n")

    assert inspect_extensions(asked) == Refusal(420, (("Unsupported", "precondition, foo"),))
    assert inspect_extensions(request(extra="Supported: 100rel\r\n")) is None


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_what_ack_and_cancel_require_is_not_looked_at(method: str) -> None:
    assert inspect_extensions(request(method, extra="Require: foo\r\n")) is None


@pytest.mark.parametrize(
    ("body", "extra", "status"),
    [
        (OFFER, "", None),
        (b"", "", None),
        (OFFER.replace(b"0 8 101", b"18"), "", 488),
        (b"v=0\r\nnonsense", "", 400),
        (OFFER.replace(b"audio", b"video"), "", 488),
        (b"x", "Content-Type: text/plain\r\n", 415),
        (OFFER, "Content-Encoding: gzip\r\n", 415),
        (b"x", "Content-Type: multipart/mixed\r\n", 400),
    ],
)
def test_an_offer_is_looked_at_before_the_call_rings(body: bytes, extra: str, status: int | None) -> None:
    refusal = inspect_offer(request(body=body, extra=extra), address_type="IP4")

    assert (None if refusal is None else refusal.status) == status


def test_an_offer_that_is_not_acceptable_is_told_why() -> None:
    refusal = inspect_offer(request(body=OFFER), address_type="IP6")

    assert refusal is not None
    assert (refusal.status, refusal.extra[0][0]) == (488, "Warning")


def test_an_unsupported_body_is_told_what_is_supported() -> None:
    assert refusal_of(SipParseError("x", status=415)).extra == (ACCEPT, ("Accept-Encoding", "identity"))
    assert refusal_of(SipParseError("x")) == Refusal(400)


def test_a_warning_is_a_quoted_string_whatever_it_says() -> None:
    assert warning(SdpError('a "b" \\ c')) == (("Warning", "399 zeng \"a 'b' / c\""),)


KEY = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"\r\n"
PCMA_ONLY = MediaAbilities(("PCMA",), srtp="required")


def early(asked: Request, *, transport: Transport = "udp") -> int | None:
    refusal = inspect_early(asked, transport=transport, address_type="IP4", abilities=PCMA_ONLY)
    return None if refusal is None else refusal.status


def test_an_offer_that_our_own_codecs_or_policy_cannot_serve_is_refused_before_anybody_is_bothered() -> None:
    assert early(request(body=OFFER)) == 488  # no keys, where SRTP is required
    sealed = OFFER.replace(b"RTP/AVP 0 8 101", b"RTP/SAVP 0") + KEY
    assert early(request(body=sealed)) == 488  # the keys are there, the codec is not
    assert early(request(body=OFFER.replace(b"RTP/AVP", b"RTP/SAVP") + KEY)) is None
    assert early(request()) is None  # no offer: ours is yet to come


def test_what_is_no_new_call_and_what_is_refused_for_another_reason_is_left_to_whoever_takes_it() -> None:
    for asked in (
        request("OPTIONS", body=OFFER),
        request(body=OFFER, to_tag="ours"),
        request(body=OFFER, extra="Require: foo\r\n"),
        request(body=OFFER, uri="sips:bot@192.0.2.9"),
        request(body=OFFER).__class__(
            "INVITE", request().uri, request(body=OFFER).headers.plus(("Max-Forwards", "x")), OFFER
        ),
    ):
        assert early(asked) is None
    assert early(request(body=OFFER, uri="sips:bot@192.0.2.9"), transport="tls") == 488
