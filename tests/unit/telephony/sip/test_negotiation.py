"""The offer/answer state of a call."""

from __future__ import annotations

import base64

import pytest

from telephony.errors import LocalProtocolError, SdpError
from telephony.media import MediaAbilities, SrtpKeys, SrtpPolicy, SrtpSuite
from telephony.sip.negotiation import Negotiation
from telephony.sip.offer_answer import Direction, LocalAudio
from telephony.sip.sdp import SessionDescription, parse_sdp
from tests.unit.telephony.sip.messages import OFFER, offer


def negotiation() -> Negotiation:
    return Negotiation(LocalAudio("192.0.2.9", 20_000), session_id=7)


def direction_of(session: SessionDescription) -> str:
    return session.media[0].attributes[-1][0]


def test_an_offer_is_answered() -> None:
    body, parameters = negotiation().answer(OFFER)

    session = parse_sdp(body)
    assert (session.origin.session_id, session.origin.version, session.origin.host) == ("7", "1", "192.0.2.9")
    assert session.media[0].formats == ("0", "101")
    assert (parameters.remote_port, parameters.send, parameters.receive) == (4000, True, True)


def test_hold_and_resume_are_answered_the_right_way_round() -> None:
    ours = negotiation()
    ours.answer(OFFER)

    held, parameters = ours.answer(offer("sendonly", version=2))
    assert (direction_of(parse_sdp(held)), parameters.send, parameters.receive) == ("recvonly", False, True)
    resumed, parameters = ours.answer(offer(version=3))
    assert (direction_of(parse_sdp(resumed)), parameters.send) == ("sendrecv", True)


def test_the_version_grows_when_and_only_when_the_description_changes() -> None:
    ours = negotiation()

    bodies = [ours.answer(offer(direction))[0] for direction in ("sendrecv", "sendrecv", "sendonly", "sendonly")]

    assert [parse_sdp(body).origin.version for body in bodies] == ["1", "1", "2", "2"]


def test_an_offer_that_cannot_be_taken_leaves_the_old_agreement() -> None:
    ours = negotiation()
    ours.answer(OFFER.replace(b"0 8 101", b"8"))

    with pytest.raises(SdpError):
        ours.answer(OFFER.replace(b"0 8 101", b"18"))

    assert parse_sdp(ours.offer()).media[0].formats == ("8", "0")


def test_our_offer_is_answered() -> None:
    ours = negotiation()

    session = parse_sdp(ours.offer())
    assert (session.media[0].formats, direction_of(session)) == (("0", "8", "101"), "sendrecv")
    assert ours.offer_pending
    assert ours.take_answer(OFFER).codec == "PCMU"
    assert not ours.offer_pending


def test_we_hold_the_peer_once_it_accepts() -> None:
    ours = negotiation()
    ours.answer(OFFER)

    assert direction_of(parse_sdp(ours.offer(Direction.SENDONLY))) == "sendonly"
    assert ours.wanted is Direction.SENDRECV
    parameters = ours.take_answer(offer("recvonly"))

    assert (parameters.send, parameters.receive, ours.wanted) == (True, False, Direction.SENDONLY)
    assert direction_of(parse_sdp(ours.answer(OFFER)[0])) == "sendonly"


def test_a_refused_offer_changes_nothing() -> None:
    ours = negotiation()
    ours.answer(OFFER)
    ours.offer(Direction.INACTIVE)

    ours.drop_offer()

    assert ours.wanted is Direction.SENDRECV
    assert direction_of(parse_sdp(ours.offer())) == "sendrecv"


def test_a_new_offer_keeps_every_line_in_its_place_and_every_number_its_meaning() -> None:
    ours = negotiation()
    body = OFFER.replace(b"m=audio", b"m=video 4100 RTP/AVP 31\r\nm=audio").replace(b"101", b"96")
    ours.answer(body)

    session = parse_sdp(ours.offer(Direction.SENDONLY))

    assert [(line.kind, line.port) for line in session.media] == [("video", 0), ("audio", 20_000)]
    assert session.media[1].formats == ("0", "8", "96")


def test_one_offer_at_a_time() -> None:
    ours = negotiation()
    ours.offer()

    with pytest.raises(LocalProtocolError):
        ours.offer()


def test_an_answer_needs_an_offer() -> None:
    with pytest.raises(LocalProtocolError):
        negotiation().take_answer(OFFER)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (None, 400),
        (OFFER + b"m=video 0 RTP/AVP 31\r\n", 400),
        (OFFER.replace(b"audio 4000", b"audio 0"), 488),
        (b"nonsense", 400),
    ],
)
def test_an_answer_that_does_not_fit_is_an_error_and_settles_the_offer(answer: bytes | None, status: int) -> None:
    ours = negotiation()
    ours.offer()

    with pytest.raises(SdpError) as caught:
        ours.take_answer(answer)

    assert (caught.value.status, ours.offer_pending) == (status, False)


