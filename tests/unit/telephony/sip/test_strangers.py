"""What somebody learns who has no business with us, and what that costs."""

from __future__ import annotations

import re
import statistics
import time

from telephony.sip.auth import Asked, Credentials, answer_challenge
from telephony.sip.events import UserAgentOutput
from telephony.sip.flow import Transmit
from telephony.sip.message import parse_message
from telephony.sip.user_agent import UserAgent
from tests.unit.telephony.sip.agents import Agent
from tests.unit.telephony.sip.machines import drain
from tests.unit.telephony.sip.messages import OFFER, PEER, request_bytes


def guarded() -> UserAgent:
    return Agent("192.0.2.9", passwords={"aysel": "gizli"}).core


def send(core: UserAgent, data: bytes) -> list[UserAgentOutput]:
    core.receive(data, PEER, now=0.0)
    return drain(core)


def wrong_answer(username: str, challenge: str) -> str:
    value = answer_challenge([challenge], Credentials(username, "sehv"), Asked("INVITE", "sip:a"), cnonce="c")
    return f"Authorization: {value}\r\n"


def challenge_of(core: UserAgent, branch: str) -> tuple[str, bytes]:
    (sent,) = send(core, request_bytes(branch=branch, body=OFFER))
    assert isinstance(sent, Transmit)
    response = parse_message(sent.data)
    return response.headers.all("WWW-Authenticate")[0], sent.data


def test_a_challenge_costs_no_state_and_is_not_repeated() -> None:
    core = guarded()

    _, first = challenge_of(core, "z9hG4bKa")
    assert first.startswith(b"SIP/2.0 401 ")
    assert (core.transaction_count, core.timer_at()) == (0, None)
    # The ACK finds nothing, and a retransmission gets a challenge of its own under the same tag.
    assert send(core, request_bytes("ACK", branch="z9hG4bKa", to_tag="x")) == []
    _, again = challenge_of(core, "z9hG4bKa")
    assert parse_message(again).to.tag == parse_message(first).to.tag


def test_an_unknown_user_is_told_what_a_wrong_password_is_told() -> None:
    core = guarded()
    challenge, _ = challenge_of(core, "z9hG4bKa")

    def told(username: str) -> bytes:
        data = request_bytes(branch="z9hG4bKb", cseq=2, body=OFFER, extra=wrong_answer(username, challenge))
        (sent,) = send(core, data)
        assert isinstance(sent, Transmit)
        return re.sub(rb'nonce="[^"]*"', b"nonce", sent.data)

    assert told("aysel") == told("nobody")


def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    core = guarded()
    challenge, _ = challenge_of(core, "z9hG4bKa")
    took: dict[str, list[float]] = {"aysel": [], "nobody": []}
    for _ in range(200):
        for username, times in took.items():
            data = request_bytes(branch="z9hG4bKb", cseq=2, body=OFFER, extra=wrong_answer(username, challenge))
            began = time.thread_time()
            send(core, data)
            times.append(time.thread_time() - began)

    known, unknown = (statistics.median(times) for times in took.values())
    assert 0.5 < known / unknown < 2.0  # hashes are computed for both; one that is skipped would show


def test_a_to_tag_that_is_guessed_wrong_is_told_the_same_as_one_of_a_call_that_is_over() -> None:
    core = Agent("192.0.2.9").core
    (ringing,) = [out for out in send(core, request_bytes(body=OFFER)) if isinstance(out, Transmit)]
    tag = parse_message(ringing.data).to.tag
    send(core, request_bytes("CANCEL"))

    def told(to_tag: str, branch: str) -> bytes:
        (sent,) = send(core, request_bytes("BYE", branch=branch, to_tag=to_tag, cseq=9))
        assert isinstance(sent, Transmit)
        return sent.data.replace(to_tag.encode(), b"TAG").replace(branch.encode(), b"BRANCH")

    assert told(tag, "z9hG4bKx") == told("guessed", "z9hG4bKy")
    assert told(tag, "z9hG4bKz").startswith(b"SIP/2.0 481 ")
