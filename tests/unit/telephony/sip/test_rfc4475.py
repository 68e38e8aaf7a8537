"""The torture messages of RFC 4475, each with the answer that the RFC asks of an endpoint.

Our endpoint takes calls and is no registrar: REGISTER and MESSAGE are 405 where the RFC calls them well formed.
180 means that an INVITE was let in.
"""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.body import session_description
from telephony.sip.message import Request, parse_message
from telephony.sip.stream import Broken, StreamFramer
from telephony.sip.uri import SipUri
from tests.unit.telephony.sip.torture import DATA, reaction

# by name: its section, and the answer
ANSWERS: dict[str, tuple[str, int | None]] = {
    # 3.1.1, valid messages
    "wsinv": ("3.1.1.1", 481),  # it names a dialog by its To tag
    "intmeth": ("3.1.1.2", 501),
    "esc01": ("3.1.1.3", 180),
    "escnull": ("3.1.1.4", 405),
    "esc02": ("3.1.1.5", 501),
    "lwsdisp": ("3.1.1.6", 200),
    "longreq": ("3.1.1.7", 180),
    "dblreq": ("3.1.1.8", 405),  # the REGISTER; the INVITE after it is noise
    "semiuri": ("3.1.1.9", 200),
    "transports": ("3.1.1.10", 200),
    "mpart01": ("3.1.1.11", 405),
    "unreason": ("3.1.1.12", None),  # a response that nobody waits for
    "noreason": ("3.1.1.13", None),
    # 3.1.2, invalid messages
    "badinv01": ("3.1.2.1", 400),
    "clerr": ("3.1.2.2", 400),
    "ncl": ("3.1.2.3", 400),
    "scalar02": ("3.1.2.4", 400),
    "scalarlg": ("3.1.2.5", None),
    "quotbal": ("3.1.2.6", 400),
    "ltgtruri": ("3.1.2.7", 400),
    "lwsruri": ("3.1.2.8", 400),
    "lwsstart": ("3.1.2.9", 400),
    "trws": ("3.1.2.10", 400),
    "escruri": ("3.1.2.11", 400),
    "baddate": ("3.1.2.12", 180),  # Date means nothing to us; the RFC asks that it be let be then
    "regbadct": ("3.1.2.13", 405),
    "badaspec": ("3.1.2.14", 400),
    "baddn": ("3.1.2.15", 400),  # for want of its empty line
    "badvers": ("3.1.2.16", 505),
    "mismatch01": ("3.1.2.17", 400),
    "mismatch02": ("3.1.2.18", 400),  # 501 or 400
    "bigcode": ("3.1.2.19", None),
    # 3.2, the transaction layer
    "badbranch": ("3.2.1", 200),  # matched as RFC 2543 has it
    # 3.3, what the application makes of it
    "insuf": ("3.3.1", 400),
    "unkscm": ("3.3.2", 416),
    "novelsc": ("3.3.3", 416),
    "unksm2": ("3.3.4", 405),
    "bext01": ("3.3.5", 420),
    "invut": ("3.3.6", 415),
    "regaut01": ("3.3.7", 405),
    "multi01": ("3.3.8", 400),
    "mcl01": ("3.3.9", 400),
    "bcast": ("3.3.10", None),
    "zeromf": ("3.3.11", 200),
    "cparam01": ("3.3.12", 405),
    "cparam02": ("3.3.13", 405),
    "regescrt": ("3.3.14", 405),
    "sdp01": ("3.3.15", 406),
    # 3.4, backward compatibility
    "inv2543": ("3.4.1", 180),
}
MALFORMED = {name for name, (_, answer) in ANSWERS.items() if answer in (400, 505)} | {"scalarlg", "bigcode"}


def read(name: str) -> bytes:
    return (DATA / "rfc4475" / f"{name}.dat").read_bytes()


def parsed(name: str) -> Request:
    message = parse_message(read(name))
    assert isinstance(message, Request)
    return message


def test_no_message_of_the_rfc_is_left_out() -> None:
    assert {path.stem for path in (DATA / "rfc4475").glob("*.dat")} == ANSWERS.keys()
    assert len(ANSWERS) == 49


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, (_, answer) in ANSWERS.items()])
def test_the_answer_is_the_one_that_the_rfc_asks_for(name: str, answer: int | None) -> None:
    assert reaction(read(name))[0] == answer


@pytest.mark.parametrize("name", sorted(ANSWERS.keys() - MALFORMED))
def test_what_is_well_formed_is_read(name: str) -> None:
    assert parse_message(read(name)).call_id


@pytest.mark.parametrize("name", sorted(MALFORMED))
def test_what_is_malformed_is_not_read(name: str) -> None:
    with pytest.raises(SipParseError):
        parse_message(read(name))


@pytest.mark.parametrize("name", ["ncl", "mcl01"])
def test_a_stream_is_given_up_after_a_framing_error(name: str) -> None:
    framer = StreamFramer()
    framer.feed(read(name))

    assert isinstance(framer.poll(), Broken)
    assert framer.poll() is None


def test_the_tortuous_invite_is_read_to_its_last_corner() -> None:
    invite = parsed("wsinv")

    assert (invite.from_.display_name, invite.from_.tag) == ('J Rosenberg \\"', "98asjd8")
    assert (invite.to.tag, invite.cseq.number) == ("1918181833n", 9)
    assert (invite.via.host, invite.via.transport, invite.via.branch) == ("192.0.2.2", "UDP", "390skdjuw")
    assert len(invite.headers.listed("Via")) == 3
    assert invite.headers.first("UnknownHeaderWithUnusualValue") == ";;,,;;,;"


def test_escapes_are_kept_as_written_and_undone_for_show() -> None:
    uri = parsed("esc01").uri

    assert isinstance(uri, SipUri)
    assert uri.userinfo == "sips%3Auser%40example.com"
    assert (uri.user, uri.host) == ("sips:user@example.com", "example.net")


def test_an_escaped_null_does_not_end_a_name() -> None:
    uri = parsed("escnull").from_.uri

    assert isinstance(uri, SipUri)
    assert (uri.userinfo, uri.user) == ("null-%00-null", "null-\ufffd-null")


def test_a_semicolon_belongs_to_the_user_part() -> None:
    uri = parsed("semiuri").uri

    assert isinstance(uri, SipUri)
    assert (uri.userinfo, uri.host) == ("user;par=u%40example.net", "example.com")


def test_a_second_message_in_a_datagram_is_noise() -> None:
    request = parsed("dblreq")

    assert (request.method, request.body) == ("REGISTER", b"")


def test_null_bytes_of_a_body_are_no_end() -> None:
    assert len(parsed("mpart01").body) == 553
    assert b"\x00" in parsed("mpart01").body


def test_an_extension_that_is_required_is_named_in_the_refusal() -> None:
    _, answer = reaction(read("bext01"))

    assert b"Unsupported: nothingSupportsThis, nothingSupportsThisEither" in answer
    assert b"noProxiesSupportThis" not in answer


def test_a_caller_of_rfc_2543_may_leave_contact_and_tag_and_length_out() -> None:
    invite = parsed("inv2543")

    assert (invite.from_.tag, invite.via.branch) == ("", "")
    assert (session_description(invite) or b"").startswith(b"v=0")