KEYS = (bytes(range(30)), bytes(range(30, 60)))


def capable(policy: SrtpPolicy = "refused", *, comfort_noise: bool = False) -> Negotiation:
    keys = () if policy == "refused" else KEYS
    abilities = MediaAbilities(("opus", "G722", "PCMA"), "theirs", policy, keys, comfort_noise)
    return Negotiation(LocalAudio("192.0.2.9", 20_000, abilities), session_id=7)


def crypto_lines(body: bytes) -> list[str]:
    return [value or "" for name, value in parse_sdp(body).media[0].attributes if name == "crypto"]


def test_our_offer_names_what_we_can_the_best_first() -> None:
    (line,) = parse_sdp(capable(comfort_noise=True).offer()).media

    assert (line.protocol, line.formats) == ("RTP/AVP", ("111", "9", "8", "13", "101", "102"))
    assert line.attribute("rtcp-xr") == "voip-metrics"
    assert crypto_lines(capable("accepted").offer()) == []


@pytest.mark.parametrize(("policy", "protocol"), [("offered", "RTP/AVP"), ("required", "RTP/SAVP")])
@pytest.mark.parametrize(("tag", "suite"), [(1, "AES_CM_128_HMAC_SHA1_80"), (2, "AES_CM_128_HMAC_SHA1_32")])
def test_keys_that_we_offer_are_used_as_the_answer_chooses(
    policy: SrtpPolicy, protocol: str, tag: int, suite: SrtpSuite
) -> None:
    ours = capable(policy)
    body = ours.offer()
    assert parse_sdp(body).media[0].protocol == protocol
    assert len(crypto_lines(body)) == 2

    answer = (
        f"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 {protocol} 9\r\n"
        f"a=crypto:{tag} {suite} inline:{base64.b64encode(bytes(30)).decode()}\r\n"
    ).encode()
    parameters = ours.take_answer(answer)

    assert parameters.srtp == SrtpKeys(suite, KEYS[tag - 1], bytes(30))
    again = ours.offer()
    assert (parse_sdp(again).media[0].protocol, len(crypto_lines(again))) == (protocol, 2)
    assert parse_sdp(again).media[0].formats == ("9", "111", "8")


def test_an_answer_with_keys_that_we_did_not_offer_is_refused() -> None:
    ours = capable("required")
    ours.offer()
    crypto = f"a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(bytes(30)).decode()}\r\n".encode()

    with pytest.raises(SdpError, match="none of those that we offered"):
        ours.take_answer(OFFER.replace(b"RTP/AVP", b"RTP/SAVP") + crypto)


def test_plain_rtp_will_do_where_keys_were_only_offered() -> None:
    ours = capable("offered")
    ours.offer()

    assert ours.take_answer(OFFER).srtp is None


def test_an_offer_with_keys_is_answered_with_ours() -> None:
    crypto = f"a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(bytes(30)).decode()}\r\n".encode()

    body, parameters = capable("accepted").answer(OFFER.replace(b"RTP/AVP", b"RTP/SAVP") + crypto)

    assert parameters.srtp == SrtpKeys("AES_CM_128_HMAC_SHA1_80", KEYS[0], bytes(30))
    assert crypto_lines(body) == [f"3 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(KEYS[0]).decode()}"]


def test_a_payload_type_in_use_is_given_to_no_other_codec() -> None:
    ours = capable()
    ours.answer(OFFER.replace(b"101", b"111"))

    assert parse_sdp(ours.offer()).media[0].formats == ("8", "9", "111")


def test_an_answer_may_call_things_by_other_numbers_and_ours_are_what_the_peer_sends_by() -> None:
    local = LocalAudio("192.0.2.9", 20_000, MediaAbilities(("opus", "PCMU")))
    ours, other = Negotiation(local, session_id=7), Negotiation(local, session_id=7)
    ours.offer()
    other.offer()
    answer = OFFER.replace(b"0 8 101", b"96 97").replace(
        b"a=rtpmap:101 telephone-event/8000", b"a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/48000"
    )

    parameters = ours.take_answer(answer)

    assert (parameters.payload_type, parameters.dtmf_payload_type) == (96, 97)
    assert parameters.own_numbers == ((111, 96), (102, 97))
    assert other.take_answer(OFFER).own_numbers == ()
