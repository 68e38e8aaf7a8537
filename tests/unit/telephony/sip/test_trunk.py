"""A trunk: registered with, refreshed, failed over, kept alive and left."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from telephony.sip.auth import Credentials
from telephony.sip.flow import Flow
from telephony.sip.identity import Identity
from telephony.sip.message import Request
from telephony.sip.trunk import State, Trunk
from telephony.sip.trunk_events import (
    SendKeepAlive,
    SendRequest,
    ServersWanted,
    TrunkChanged,
    TrunkConfig,
    TrunkOutput,
    TrunkRoute,
)
from tests.unit.telephony.sip.messages import response

A, B = Flow("udp", "192.0.2.1", 5060), Flow("udp", "192.0.2.2", 5060)
TCP = Flow("tcp", "192.0.2.1", 5060)
CONFIG = TrunkConfig("azercell", "pbx.example", Identity("192.0.2.9", 5060, "aysel"), Credentials("aysel", "gizli"))
CHALLENGE = 'WWW-Authenticate: Digest realm="pbx", nonce="{}", algorithm=SHA-256, qop="auth"\r\n'


class Line:
    """A trunk and the registrar that the test plays."""

    def __init__(self, *servers: Flow, **changes: object) -> None:
        tokens = itertools.count(1)
        config = replace(CONFIG, **({"keep_alive_s": 0.0} | changes))  # type: ignore[arg-type]
        self.trunk = Trunk(config, new_token=lambda: f"{next(tokens):08x}{'0' * 24}")
        assert self.trunk.poll() == ServersWanted("azercell")
        self.said: list[TrunkOutput] = []
        self.trunk.servers_found(servers or (A,), now=0.0)

    def drain(self) -> list[TrunkOutput]:
        taken: list[TrunkOutput] = []
        while (output := self.trunk.poll()) is not None:
            taken.append(output)
        return taken

    def asked(self) -> tuple[Request, Flow]:
        """The one request that was sent since the last look."""
        outputs = self.drain()
        self.said += [output for output in outputs if not isinstance(output, SendRequest)]
        (sent,) = [output for output in outputs if isinstance(output, SendRequest)]
        return sent.request, sent.flow

    def answer(self, status: int, extra: str = "", *, now: float = 0.0) -> Request:
        request, _ = self.asked()
        self.respond(request, status, extra, now=now)
        return request

    def respond(self, request: Request, status: int, extra: str = "", *, now: float = 0.0) -> None:
        contact = str(request.headers.first("Contact") or "")
        self.trunk.receive_response(response(request, status, contact=contact, extra=extra), now=now)

    def silence(self, *, now: float = 32.0) -> None:
        request, _ = self.asked()
        self.trunk.request_failed(request.via.branch, now=now)

    def wait(self) -> float:
        at = self.trunk.timer_at()
        assert at is not None
        self.trunk.handle_timer(now=at)
        return at

    def changes(self) -> list[tuple[bool, str]]:
        self.said += self.drain()
        taken = [(output.up, output.detail) for output in self.said if isinstance(output, TrunkChanged)]
        self.said = []
        return taken


def test_a_trunk_is_registered_with_and_refreshed_before_it_expires() -> None:
    line = Line()
    line.answer(100)
    assert line.trunk.route is None
    line = Line()
    first = line.answer(200, "Expires: 100\r\nService-Route: <sip:edge.example;lr>\r\n")

    assert line.changes() == [(True, "")]
    assert line.trunk.route == TrunkRoute(A, "pbx.example", "aysel", ("<sip:edge.example;lr>",))
    assert 70.0 <= line.wait() <= 90.0
    assert (line.trunk.state, line.trunk.route is None) == (State.REFRESHING, False)
    again = line.answer(200, now=80.0)
    assert (again.call_id, again.cseq.number) == (first.call_id, first.cseq.number + 1)
    assert (line.trunk.state, line.changes()) == (State.UP, [])


def test_calls_have_the_other_servers_to_fall_back_on_unless_the_registrar_names_a_way_of_its_own() -> None:
    line = Line(A, B)
    line.answer(503)
    line.answer(200)
    assert line.trunk.route == TrunkRoute(B, "pbx.example", "aysel", others=(A,))

    own = Line(A, B)
    own.answer(200, "Service-Route: <sip:edge.example;lr>\r\n")
    assert own.trunk.route == TrunkRoute(A, "pbx.example", "aysel", ("<sip:edge.example;lr>",))


def test_a_challenge_is_answered_and_a_stale_one_again() -> None:
    line = Line()
    line.answer(401, CHALLENGE.format("one"))
    line.answer(401, CHALLENGE.format("two"))
    last = line.answer(200)

    assert 'nonce="two"' in (last.headers.first("Authorization") or "")
    assert line.trunk.state is State.UP


@pytest.mark.parametrize("credentials", [None, Credentials("aysel", "wrong")])
def test_a_registrar_that_does_not_let_us_in_is_let_be_for_long(credentials: Credentials | None) -> None:
    line = Line(A, B, credentials=credentials)
    for _ in range(3 if credentials else 1):
        line.answer(401, CHALLENGE.format("n"))

    assert line.trunk.state is State.WAITING
    assert line.changes() == [(False, "REGISTER was answered 401")]
    assert (line.trunk.timer_at() or 0.0) >= 900.0


def test_a_challenge_that_is_beyond_us_is_a_refusal() -> None:
    line = Line()
    line.answer(401, "WWW-Authenticate: Basic realm=x\r\n")

    assert line.trunk.state is State.WAITING


def test_a_registrar_that_wants_longer_registrations_gets_them() -> None:
    line = Line()
    line.answer(423, "Min-Expires: 1800\r\n")
    longer, _ = line.asked()

    assert longer.headers.first("Expires") == "1800"
    line.respond(longer, 423)
    line.answer(423, "Min-Expires: 4000000000\r\n")
    assert line.trunk.state is State.WAITING  # three in a row are enough


def test_a_server_that_is_silent_or_broken_makes_room_for_the_next() -> None:
    line = Line(A, B)
    line.silence()
    request, flow = line.asked()
    assert (flow, line.trunk.state) == (B, State.TRYING)
    line.respond(request, 200)
    assert line.changes() == [(False, "it does not answer"), (True, "")]


def test_when_every_server_fails_we_wait_longer_each_time_and_ask_for_their_addresses_anew() -> None:
    line = Line(A, B)
    waits: list[float] = []
    now = 0.0
    for _ in range(3):
        line.answer(500, now=now)
        line.answer(503, "Retry-After: 18 (busy);duration=9\r\n", now=now)
        assert line.trunk.state is State.WAITING
        waits.append((line.trunk.timer_at() or 0.0) - now)
        now = line.wait()
        assert line.trunk.state is State.RESOLVING
        assert ServersWanted("azercell") in line.drain()
        line.trunk.servers_found((A, B), now=now)

    assert 18.0 <= waits[0] <= 30.0
    assert 30.0 <= waits[1] <= 60.0
    assert 60.0 <= waits[2] <= 120.0


def test_a_retry_after_is_heeded_and_not_believed_beyond_reason() -> None:
    line = Line()
    line.answer(503, "Retry-After: 100000\r\n")
    assert line.trunk.timer_at() == 1800.0
    line = Line()
    line.answer(503, "Retry-After: soon\r\n")
    assert (line.trunk.timer_at() or 0.0) <= 30.0


def test_names_that_lead_nowhere_are_tried_again_later() -> None:
    line = Line()
    line.answer(500)
    now = line.wait()
    line.drain()
    line.trunk.servers_found((), now=now)

    assert (line.trunk.state, line.trunk.route) == (State.WAITING, None)
    line.trunk.servers_found((A,), now=now)  # too late
    assert line.trunk.state is State.WAITING


def test_a_refresh_that_fails_goes_to_the_next_server() -> None:
    line = Line(A, B)
    line.answer(200)
    line.wait()
    line.silence(now=300.0)

    assert line.asked()[1] == B
    assert line.changes() == [(True, ""), (False, "it does not answer")]


def test_a_refresh_that_is_refused_ends_in_waiting() -> None:
    line = Line(A, B)
    line.answer(200)
    line.wait()
    line.answer(403, now=300.0)

    assert line.trunk.state is State.WAITING


def test_an_answer_that_makes_no_sense_is_a_failure() -> None:
    line = Line(A, B)
    line.answer(200, "Expires: soon\r\n")

    assert line.asked()[1] == B


def test_a_broken_connection_is_registered_over_anew() -> None:
    line = Line(TCP)
    line.answer(200)
    line.trunk.flow_lost(A, now=5.0)
    assert line.drain() == [TrunkChanged("azercell", up=True)]
    line.trunk.flow_lost(TCP, now=5.0)

    assert line.asked()[1] == TCP
    assert line.changes() == [(False, "its connection broke")]


def test_a_server_that_once_answered_keep_alives_must_go_on_to() -> None:
    line = Line(TCP, keep_alive_s=25.0)
    line.answer(200)
    assert line.wait() == 25.0
    assert SendKeepAlive(TCP) in line.drain()
    assert line.trunk.timer_at() == 50.0  # nothing is concluded from a server that never did
    line.trunk.ponged(A)
    line.trunk.ponged(replace(TCP, connection=4))
    assert line.wait() == 50.0
    line.trunk.ponged(TCP)
    assert line.wait() == 75.0
    assert line.wait() == 85.0

    assert "it does not answer keep-alives" in [detail for _, detail in line.changes()]
    assert line.trunk.state is State.TRYING


def test_a_trunk_without_registration_is_up_at_once() -> None:
    line = Line(registers=False)

    assert line.changes() == [(True, "")]
    line.trunk.leave()
    assert (line.trunk.state, line.drain()) == (State.CLOSED, [])


def test_a_trunk_that_is_probed_is_up_once_it_answers_anything() -> None:
    line = Line(A, B, registers=False, options_s=30.0)
    assert line.answer(503).method == "OPTIONS"
    line.answer(404)
    assert line.changes() == [(False, "OPTIONS was answered 503"), (True, "")]
    assert line.wait() == 30.0
    line.answer(405, now=30.0)
    assert line.wait() == 60.0
    line.answer(408, now=60.0)
    line.silence(now=92.0)

    assert line.changes() == [(False, "OPTIONS was answered 408")]


def test_a_probe_that_nobody_answers_brings_the_trunk_down() -> None:
    line = Line(A, options_s=30.0)
    line.answer(200)
    line.wait()
    line.silence(now=62.0)

    assert line.changes() == [(True, ""), (False, "OPTIONS was not answered")]


def test_answers_to_nothing_that_was_asked_are_dropped() -> None:
    line = Line()
    request, _ = line.asked()
    line.respond(request, 200)
    line.respond(request, 500)
    line.trunk.request_failed("z9hG4bKother", now=1.0)

    assert line.trunk.state is State.UP


def test_leaving_takes_the_binding_back_with_credentials_where_they_are_asked_for() -> None:
    line = Line()
    line.answer(200)
    line.trunk.leave()
    line.answer(401, CHALLENGE.format("bye"))
    last, _ = line.asked()

    assert (last.headers.first("Expires"), line.trunk.state) == ("0", State.LEAVING)
    line.trunk.leave()
    line.respond(last, 200)
    assert (line.trunk.state, line.trunk.timer_at()) == (State.CLOSED, None)


def test_leaving_does_not_wait_for_a_registrar_that_is_gone() -> None:
    line = Line()
    line.answer(200)
    line.trunk.leave()
    line.silence(now=33.0)

    assert line.trunk.state is State.CLOSED


def test_a_trunk_that_waits_is_left_at_once() -> None:
    line = Line()
    line.answer(500)
    line.drain()
    line.trunk.leave()

    assert (line.trunk.state, line.drain()) == (State.CLOSED, [])
