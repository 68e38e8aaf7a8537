"""Offer and answer."""

from __future__ import annotations

import base64

import pytest

from telephony.errors import SdpError
from telephony.media import CodecName, MediaAbilities, MediaParameters, SrtpPolicy
from telephony.sip.offer_answer import (
    Direction,
    LocalAudio,
    answer_direction,
    answer_media,
    media_parameters,
    read_audio,
    with_new_keys,
)
from telephony.sip.sdes import CryptoAttribute
from telephony.sip.sdp import parse_sdp
from tests.unit.telephony.sip.messages import OFFER, offer

LOCAL = LocalAudio("192.0.2.9", 20_000)
HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def audio_of(body: bytes):
    return read_audio(parse_sdp(body), address_type="IP4")


def test_the_stream_of_an_offer_is_read() -> None:
    audio = audio_of(OFFER)

    assert (audio.index, audio.host, audio.port) == (0, "192.0.2.1", 4000)
    assert (audio.codec, audio.payload_type, audio.dtmf_payload_type, audio.ptime_ms) == ("PCMU", 0, 101, 20)
    assert audio.direction is Direction.SENDRECV


@pytest.mark.parametrize(
    ("line", "codec", "payload_type"),
    [
        (b"m=audio 4000 RTP/AVP 18 8 0\r\n", "PCMA", 8),  # the offerer's order, not ours
        (b"m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 pcma/8000/1\r\n", "PCMA", 96),
        (b"m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/0\r\n", "PCMA", 8),  # a clock rate of 0
        (b"m=audio 4000 RTP/AVP 97 8\r\na=rtpmap:97 PCMU/16000\r\n", "PCMA", 8),
        (b"m=audio 4000 RTP/AVP 97 8\r\na=rtpmap:97 PCMU/8000/2\r\na=rtpmap:x\r\na=rtpmap\r\n", "PCMA", 8),
    ],
)
def test_the_codec_is_the_offerers_first_that_we_have(line: bytes, codec: str, payload_type: int) -> None:
    audio = audio_of(HEAD + line)

    assert (audio.codec, audio.payload_type) == (codec, payload_type)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"m=audio 4000 RTP/AVP 4 18\r\n",
        b"m=audio 0 RTP/AVP 0\r\n",
        b"m=video 4000 RTP/AVP 0\r\n",
        b"m=audio 4000 RTP/SAVP 0\r\n",
        b"m=image 4000 udptl t38\r\n",
        b"m=audio 4000 RTP/AVP 0\r\nc=IN IP4 224.1.1.1\r\n",
        b"m=audio 4000 RTP/AVP 0\r\nc=IN IP4 pbx.example.com\r\n",
        b"m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n",
    ],
)
def test_an_offer_without_a_stream_for_us_is_not_acceptable(line: bytes) -> None:
    with pytest.raises(SdpError) as caught:
        audio_of(HEAD + line)

    assert caught.value.status == 488


def test_a_stream_without_an_address_is_malformed() -> None:
    with pytest.raises(SdpError) as caught:
        audio_of(OFFER.replace(b"c=IN IP4 192.0.2.1\r\n", b""))

    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("lines", "ptime_ms"),
    [
        (b"a=ptime:30\r\n", 30),
        (b"a=ptime:60\r\na=maxptime:40\r\n", 40),
        (b"a=maxptime:10\r\n", 10),
        (b"a=ptime:20.0\r\n", 20),
        (b"a=ptime:200\r\n", 20),
        (b"a=ptime:0\r\n", 20),
        (b"a=ptime:x\r\n", 20),
        (b"a=ptime\r\n", 20),
    ],
)
def test_packets_are_as_long_as_the_peer_asks_within_reason(lines: bytes, ptime_ms: int) -> None:
    assert audio_of(HEAD + b"m=audio 4000 RTP/AVP 0\r\n" + lines).ptime_ms == ptime_ms


