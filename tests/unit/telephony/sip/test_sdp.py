"""SDP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import SdpError
from telephony.sip.sdp import MAX_LINES, MAX_MEDIA, Connection, build_sdp, parse_sdp
from tests.unit.telephony.sip.messages import OFFER

HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"


def test_a_description_comes_apart() -> None:
    session = parse_sdp(
        b"v=0\r\no=alice 1 2 IN IP6 2001:db8::1\r\ns=call\r\nb=AS:64\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n"
        b"a=recvonly\r\na=tool:x:y\r\nm=audio 4000/2 RTP/AVP 0 101\r\ni=title\r\nc=IN IP4 192.0.2.1/127\r\n"
        b"a=rtpmap:0 PCMU/8000\r\nm=video 0 RTP/AVP 31\r\n"
    )

    audio, video = session.media
    assert (session.origin.username, session.origin.session_id, session.origin.version) == ("alice", "1", "2")
    assert session.connection == Connection("IP6", "2001:db8::1")
    assert session.attributes == (("recvonly", None), ("tool", "x:y"))
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == ("audio", 4000, "RTP/AVP", ("0", "101"))
    assert audio.connection == Connection("IP4", "192.0.2.1/127")
    assert (audio.attribute("rtpmap"), audio.attribute("ptime")) == ("0 PCMU/8000", None)
    assert (video.port, video.connection) == (0, None)


def test_what_is_written_is_read_back() -> None:
    session = parse_sdp(OFFER)

    assert parse_sdp(build_sdp(session)) == session


def test_bare_line_feeds_and_trailing_padding_are_let_pass() -> None:
    assert parse_sdp(OFFER.replace(b"\r\n", b"\n") + b"\r\n\x00") == parse_sdp(OFFER)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"v=0\r\n",
        b"v=1\r\n" + HEAD[5:],
        HEAD[5:],
        HEAD + b"o=- 1 1 IN IP4 192.0.2.1\r\n",
        HEAD.replace(b"IN IP4", b"IN IP5"),
        HEAD.replace(b" 1 1 ", b" 1 "),
        HEAD + b"c=IN IP4\r\n",
        HEAD + b"c=192.0.2.1\r\n",
        HEAD + b"m=audio\r\n",
        HEAD + b"m=audio 4000 RTP/AVP\r\n",
        HEAD + b"m=audio port RTP/AVP 0\r\n",
        HEAD + b"m=audio 70000 RTP/AVP 0\r\n",
        HEAD + b"m=audio -1 RTP/AVP 0\r\n",
        HEAD + b"m=audio 1 RTP/AVP 0\r\n" * (MAX_MEDIA + 1),
        HEAD + b"a=x\r\n" * MAX_LINES,
        HEAD + b"\r\na=x\r\n",
    ],
)
def test_a_malformed_description_is_an_error(body: bytes) -> None:
    with pytest.raises(SdpError) as caught:
        parse_sdp(body)

    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("connection", "unspecified", "unicast"),
    [
        (Connection("IP4", "192.0.2.1"), False, True),
        (Connection("IP4", "0.0.0.0"), True, True),
        (Connection("IP6", "::"), True, True),
        (Connection("IP4", "224.2.1.1"), False, False),
        (Connection("IP4", "255.255.255.255"), False, False),
        (Connection("IP4", "2001:db8::1"), False, False),
        (Connection("IP4", "pbx.example.com"), False, False),
    ],
)
def test_a_connection_says_what_kind_of_address_it_is(
    connection: Connection, *, unspecified: bool, unicast: bool
) -> None:
    assert (connection.is_unspecified, connection.is_unicast_address) == (unspecified, unicast)


EDITS = st.lists(st.tuples(st.integers(0, 250), st.integers(0, 9), st.binary(max_size=6)), max_size=5)


@given(st.binary(max_size=200) | EDITS.map(lambda edits: mutate(OFFER, edits)))
def test_no_bytes_do_anything_but_parse_or_fail_to(body: bytes) -> None:
    try:
        session = parse_sdp(body)
    except SdpError:
        return
    built = build_sdp(session)
    assert build_sdp(parse_sdp(built)) == built


def mutate(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, inserted in edits:
        body = body[:at] + inserted + body[at + length :]
    return body
