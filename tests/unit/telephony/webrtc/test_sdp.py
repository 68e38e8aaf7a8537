from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import SdpError
from telephony.webrtc.sdp import (
    TransportParameters,
    answer_to,
    new_offer,
    parse_description,
    write_description,
)

FINGERPRINT = "AB:" * 31 + "CD"
CANDIDATE = "1 1 udp 2122260223 192.0.2.7 40123 typ host"
CHROMIUM = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS 1d3c
m=audio 40123 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 192.0.2.7
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:{CANDIDATE}
a=ice-ufrag:v5Xk
a=ice-pwd:RKtbKa0yQFzJv7q9nmHrv0vD
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:1d3c 9f1e
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=rtpmap:9 G722/8000
a=ssrc:3283190917 cname:hZ0x
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:v5Xk
a=ice-pwd:RKtbKa0yQFzJv7q9nmHrv0vD
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
"""
VIDEO = """m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:2
a=sendrecv
a=rtpmap:96 VP8/90000
"""
OURS = TransportParameters(
    ice_ufrag="abcd",
    ice_pwd="e" * 22,
    fingerprints=(("sha-256", FINGERPRINT),),
    setup="active",
    candidates=(CANDIDATE, "2 1 udp 2122260223 2001:db8::1 40124 typ host"),
)


def without(prefix: str) -> str:
    return "".join(line for line in CHROMIUM.splitlines(keepends=True) if not line.startswith(prefix))


def test_a_browsers_offer_gives_opus_the_channel_and_one_transport() -> None:
    offer = parse_description(CHROMIUM)
    assert [section.use for section in offer.sections] == ["opus", "channel"]
    assert (offer.payload_type, offer.sctp_port, offer.max_message_bytes) == (111, 5000, 262144)
    assert offer.ssrc == 3283190917
    assert offer.transport == TransportParameters(
        ice_ufrag="v5Xk",
        ice_pwd="RKtbKa0yQFzJv7q9nmHrv0vD",
        fingerprints=(("sha-256", FINGERPRINT),),
        setup="actpass",
        candidates=(CANDIDATE,),
    )


def test_lines_may_end_with_cr_lf_and_blank_ones_are_skipped() -> None:
    assert parse_description(CHROMIUM.replace("\n", "\r\n") + "\r\n") == parse_description(CHROMIUM)


def test_our_answer_read_again_is_what_was_written() -> None:
    answer = answer_to(parse_description(CHROMIUM), OURS, ssrc=7)
    read = parse_description(write_description(answer, session_id=1))
    assert (read.transport, read.ssrc, read.payload_type) == (OURS, 7, 111)
    assert (read.sctp_port, read.max_message_bytes) == (5000, 262144)


def test_our_offer_read_again_is_what_was_written() -> None:
    text = write_description(new_offer(OURS, ssrc=7), session_id=1)
    read = parse_description(text)
    assert [section.use for section in read.sections] == ["opus", "channel"]
    assert read.transport == OURS
    assert text.endswith("\r\n")


def test_an_answer_refuses_what_it_does_not_use_and_keeps_the_order() -> None:
    offer = parse_description(CHROMIUM + VIDEO)
    text = write_description(answer_to(offer, OURS, ssrc=7), session_id=1)
    media = [line for line in text.splitlines() if line.startswith("m=")]
    assert media[0] == "m=audio 40123 UDP/TLS/RTP/SAVPF 111"
    assert media[1].startswith("m=application 40123 ")
    assert media[2] == "m=video 0 UDP/TLS/RTP/SAVPF 96 97"
    assert "a=group:BUNDLE 0 1\r\n" in text


def test_candidates_are_written_once_at_the_head_of_the_bundle() -> None:
    text = write_description(answer_to(parse_description(CHROMIUM), OURS, ssrc=7), session_id=1)
    assert text.count("a=candidate:") == len(OURS.candidates)
    assert text.index("a=end-of-candidates") < text.index("m=application")


def test_a_transport_without_candidates_is_written_with_the_discard_port() -> None:
    text = write_description(answer_to(parse_description(CHROMIUM), replace(OURS, candidates=()), ssrc=7), session_id=1)
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n" in text


def test_an_ipv6_default_candidate_is_written_as_ip6() -> None:
    ours = replace(OURS, candidates=OURS.candidates[1:])
    text = write_description(answer_to(parse_description(CHROMIUM), ours, ssrc=7), session_id=1)
    assert "c=IN IP6 2001:db8::1\r\n" in text


def test_an_offer_without_a_channel_is_a_call_without_messages() -> None:
    offer = parse_description(CHROMIUM[: CHROMIUM.index("m=application")].replace("BUNDLE 0 1", "BUNDLE 0"))
    assert offer.sctp_port is None
    text = write_description(answer_to(offer, OURS, ssrc=7), session_id=1)
    assert "m=application" not in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"),
        ("m=application 9 ", "m=application 0 "),
        ("SCTP webrtc-datachannel", "SCTP something-else"),
    ],
)
def test_a_channel_outside_the_bundle_rejected_or_unknown_is_not_used(old: str, new: str) -> None:
    offer = parse_description(CHROMIUM.replace(old, new))
    assert [section.use for section in offer.sections] == ["opus", "none"]


def test_attributes_of_the_session_hold_where_a_section_is_silent() -> None:
    moved = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:")
    lines = CHROMIUM.splitlines()
    common = dict.fromkeys(line for line in lines if line.startswith(moved))
    rest = [line for line in lines if not line.startswith(moved)]
    text = "\n".join([*rest[:4], *common, *rest[4:]])
    assert parse_description(text).transport == parse_description(CHROMIUM).transport


def test_the_transport_is_that_of_the_first_section_in_the_bundle() -> None:
    text = CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 1 0")
    head, tail = text.split("m=application")
    text = (
        head + "m=application" + tail.replace("v5Xk", "other").replace("a=mid:1", f"a=mid:1\na=candidate:9{CANDIDATE}")
    )
    transport = parse_description(text).transport
    assert (transport.ice_ufrag, transport.candidates) == ("other", (f"9{CANDIDATE}",))


def test_candidates_of_bundled_sections_with_the_same_credentials_count_once() -> None:
    text = CHROMIUM.replace("a=mid:1\n", f"a=mid:1\na=candidate:{CANDIDATE}\na=candidate:5{CANDIDATE}\n")
    assert parse_description(text).transport.candidates == (CANDIDATE, f"5{CANDIDATE}")


def test_a_second_audio_with_opus_is_taken_where_the_first_has_none() -> None:
    first = "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:9\na=rtpmap:0 PCMU/8000\n"
    offer = parse_description(CHROMIUM.replace("m=audio", f"{first}m=audio", 1))
    assert [section.use for section in offer.sections] == ["none", "opus", "channel"]


@pytest.mark.parametrize("value", ["none cname:x", "4294967296 cname:x", ""])
def test_an_unreadable_ssrc_is_no_ssrc(value: str) -> None:
    assert parse_description(CHROMIUM.replace("a=ssrc:3283190917 cname:hZ0x", f"a=ssrc:{value}")).ssrc is None


def test_a_message_size_of_zero_means_our_own_limit() -> None:
    assert parse_description(CHROMIUM.replace("size:262144", "size:0")).max_message_bytes == 65_536


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("", 400, "v=0"),
        ("hello", 400, "v=0"),
        ("v=0\r\nwhat is this", 400, "line 2"),
        ("v=0\r\nab=c", 400, "line 2"),
        ("v=0\r\nm=audio", 400, "line 2"),
        ("v=0\r\ns=-", 400, "0 media sections"),
        ("v=0\r\n" + "m=video 9 RTP/SAVPF 96\r\n" * 9, 400, "9 media sections"),
        ("v=0\r\n" + "a=x\r\n" * 9000, 400, "more than 32768 bytes"),
        (CHROMIUM.replace("opus", "OPUX"), 488, "Opus"),
        (CHROMIUM.replace("m=audio 40123", "m=audio 0"), 488, "Opus"),
        (CHROMIUM.replace("111", "211"), 488, "Opus"),
        (CHROMIUM.replace("rtpmap:111", "rtpmap:112"), 488, "Opus"),
        (without("a=rtcp-mux"), 488, "rtcp-mux"),
        (without("a=group"), 488, "BUNDLE"),
        (CHROMIUM.replace("group:BUNDLE", "group:LS"), 488, "BUNDLE"),
        (without("a=mid"), 488, "BUNDLE"),
        (CHROMIUM.replace("a=sendrecv", "a=recvonly"), 488, "a=recvonly"),
        (without("a=ice-ufrag"), 400, "ice-ufrag"),
        (CHROMIUM.replace("v5Xk", "v?Xk"), 400, "ice-ufrag"),
        (CHROMIUM.replace("RKtbKa0yQFzJv7q9nmHrv0vD", "short"), 400, "ice-pwd"),
        (without("a=fingerprint"), 400, "fingerprint"),
        (CHROMIUM.replace("sha-256", "md5"), 400, "fingerprint"),
        (without("a=setup"), 400, "setup"),
        (CHROMIUM.replace("setup:actpass", "setup:holdconn"), 400, "setup"),
        (CHROMIUM.replace("sctp-port:5000", "sctp-port:99999"), 400, "sctp-port"),
        (CHROMIUM.replace("sctp-port:5000", "sctp-port:many"), 400, "sctp-port"),
        (CHROMIUM.replace("sctp-port:5000", f"sctp-port:{'1' * 5000}"), 400, "sctp-port"),
        (CHROMIUM.replace("size:262144", "size:-1"), 400, "max-message-size"),
        (
            CHROMIUM.replace("a=mid:0", "a=mid:0\n" + "".join(f"a=candidate:{n}{CANDIDATE}\n" for n in range(40))),
            400,
            "41 ICE candidates",
        ),
    ],
)
def test_what_is_no_call_is_refused_with_its_reason(text: str, status: int, words: str) -> None:
    with pytest.raises(SdpError, match=words) as caught:
        parse_description(text)
    assert caught.value.status == status


def test_audio_without_a_direction_is_sent_and_received() -> None:
    assert parse_description(without("a=sendrecv")).payload_type == 111


JUNK = st.text(st.sampled_from("av=m: \r\n0129/xé"), max_size=8)


@given(st.lists(st.tuples(st.integers(0, len(CHROMIUM)), JUNK), max_size=6))
def test_a_damaged_offer_is_refused_or_can_be_answered(cuts: list[tuple[int, str]]) -> None:
    text = CHROMIUM
    for position, junk in cuts:
        text = text[:position] + junk + text[position + len(junk) :]
    try:
        offer = parse_description(text)
    except SdpError:
        return
    answer = write_description(answer_to(offer, OURS, ssrc=1), session_id=1)
    assert parse_description(answer).transport == OURS