def test_key_presses_are_taken_at_8_khz_only() -> None:
    maps = b"a=rtpmap:102 telephone-event/16000\r\na=rtpmap:103 telephone-event/8000\r\n"

    assert audio_of(HEAD + b"m=audio 1 RTP/AVP 0 102 103\r\n" + maps).dtmf_payload_type == 103
    assert audio_of(HEAD + b"m=audio 1 RTP/AVP 0 102\r\n" + maps).dtmf_payload_type is None


@pytest.mark.parametrize("payload_type", [128, 999])
def test_key_presses_by_a_payload_type_that_no_packet_can_have_are_none(payload_type: int) -> None:
    line = f"m=audio 1 RTP/AVP 0 {payload_type}\r\na=rtpmap:{payload_type} telephone-event/8000\r\n"

    assert audio_of(HEAD + line.encode()).dtmf_payload_type is None


@pytest.mark.parametrize(
    ("body", "direction"),
    [
        (offer("sendonly"), Direction.SENDONLY),
        (offer("inactive"), Direction.INACTIVE),
        (offer(host="0.0.0.0"), Direction.SENDONLY),
        (offer("inactive", host="0.0.0.0"), Direction.INACTIVE),
        (offer("recvonly", host="0.0.0.0"), Direction.INACTIVE),
        (HEAD + b"a=recvonly\r\nm=audio 1 RTP/AVP 0\r\n", Direction.RECVONLY),  # the session's, inherited
        (HEAD + b"a=recvonly\r\nm=audio 1 RTP/AVP 0\r\na=sendonly\r\n", Direction.SENDONLY),
        (HEAD + b"m=audio 1 RTP/AVP 0\r\n", Direction.SENDRECV),
    ],
)
def test_a_direction_is_read_the_old_way_of_holding_included(body: bytes, direction: Direction) -> None:
    assert audio_of(body).direction is direction


@pytest.mark.parametrize(
    ("offered", "wanted", "answered"),
    [
        (Direction.SENDRECV, Direction.SENDRECV, Direction.SENDRECV),
        (Direction.SENDONLY, Direction.SENDRECV, Direction.RECVONLY),
        (Direction.RECVONLY, Direction.SENDRECV, Direction.SENDONLY),
        (Direction.INACTIVE, Direction.SENDRECV, Direction.INACTIVE),
        (Direction.SENDRECV, Direction.SENDONLY, Direction.SENDONLY),
        (Direction.SENDONLY, Direction.SENDONLY, Direction.INACTIVE),
        (Direction.SENDRECV, Direction.INACTIVE, Direction.INACTIVE),
    ],
)
def test_an_answer_goes_no_way_that_was_not_offered(offered: Direction, wanted: Direction, answered: Direction) -> None:
    assert answer_direction(offered, wanted) is answered


def test_streams_that_we_do_not_take_are_refused_in_their_place() -> None:
    body = HEAD + (
        b"m=image 4002 udptl t38\r\na=T38FaxVersion:0\r\n"
        b"m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        b"m=audio 4004 RTP/AVP 0\r\nc=IN IP4 192.0.2.2\r\n"
        b"m=video 4006 RTP/AVP 31\r\n"
    )
    session = parse_sdp(body)
    audio = read_audio(session, address_type="IP4")

    lines = answer_media(session, audio, LOCAL, Direction.RECVONLY)

    assert [(line.kind, line.port, line.formats) for line in lines] == [
        ("image", 0, ("t38",)),
        ("audio", 20_000, ("8", "101")),
        ("audio", 0, ("0",)),
        ("video", 0, ("31",)),
    ]
    assert lines[1].attributes == (
        ("rtpmap", "8 PCMA/8000"),
        ("rtpmap", "101 telephone-event/8000"),
        ("fmtp", "101 0-15"),
        ("ptime", "20"),
        ("recvonly", None),
    )
    assert (lines[0].attributes, lines[2].connection) == ((), None)


def test_an_answer_names_no_key_presses_where_none_were_offered() -> None:
    session = parse_sdp(HEAD + b"m=audio 4000 RTP/AVP 0\r\n")

    (line,) = answer_media(session, read_audio(session, address_type="IP4"), LOCAL, Direction.SENDRECV)

    assert (line.formats, line.attribute("fmtp")) == (("0",), None)


