"""Responses, and those sent without state."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.message import Response, parse_message
from telephony.sip.responses import refuse_malformed, response_to, stateless_response
from tests.unit.telephony.sip.messages import request, request_bytes, response_bytes


def test_a_response_echoes_what_names_the_transaction() -> None:
    sent = request(via_params=";rport, SIP/2.0/UDP second;branch=b2")

    answer = response_to(sent, 180, to_tag="ours", extra=(("Contact", "<sip:a>"),), body=b"x")

    assert answer.reason == "Ringing"
    assert answer.headers.all("Via") == sent.headers.listed("Via")
    assert (answer.call_id, answer.cseq, answer.from_.tag, answer.to.tag) == ("call-1", sent.cseq, "caller", "ours")
    assert (answer.headers.first("Contact"), answer.body) == ("<sip:a>", b"x")


def test_a_to_that_has_a_tag_keeps_it() -> None:
    assert response_to(request(to_tag="theirs"), 200, to_tag="ours").to.tag == "theirs"


def test_a_status_without_a_phrase_of_ours_can_be_sent() -> None:
    assert response_to(request(), 699).reason == "Unknown"


def test_a_stateless_answer_is_the_same_for_a_retransmission() -> None:
    first, again = (stateless_response(request(), 503, extra=(("Retry-After", "5"),)) for _ in range(2))

    assert first == again
    assert len(first.to.tag) == 16
    assert stateless_response(request(branch="z9hG4bKtwo"), 503).to.tag != first.to.tag
    assert stateless_response(request(to_tag="theirs"), 481).to.tag == "theirs"


def test_a_malformed_request_is_answered_from_what_can_be_read() -> None:
    broken = request_bytes().replace(b"CSeq: 1 INVITE", b"CSeq: 1 OPTIONS")

    answer = refuse_malformed(broken, SipParseError("mismatch"))

    assert answer is not None
    parsed = parse_message(answer)
    assert isinstance(parsed, Response)
    assert (parsed.status, parsed.call_id, parsed.to.tag != "") == (400, "call-1", True)


def test_another_version_is_told_so() -> None:
    broken = request_bytes().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1)

    assert (refuse_malformed(broken, SipParseError("version", status=505)) or b"").startswith(b"SIP/2.0 505 Version")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00\x01\x02",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        request_bytes("ACK").replace(b"CSeq: 1 ACK", b"CSeq: x"),
        response_bytes(request(), 200).replace(b"CSeq: 1", b"CSeq: x"),
        request_bytes().replace(b"Via:", b"X:"),
        request_bytes().replace(b"From: <", b"From: <\x00"),
    ],
)
def test_nothing_is_said_to_what_cannot_be_answered(message: bytes) -> None:
    assert refuse_malformed(message, SipParseError("broken")) is None


def test_what_is_broken_is_repeated_as_it_was_written() -> None:
    broken = request_bytes(to_tag="theirs").replace(b"From: <sip:caller", b'From: "<sip:caller')

    answer = refuse_malformed(broken, SipParseError("a quote is not closed")) or b""

    assert b'\r\nFrom: "<sip:caller@192.0.2.1>;tag=caller\r\nTo: <sip:bot@192.0.2.9>;tag=theirs\r\n' in answer


def test_a_request_that_was_cut_within_its_headers_is_answered() -> None:
    answer = refuse_malformed(request_bytes().partition(b"Max-Forwards")[0], SipParseError("no empty line")) or b""

    assert answer.startswith(b"SIP/2.0 400 ")
    assert b"CSeq: 1 INVITE\r\n" in answer


def test_a_request_without_to_is_answered_without_one() -> None:
    answer = refuse_malformed(request_bytes().replace(b"To:", b"X:"), SipParseError("To is missing")) or b""

    assert answer.startswith(b"SIP/2.0 400 ")
    assert b"To:" not in answer


def test_nothing_is_said_where_the_error_asks_for_silence() -> None:
    assert refuse_malformed(request_bytes(), SipParseError("quiet", status=0)) is None
