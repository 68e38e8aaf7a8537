"""What somebody sends who means harm and knows SIP: docs/bad-input.md lists it with the rest."""

from __future__ import annotations

import contextlib
import gc
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import SipParseError
from telephony.sip.auth import Asked, Credentials, answer_challenge
from telephony.sip.events import CallEnded, CallForgotten, CallOffered, UserAgentOutput
from telephony.sip.flow import Flow, Transmit
from telephony.sip.message import parse_message
from telephony.sip.offer_answer import LocalAudio
from telephony.sip.stream import Framed, StreamFramer
from telephony.sip.user_agent import UserAgent
from tests.unit.telephony.sip.agents import Agent
from tests.unit.telephony.sip.machines import drain
from tests.unit.telephony.sip.messages import OFFER, PEER, request_bytes

US = LocalAudio("192.0.2.9", 20_000)
THIEF = Flow("udp", "192.0.2.66", 5060)
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
LONGEST_S = 0.1


def send(core: UserAgent, data: bytes, flow: Flow = PEER, *, now: float = 0.0) -> list[UserAgentOutput]:
    core.receive(data, flow, now=now)
    return drain(core)


def answers(outputs: list[UserAgentOutput]) -> list[tuple[int, Flow]]:
    sent = [output for output in outputs if isinstance(output, Transmit) and output.data.startswith(b"SIP/2.0 ")]
    return [(int(output.data.split(b" ")[1]), output.flow) for output in sent]


# Transactions and dialogs of others


@pytest.mark.parametrize("swapped", [{"call_id": "another"}, {"from_tag": "another"}])
def test_a_cancel_with_a_guessed_branch_ends_no_call_that_it_cannot_name(swapped: dict[str, str]) -> None:
    core = Agent("192.0.2.9").core
    send(core, request_bytes(body=OFFER))

    outputs = send(core, request_bytes("CANCEL", **swapped), THIEF)  # type: ignore[arg-type] - strings all

    assert answers(outputs) == [(481, THIEF)]
    assert core.call_count == 1


def test_an_invite_under_the_branch_of_another_begins_nothing_and_tells_its_sender_nothing() -> None:
    core = Agent("192.0.2.9").core
    send(core, request_bytes(body=OFFER))

    outputs = send(core, request_bytes(call_id="mine", from_tag="thief", body=OFFER), THIEF)

    assert answers(outputs) == [(180, PEER)]  # taken for a repetition
    assert not any(isinstance(output, CallOffered) for output in outputs)


def test_a_call_is_not_hung_up_by_who_knows_all_of_it_but_our_tag() -> None:
    core = Agent("192.0.2.9").core
    (offered,) = [each for each in send(core, request_bytes(body=OFFER)) if isinstance(each, CallOffered)]
    core.answer(offered.handle, US, now=0.0)
    drain(core)

    for number, tag in enumerate(("", "caller", "0" * 16, "00000001")):
        outputs = send(core, request_bytes("BYE", branch=f"z9hG4bKx{number}", cseq=9, to_tag=tag), THIEF)
        assert [status for status, _ in answers(outputs)] == [481]
    assert core.call_count == 1


def test_a_number_at_the_end_of_all_numbers_takes_nothing_from_the_next_call() -> None:
    core = Agent("192.0.2.9").core
    send(core, request_bytes(cseq=2**31 - 1, body=OFFER))
    refused = send(core, request_bytes(branch="z9hG4bKtwo", call_id="two", cseq=2**31, body=OFFER))
    outputs = send(core, request_bytes(branch="z9hG4bKthree", call_id="three", cseq=0, body=OFFER))

    assert [status for status, _ in answers(refused)] == [400]
    assert [status for status, _ in answers(outputs)] == [180]


# Contacts


