"""Messages: what is read, what is refused, what is written. Torture cases are named as in RFC 4475."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import LocalProtocolError, SipParseError
from telephony.sip.headers import Headers
from telephony.sip.message import (
    MAX_HEAD_BYTES,
    MAX_MESSAGE_BYTES,
    CSeq,
    Request,
    Response,
    addresses,
    build_message,
    header_number,
    parse_message,
)
from telephony.sip.uri import SipUri
from telephony.sip.via import parse_via
from tests.unit.telephony.sip.messages import OFFER, request, request_bytes, response_bytes

INVITE = request_bytes(body=OFFER)
RINGING = response_bytes(request(), 180)


def changed(old: str, new: str, message: bytes = INVITE) -> bytes:
    assert old.encode() in message
    return message.replace(old.encode(), new.encode())


def test_a_request_comes_apart() -> None:
    message = parse_message(INVITE)

    assert isinstance(message, Request)
    assert (message.method, message.uri) == ("INVITE", SipUri("192.0.2.9", "bot"))
    assert message.via == parse_via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone")
    assert (message.from_.tag, message.to.tag) == ("caller", "")
    assert (message.call_id, message.cseq) == ("call-1", CSeq(1, "INVITE"))
    assert message.body == OFFER


def test_a_response_comes_apart() -> None:
    message = parse_message(RINGING)

    assert isinstance(message, Response)
    assert (message.status, message.reason, message.to.tag) == (180, "Reason", "callee")


def test_a_message_is_written_with_its_length_counted_anew() -> None:
    message = parse_message(INVITE)
    assert isinstance(message, Request)

    longer = Request(message.method, message.uri, message.headers, message.body + b"a=x\r\n")

    assert build_message(longer).endswith(f"Content-Length: {len(OFFER) + 5}\r\n\r\n".encode() + OFFER + b"a=x\r\n")


def test_bytes_that_are_not_utf_8_come_back_unchanged() -> None:
    latin_1 = INVITE.replace(b"From: <", b"From: \xd6zg\xfcr <")

    assert b"From: \xd6zg\xfcr <" in build_message(parse_message(latin_1))


def test_the_top_via_can_be_replaced() -> None:
    message = parse_message(changed("Via: ", "Via: SIP/2.0/UDP first;branch=1, "))
    assert isinstance(message, Request)

    replaced = message.with_top_via(message.via.received_from("192.0.2.7", 5060))

    assert replaced.headers.all("Via") == [
        "SIP/2.0/UDP first;branch=1;received=192.0.2.7",
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone",
    ]


def test_a_header_of_ours_cannot_smuggle_a_line() -> None:
    message = parse_message(INVITE)
    assert isinstance(message, Request)

    with pytest.raises(LocalProtocolError):
        build_message(Request("INVITE", message.uri, message.headers.plus(("X", "a\r\nContact: evil"))))


def test_addresses_and_numbers_are_read_when_asked_for() -> None:
    message = request(extra="Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nExpires: 120\r\n")

    assert [str(route) for route in addresses(message, "Record-Route")] == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert header_number(message, "Expires", maximum=3600) == 120
    assert header_number(message, "Min-Expires", maximum=3600) is None


WSINV = (
    b"INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n"
    b"TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n"
    b'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
    b"MaX-fOrWaRdS: 0068\r\n"
    b"Call-ID: wsinv.ndaksdj@192.0.2.1\r\n"
    b"Content-Length   : 0\r\n"
    b"cseq: 0009\r\n  INVITE\r\n"
    b"Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n"
    b"s :\r\n"
    b"UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
    b"v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
    b'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam'
    b" ; q = 0.33\r\n"
    b"\r\n"
)


def test_a_short_tortuous_invite_is_read() -> None:
    message = parse_message(WSINV)

    assert isinstance(message, Request)
    assert (message.to.tag, message.from_.display_name, message.cseq.number) == ("1918181833n", 'J Rosenberg \\"', 9)
    assert header_number(message, "Max-Forwards", maximum=255) == 68
    assert [parse_via(via).branch for via in message.headers.listed("Via")] == [
        "390skdjuw",
        "z9hG4bK9ikj8",
        "z9hG4bK30239",
    ]
    assert str(addresses(message, "Contact")[0].uri) == "sip:jdrosen@example.com"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(changed("INVITE", "!interesting-Method0123456789_*+`.%indeed'~"), id="intmeth"),
        pytest.param(
            changed(
                "sip:bot@192.0.2.9 ",
                "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d@a.com ",
            ),
            id="intmeth-uri",
        ),
        pytest.param(changed("<sip:caller@192.0.2.1>;", "<sip:I%20have%20spaces@example.net>;"), id="esc01"),
        pytest.param(changed("sip:bot@192.0.2.9 ", "soap.beep://192.0.2.103:3002 "), id="novelsc"),
        pytest.param(changed("sip:bot@192.0.2.9 ", "nobodyKnowsThisScheme:totallyopaquecontent "), id="unkscm"),
        pytest.param(changed("Max-Forwards: 70", "Max-Forwards: 0"), id="zeromf"),
        pytest.param(changed("branch=z9hG4bKone", "branch=z9hG4bK"), id="badbranch"),
        pytest.param(INVITE + b"INVITE sip:joe@example.com SIP/2.0\r\n", id="dblreq"),
        pytest.param(b"\r\n\r\n" + INVITE, id="empty lines first"),
        pytest.param(changed("Reason", "= 2**3 * 9**2 \u043d\u043e", RINGING), id="unreason"),
        pytest.param(changed("180 Reason", "180 ", RINGING), id="noreason"),
        pytest.param(changed("180 Reason", "180", RINGING), id="noreason, no space"),
    ],
)
def test_odd_messages_that_are_allowed_are_read(message: bytes) -> None:
    first = build_message(parse_message(message))

    assert build_message(parse_message(first)) == first


@pytest.mark.parametrize(
    ("message", "status"),
    [
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"INVITE sip:a@b SIP/2.0\r\n\r\n", 400, id="insuf"),
        pytest.param(INVITE[: INVITE.index(b"\r\n\r\n")], 400, id="no empty line"),
        pytest.param(changed("From: ", "X: "), 400, id="no From"),
        pytest.param(changed("Via: ", "X: "), 400, id="no Via"),
        pytest.param(changed("Call-ID: call-1", "Call-ID: "), 400, id="empty Call-ID"),
        pytest.param(changed("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), 505, id="badvers"),
        pytest.param(changed("CSeq: 1 INVITE", "CSeq: 8 OPTIONS"), 400, id="mismatch01"),
        pytest.param(changed("CSeq: 1 INVITE", "CSeq: 36893488147419103232 INVITE"), 400, id="scalar02"),
        pytest.param(changed("CSeq: 1 INVITE", "CSeq: 2147483648 INVITE"), 400, id="CSeq of 2**31"),
        pytest.param(changed("CSeq: 1 INVITE", "CSeq: INVITE"), 400, id="CSeq without number"),
        pytest.param(changed("CSeq: 1 INVITE", "CSeq: 1 IN<VITE"), 400, id="CSeq without token"),
        pytest.param(changed("180 Reason", "4294967301 better not break the receiver", RINGING), 400, id="bigcode"),
        pytest.param(changed("180 Reason", "099 low", RINGING), 400, id="low code"),
        pytest.param(changed(f"Content-Length: {len(OFFER)}", "Content-Length: 9999"), 400, id="clerr"),
        pytest.param(changed(f"Content-Length: {len(OFFER)}", "Content-Length: -999"), 400, id="ncl"),
        pytest.param(changed("Max-Forwards", "Content-Length: 5\r\nMax-Forwards"), 400, id="mcl01"),
        pytest.param(changed("Call-ID: call-1", "Call-ID: call-1\r\nCall-ID: call-2"), 400, id="multi01"),
        pytest.param(changed("INVITE sip:bot@192.0.2.9", "INVITE <sip:bot@192.0.2.9>"), 400, id="ltgtruri"),
        pytest.param(changed("sip:bot@192.0.2.9 ", "sip:bot@192.0.2.9; lr "), 400, id="lwsruri"),
        pytest.param(changed("INVITE sip", "INVITE  sip"), 400, id="lwsstart"),
        pytest.param(changed("SIP/2.0\r\nVia", "SIP/2.0  \r\nVia"), 400, id="trws"),
        pytest.param(
            changed("To: <sip:bot@192.0.2.9>", 'To: "Mr. J. User <sip:j.user@example.com>'), 400, id="quotbal"
        ),
        pytest.param(changed("INVITE sip", "INV\u0130TE sip"), 400, id="a method that is no token"),
        pytest.param(changed("call-1", "call-1\x00"), 400, id="NUL"),
        pytest.param(INVITE.replace(b"\r\n", b"\n"), 400, id="bare line feeds"),
        pytest.param(INVITE + b"x" * MAX_MESSAGE_BYTES, 513, id="too long"),
        pytest.param(changed("call-1", "c" * MAX_HEAD_BYTES), 513, id="headers too long"),
    ],
)
def test_messages_that_are_not_allowed_are_refused(message: bytes, status: int) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_message(message)

    assert caught.value.status == status


def test_what_a_datagram_holds_beyond_its_length_is_dropped() -> None:
    assert parse_message(INVITE + b"padding").body == OFFER


def test_without_a_length_the_body_is_the_rest_of_the_datagram() -> None:
    assert parse_message(changed(f"Content-Length: {len(OFFER)}\r\n", "")).body == OFFER


def test_the_same_length_twice_is_one_length() -> None:
    message = changed("Max-Forwards", f"Content-Length: {len(OFFER)}\r\nMax-Forwards")

    assert parse_message(message).body == OFFER


def test_a_folded_line_costs_no_more_than_its_length() -> None:
    folded = changed("Max-Forwards: 70", "Subject: a" + "\r\n b" * 4_000 + "\r\nMax-Forwards: 70")

    assert len(parse_message(folded).headers.first("Subject") or "") == 8_001


MUTANTS = st.tuples(
    st.sampled_from([INVITE, RINGING, WSINV]),
    st.lists(
        st.tuples(
            st.integers(0, 900),
            st.integers(0, 12),
            st.binary(max_size=8)
            | st.sampled_from(
                [
                    b"\r\n",
                    b" ",
                    b'"',
                    b"<",
                    b">",
                    b";",
                    b",",
                    b":",
                    b"\x00",
                    b"\xff",
                    b"Content-Length: 3\r\n",
                    b"\r\n ",
                ]
            ),
        ),
        max_size=6,
    ),
)


@given(st.binary(max_size=300) | MUTANTS.map(lambda parts: mutate(*parts)))
def test_no_bytes_do_anything_but_parse_or_fail_to(data: bytes) -> None:
    try:
        message = parse_message(data)
    except SipParseError:
        return
    built = build_message(message)
    assert build_message(parse_message(built)) == built


def mutate(message: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, inserted in edits:
        message = message[:at] + inserted + message[at + length :]
    return message


def test_messages_with_the_same_text_are_equal() -> None:
    assert parse_message(INVITE) == parse_message(INVITE)
    assert parse_message(INVITE).headers == Headers(parse_message(INVITE).headers.items)
