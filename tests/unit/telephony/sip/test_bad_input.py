"""Bad input that no other test of a module sends: docs/bad-input.md lists all of it."""

from __future__ import annotations

import pytest

from telephony.sip.events import CallOffered, MediaAgreed
from telephony.sip.flow import Transmit
from telephony.sip.message import MAX_MESSAGE_BYTES, Response, parse_message
from telephony.sip.offer_answer import LocalAudio
from telephony.sip.sdp import parse_sdp
from telephony.sip.timers import Timings
from telephony.sip.user_agent import UserAgent
from tests.unit.telephony.sip.agents import Agent
from tests.unit.telephony.sip.machines import drain
from tests.unit.telephony.sip.messages import PEER, request_bytes

US = LocalAudio("192.0.2.9", 20_000)
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"


def invited(body: str) -> tuple[UserAgent, int, str]:
    """Send an INVITE with this SDP: the agent, its first status, and the call's handle."""
    core = Agent("192.0.2.9").core
    core.receive(request_bytes(body=body.encode()), PEER, now=0.0)
    outputs = drain(core)
    sent = [parse_message(output.data) for output in outputs if isinstance(output, Transmit)]
    handle = next((output.handle for output in outputs if isinstance(output, CallOffered)), "")
    assert isinstance(sent[0], Response)
    return core, sent[0].status, handle


def answered(body: str) -> tuple[bytes, MediaAgreed]:
    core, status, handle = invited(body)
    assert status == 180
    core.answer(handle, US, now=0.0)
    outputs = drain(core)
    (sent,) = [parse_message(output.data) for output in outputs if isinstance(output, Transmit)]
    (agreed,) = [output for output in outputs if isinstance(output, MediaAgreed)]
    return sent.body, agreed


@pytest.mark.parametrize(
    "media",
    [
        "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMU/0\r\n",  # a clock that stands still
        "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMU/99999999999\r\n",
        "m=audio 4000 RTP/AVP 77\r\n",  # a number that nothing explains
        "m=audio 0 RTP/AVP 0\r\n",
        "m=video 4002 RTP/AVP 31\r\n",
        "m=image 4004 udptl t38\r\n",
        "m=audio 4000 RTP/SAVP 0\r\n",  # SRTP without a key
        f"m=audio 4000 RTP/SAVP 0\r\n{KEY}!!!not base64!!!\r\n",
        f"m=audio 4000 RTP/SAVP 0\r\n{KEY}c2hvcnQ=\r\n",  # a key of five bytes
        "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 NULL_CIPHER inline:AAAA\r\n",
    ],
)
def test_an_offer_that_cannot_be_met_is_not_acceptable(media: str) -> None:
    assert invited(HEAD + media)[1] == 488


def test_a_payload_type_that_is_named_twice_is_taken_once() -> None:
    _, agreed = answered(HEAD + "m=audio 4000 RTP/AVP 0 0 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:0 PCMU/8000\r\n")

    assert agreed.parameters.payload_type == 0


def test_of_two_audio_streams_one_is_taken_and_one_refused() -> None:
    body, agreed = answered(HEAD + "m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\n")

    assert [media.port for media in parse_sdp(body).media] == [20_000, 0]
    assert agreed.parameters.remote_port == 4000


def test_video_and_fax_beside_the_sound_are_refused_in_their_places() -> None:
    lines = "m=video 4002 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 0\r\nm=image 4004 udptl t38\r\n"
    body, _ = answered(HEAD + lines)

    assert [(media.kind, media.port) for media in parse_sdp(body).media] == [
        ("video", 0),
        ("audio", 20_000),
        ("image", 0),
    ]


def test_of_telephone_events_at_three_rates_the_one_of_the_codec_is_taken() -> None:
    body, agreed = answered(
        HEAD
        + "m=audio 4000 RTP/AVP 0 110 111 101\r\na=rtpmap:110 telephone-event/48000\r\n"
        + "a=rtpmap:111 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\n"
    )

    assert agreed.parameters.dtmf_payload_type == 101
    assert b"telephone-event/48000" not in body


def test_a_body_of_60_000_bytes_is_read_within_bounds() -> None:
    padding = "a=x:" + "y" * 59_000 + "\r\n"

    assert invited(HEAD + "m=audio 4000 RTP/AVP 0\r\n" + padding)[1] == 180
    assert invited(HEAD + "a=x\r\n" * 12_000)[1] == 400  # more lines than are read


def test_a_message_longer_than_any_datagram_is_too_large() -> None:
    core = Agent("192.0.2.9").core
    core.receive(request_bytes(body=b"x" * MAX_MESSAGE_BYTES), PEER, now=0.0)

    statuses = [output.data.split(b" ")[1] for output in drain(core) if isinstance(output, Transmit)]
    assert statuses == [b"513"]


def test_a_flood_of_invites_fills_the_house_and_nothing_else() -> None:
    places = 10

    def admit() -> int | None:
        return 5 if core.call_count >= places else None

    core = Agent("192.0.2.9", admit=admit).core
    statuses: list[int] = []
    for number in range(1_000):
        data = request_bytes(
            branch=f"z9hG4bK{number}", call_id=f"flood-{number}", body=(HEAD + "m=audio 4 RTP/AVP 0\r\n").encode()
        )
        core.receive(data, PEER, now=0.001 * number)
        sent = [output.data for output in drain(core) if isinstance(output, Transmit)]
        statuses += [int(message.split(b" ")[1]) for message in sent]

    assert (statuses.count(180), statuses.count(503)) == (places, 1_000 - places)
    # Nobody acknowledges; what is kept of the refusals goes with timer H.
    until = 1.0 + 64 * Timings().t1_s
    while (at := core.timer_at()) is not None and at <= until + 1:
        core.handle_timer(now=at)
        drain(core)
    assert (core.call_count, core.transaction_count) == (places, places)