@pytest.mark.parametrize(
    "contact", ["<sip:a@[2001:db8::1]:5060>", "<sip:a@[::ffff:192.0.2.7]>", "<sip:a@host.invalid>"]
)
def test_a_contact_that_our_sockets_cannot_reach_leads_back_to_where_the_call_came_from(contact: str) -> None:
    core = Agent("192.0.2.9").core
    outputs = send(core, request_bytes(body=OFFER, contact=contact))
    (offered,) = [each for each in outputs if isinstance(each, CallOffered)]
    core.answer(offered.handle, US, now=0.0)
    (ok,) = [output for output in drain(core) if isinstance(output, Transmit)]
    tag = parse_message(ok.data).to.tag
    send(core, request_bytes("ACK", branch="z9hG4bKack", to_tag=tag))
    core.hang_up(offered.handle, now=1.0)

    (bye,) = [output for output in drain(core) if isinstance(output, Transmit)]
    assert (bye.data[:4], bye.flow) == (b"BYE ", PEER)


# Passwords


def test_credentials_that_were_overheard_open_nothing_again() -> None:
    core = Agent("192.0.2.9", passwords={"aysel": "gizli"}).core
    (challenged,) = [each for each in send(core, request_bytes(body=OFFER)) if isinstance(each, Transmit)]
    challenges = parse_message(challenged.data).headers.all("WWW-Authenticate")
    answer = answer_challenge(
        challenges, Credentials("aysel", "gizli"), Asked("INVITE", "sip:bot@192.0.2.9", OFFER), cnonce="c0ffee"
    )
    heard = {"extra": f"Authorization: {answer}\r\n", "body": OFFER}
    assert [status for status, _ in answers(send(core, request_bytes(branch="z9hG4bK2", cseq=2, **heard)))] == [180]  # type: ignore[arg-type]

    later = {"extra": str(heard["extra"]).replace("nc=00000001", "nc=00000002"), "body": OFFER}
    for number, again in enumerate((heard, heard, later)):
        data = request_bytes(branch=f"z9hG4bKr{number}", call_id=f"r{number}", **again)  # type: ignore[arg-type]
        outputs = send(core, data, THIEF, now=(1.0, 1_000.0, 2.0)[number])
        assert answers(outputs) == [(401, THIEF)]
        (told,) = [output.data for output in outputs if isinstance(output, Transmit)]
        assert (b"stale=true" in told) is (again is heard)
    assert core.call_count == 1


# Lengths


LENGTHS = st.lists(
    st.sampled_from(
        [
            *("Content-Length: 0", "l: 0", "l:5", "Content-Length: 5", "CONTENT-LENGTH:  5 ", "Content-Length : 5"),
            *("Content-Length: +5", "Content-Length: 5 0", "Content-Length: 0x5", "Content-Length: 00005", "l: 5, 0"),
            *("Content-Length:\r\n 5", "Content-Length: 5\r\n 0", "Subject: a\r\n Content-Length: 0", "X: a\nl: 0"),
            *(
                "Content-Length: ٥",
                "Content-Length: 99999999999",
                "Content-Length:",
                "X-Content-Length: 0",
                "X: a\rl: 0",
            ),
        ]
    ),
    max_size=3,
)


@given(LENGTHS)
def test_stream_and_message_never_differ_on_where_a_message_ends(lines: list[str]) -> None:
    """Else a second message could be smuggled past whoever looked at the first."""
    head = request_bytes("OPTIONS").replace(
        b"Content-Length: 0\r\n\r\n", "".join(f"{line}\r\n" for line in lines).encode()
    )
    framer = StreamFramer()
    framer.feed(head + b"\r\n" + b"BYE s" + b"x" * 20)
    while (output := framer.poll()) is not None:
        if isinstance(output, Framed):
            with contextlib.suppress(SipParseError):
                message = parse_message(output.data)
                assert output.data.endswith(b"\r\n\r\n" + message.body)


# Bombs


def sdp(lines: str) -> bytes:
    return request_bytes(body=(HEAD + lines).encode())


