"""What every call is given."""

from __future__ import annotations

from telephony.sip.message import Response
from tests.unit.telephony.sip.call_bench import HANDLE, Bench
from tests.unit.telephony.sip.messages import PEER, PEER_TCP, request, response


def test_every_transaction_has_a_branch_of_its_own() -> None:
    context = Bench().context

    first, second = context.via(PEER), context.via(PEER)

    assert first.branch.startswith("z9hG4bK")
    assert first.branch != second.branch


def test_a_request_is_sent_and_its_response_comes_back_to_the_call() -> None:
    bench = Bench()
    key = bench.context.send(request("OPTIONS"), PEER, now=0.0)

    received = bench.answered(response(request("OPTIONS"), 200))

    assert (received.owner, received.key) == (HANDLE, key)


def test_an_answer_carries_our_name() -> None:
    bench = Bench()
    key, asked = bench.incoming(request("OPTIONS"))

    bench.context.respond(key, asked, 200, now=0.0, to_tag="ours", extra=(("X-A", "b"),))

    answer = bench.take_response()
    assert isinstance(answer, Response)
    assert (answer.to.tag, answer.headers.first("Server"), answer.headers.first("X-A")) == ("ours", "Zeng", "b")


def test_a_dialog_is_begun_with_a_contact_on_its_transport() -> None:
    context = Bench().context

    assert dict(context.dialog_headers(PEER_TCP))["Contact"] == "<sip:bot@192.0.2.9:5060;transport=tcp>"
    assert "INVITE" in dict(context.dialog_headers(PEER))["Allow"]
    assert dict(context.dialog_headers(PEER))["Supported"] == "100rel, timer"


def test_a_body_is_described_where_there_is_one() -> None:
    context = Bench().context

    assert context.describe(b"v=0") == (("Content-Type", "application/sdp"),)
    assert context.describe(b"") == ()


def test_we_call_as_ourselves_or_as_somebody() -> None:
    context = Bench().context

    assert str(context.from_address("", "t")) == "<sip:bot@192.0.2.9:5060>;tag=t"
    assert str(context.from_address("+994121234567", "t")) == "<sip:+994121234567@192.0.2.9:5060>;tag=t"


def test_back_off_is_a_share_of_its_longest() -> None:
    context = Bench().context

    assert all(0.0 <= context.fraction() <= 1.0 for _ in range(10))