def test_rtp_is_told_what_was_agreed() -> None:
    parameters = media_parameters(audio_of(OFFER), Direction.SENDONLY)

    assert parameters == MediaParameters("192.0.2.1", 4000, "PCMU", 0, 101, 20, send=True, receive=False)


def test_a_local_address_knows_its_family() -> None:
    assert (LocalAudio("::1", 1).address_type, LOCAL.connection.address_type) == ("IP6", "IP4")


KEYS = (bytes(range(30)), bytes(range(30, 60)))
THEIRS = base64.b64encode(bytes(30)).decode()
CRYPTO = f"a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:{THEIRS}\r\n".encode()
WIDE = (
    b"m=audio 4000 RTP/AVP 0 9 96 13 101 102\r\na=rtpmap:96 opus/48000/2\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/48000\r\na=rtcp-xr:voip-metrics\r\n"
)


def able(*codecs: CodecName, **changed: object) -> MediaAbilities:
    return MediaAbilities(codecs, **changed)  # type: ignore[arg-type]  # keywords as given


def read(body: bytes, abilities: MediaAbilities):
    return read_audio(parse_sdp(HEAD + body), address_type="IP4", abilities=abilities)


@pytest.mark.parametrize(
    ("abilities", "codec", "payload_type", "dtmf"),
    [
        (able("opus", "G722", "PCMU"), "PCMU", 0, (101, 8_000)),  # their order
        (able("opus", "G722", "PCMU", choice="ours"), "opus", 96, (102, 48_000)),
        (able("G722", "opus"), "G722", 9, (101, 8_000)),
        (able("PCMA", "opus"), "opus", 96, (102, 48_000)),
    ],
)
def test_the_codec_is_one_that_both_have_by_the_order_that_counts(
    abilities: MediaAbilities, codec: str, payload_type: int, dtmf: tuple[int, int]
) -> None:
    audio = read(WIDE, abilities)

    assert (audio.codec, audio.payload_type) == (codec, payload_type)
    assert (audio.dtmf_payload_type, audio.dtmf_clock_hz) == dtmf
    assert audio.voip_metrics


def test_events_at_8_khz_will_do_for_opus() -> None:
    audio = read(WIDE.replace(b"/48000\r\na=rtcp", b"/16000\r\na=rtcp"), able("opus"))

    assert (audio.dtmf_payload_type, audio.dtmf_clock_hz) == (101, 8_000)


def test_a_codec_that_is_switched_off_is_not_taken() -> None:
    with pytest.raises(SdpError, match="with PCMA is offered"):
        read(WIDE, able("PCMA"))


def test_comfort_noise_needs_both() -> None:
    assert read(WIDE, able("PCMU", comfort_noise=True)).comfort_noise
    assert not read(WIDE, able("PCMU")).comfort_noise
    assert not read(WIDE.replace(b" 13 ", b" "), able("PCMU", comfort_noise=True)).comfort_noise


def test_an_answer_of_opus_says_what_it_wants_to_be_sent() -> None:
    audio = read(WIDE, able("opus"))
    session = parse_sdp(HEAD + WIDE)

    (line,) = answer_media(session, audio, LocalAudio("192.0.2.9", 20_000, able("opus")), Direction.SENDRECV)

    assert line.formats == ("96", "102")
    assert line.attributes == (
        ("rtpmap", "96 opus/48000/2"),
        ("fmtp", "96 useinbandfec=1;maxplaybackrate=16000;maxaveragebitrate=32000"),
        ("rtpmap", "102 telephone-event/48000"),
        ("fmtp", "102 0-15"),
        ("rtcp-xr", "voip-metrics"),
        ("ptime", "20"),
        ("sendrecv", None),
    )


def secure(policy: SrtpPolicy) -> MediaAbilities:
    return able("PCMU", srtp=policy, srtp_keys=KEYS)


