"""The offer/answer state of a call."""

from __future__ import annotations

import pytest

from telephony.errors import LocalProtocolError, SdpError
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