SAVP = "m=audio 4000 RTP/SAVP 8\r\n"
CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(sdp("m=audio 4000 RTP/AVP 8\r\n" * 1_000), 400, id="a thousand streams"),
        pytest.param(sdp("".join(f"a=x{n}:y\r\n" for n in range(900)) + SAVP * 32), 488, id="streams times attributes"),
        pytest.param(sdp((SAVP + f"{CRYPTO}{'A' * 60}\r\n" * 30) * 17), 488, id="keys"),
        pytest.param(sdp("m=audio 4000 RTP/AVP " + "99 " * 15_000 + "8\r\n"), 180, id="payload types"),
        pytest.param(
            sdp("m=audio 4000 RTP/AVP " + "99 " * 9_000 + "8\r\n" + "a=rtpmap:99 PCMA/8000\r\n" * 900), 180, id="maps"
        ),
        pytest.param(
            request_bytes(extra="Content-Type: multipart/mixed;boundary=a\r\n", body=b"--a\r\n" * 12_000),
            400,
            id="parts",
        ),
        pytest.param(
            request_bytes(extra="Via: " + ", ".join(["SIP/2.0/UDP a;branch=z9hG4bKa"] * 450) + "\r\n", body=OFFER),
            180,
            id="Via",
        ),
        pytest.param(
            request_bytes(extra="Record-Route: " + ",".join(["<sip:a;lr>"] * 1_300) + "\r\n", body=OFFER),
            180,
            id="routes",
        ),
        pytest.param(request_bytes(extra="Record-Route: " + "," * 15_000 + "\r\n", body=OFFER), 180, id="commas"),
        pytest.param(request_bytes(contact="<sip:a@192.0.2.1>" + ";a" * 7_000, body=OFFER), 180, id="parameters"),
        pytest.param(
            request_bytes(contact='"' + "\\\\" * 7_000 + '" <sip:a@192.0.2.1>', body=OFFER), 180, id="escapes"
        ),
        pytest.param(request_bytes(contact="<" * 15_000, body=OFFER), 400, id="brackets"),
        pytest.param(
            request_bytes(extra="Require: " + ",".join(f"x{n}" for n in range(2_400)) + "\r\n", body=OFFER),
            420,
            id="tags",
        ),
    ],
)
def test_a_bomb_is_answered_in_no_time_and_no_more_than_three_times_its_size(data: bytes, status: int) -> None:
    core = Agent("192.0.2.9").core
    gc.collect()
    began = time.thread_time()
    outputs = send(core, data)
    for offered in outputs:
        if isinstance(offered, CallOffered):
            core.answer(offered.handle, US, now=0.0)
            core.hang_up(offered.handle, now=0.0)
    used = time.thread_time() - began

    assert [got for got, _ in answers(outputs)] == [status]
    assert sum(len(output.data) for output in outputs if isinstance(output, Transmit)) <= 3 * len(data)
    assert used < LONGEST_S


def test_a_flood_of_re_invites_that_are_never_acknowledged_ends_with_the_call() -> None:
    core = Agent("192.0.2.9").core
    (offered,) = [each for each in send(core, request_bytes(body=OFFER)) if isinstance(each, CallOffered)]
    core.answer(offered.handle, US, now=0.0)
    (ok,) = [output for output in drain(core) if isinstance(output, Transmit)]
    tag = parse_message(ok.data).to.tag
    send(core, request_bytes("ACK", branch="z9hG4bKack", to_tag=tag))
    for number in range(2, 500):
        send(core, request_bytes(branch=f"z9hG4bK{number}", cseq=number, to_tag=tag, body=OFFER), now=0.01 * number)
    ended: list[UserAgentOutput] = []
    while (at := core.timer_at()) is not None:
        core.handle_timer(now=at)
        ended += drain(core)

    assert [type(each) for each in ended if isinstance(each, CallEnded | CallForgotten)] == [CallEnded, CallForgotten]
    assert (core.call_count, core.transaction_count) == (0, 0)


def test_a_thief_of_another_host_gets_nothing_by_a_replaces_header() -> None:
    core = Agent("192.0.2.9").core
    send(core, request_bytes(body=OFFER))
    stolen = request_bytes(
        branch="z9hG4bKt", call_id="t", from_tag="t", extra="Replaces: call-1;from-tag=caller;to-tag=x\r\n", body=OFFER
    )

    outputs = send(core, stolen, replace(THIEF, port=5070))

    assert sum(isinstance(each, CallOffered) for each in outputs) == 1  # a call like any other
    assert core.call_count == 2