@pytest.mark.parametrize("protocol", [b"RTP/SAVP", b"RTP/SAVPF", b"RTP/AVP"])
@pytest.mark.parametrize("policy", ["accepted", "offered", "required"])
def test_keys_are_taken_and_answered_under_their_tag(protocol: bytes, policy: SrtpPolicy) -> None:
    session = parse_sdp(HEAD + b"m=audio 4000 " + protocol + b" 0\r\n" + CRYPTO)
    local = LocalAudio("192.0.2.9", 20_000, secure(policy))
    audio = read_audio(session, address_type="IP4", abilities=local.abilities)

    (line,) = answer_media(session, audio, local, Direction.SENDRECV)

    assert audio.crypto == CryptoAttribute(7, "AES_CM_128_HMAC_SHA1_32", bytes(30))
    assert line.protocol == protocol.decode()
    assert line.attribute("crypto") == f"7 AES_CM_128_HMAC_SHA1_32 inline:{base64.b64encode(KEYS[1]).decode()}"


@pytest.mark.parametrize(
    ("line", "policy", "said"),
    [
        (b"m=audio 4000 RTP/SAVP 0\r\n" + CRYPTO, "refused", "SRTP is not taken here"),
        (b"m=audio 4000 RTP/SAVP 0\r\n", "accepted", "without a=crypto"),
        (b"m=audio 4000 RTP/SAVP 0\r\n" + CRYPTO.replace(b"AAA", b"", 1), "accepted", "not base64"),
        (b"m=audio 4000 RTP/SAVP 0\r\n" + CRYPTO.replace(b"AAAA", b"", 1), "accepted", "27 bytes, not 30"),
        (b"m=audio 4000 RTP/AVP 0\r\n" + CRYPTO.replace(b"AAAA", b"", 1), "required", "27 bytes, not 30"),
        (b"m=audio 4000 RTP/AVP 0\r\n", "required", "SRTP is required"),
        (b"m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n" + CRYPTO, "required", "no audio stream over"),
    ],
)
def test_keys_that_do_not_fit_our_policy_are_refused_with_the_reason(
    line: bytes, policy: SrtpPolicy, said: str
) -> None:
    with pytest.raises(SdpError, match=said) as caught:
        read(line, secure(policy))

    assert caught.value.status == 488


@pytest.mark.parametrize(
    ("line", "policy"),
    [
        (b"m=audio 4000 RTP/AVP 0\r\n" + CRYPTO, "refused"),
        (b"m=audio 4000 RTP/AVP 0\r\n" + CRYPTO.replace(b"AAAA", b"", 1), "accepted"),
        (b"m=audio 4000 RTP/AVP 0\r\n", "offered"),
    ],
)
def test_rtp_avp_stays_plain_where_its_keys_are_of_no_use(line: bytes, policy: SrtpPolicy) -> None:
    assert read(line, secure(policy)).crypto is None


def test_the_second_stream_is_taken_where_the_first_does_not_fit() -> None:
    both = b"m=audio 4000 RTP/SAVP 0\r\n" + CRYPTO + b"m=audio 4002 RTP/AVP 0\r\n"

    assert read(both, secure("refused")).index == 1
    assert read(both, secure("required")).index == 0


def test_who_takes_a_call_over_is_given_keys_that_nobody_else_knows() -> None:
    local = LocalAudio("192.0.2.9", 20_000, MediaAbilities(srtp="accepted", srtp_keys=(bytes(30), bytes(30))))
    tokens = iter(f"{n:032x}" for n in range(1, 5))
    fresh = with_new_keys(local, new_token=lambda: next(tokens))

    assert fresh.abilities.srtp_keys == (
        bytes.fromhex(f"{1:032x}{2:032x}")[:30],
        bytes.fromhex(f"{3:032x}{4:032x}")[:30],
    )
    assert (fresh.port, with_new_keys(LocalAudio("192.0.2.9", 1), new_token=str)) == (
        20_000,
        LocalAudio("192.0.2.9", 1),
    )
