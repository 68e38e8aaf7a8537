"""Servers that failed: which are let be, and which are asked last."""

from __future__ import annotations

from telephony.sip.flow import Flow
from telephony.sip.server_holds import MAX_HOLD_S, SUSPECT_S, ServerHolds

A, B, C = (Flow("udp", f"192.0.2.{n}", 5060) for n in (1, 2, 3))


def test_servers_that_have_done_nothing_keep_their_order() -> None:
    assert ServerHolds().order((B, A, C), now=0.0) == (B, A, C)


def test_a_server_that_was_silent_is_asked_last_for_a_while() -> None:
    holds = ServerHolds()
    holds.failed(A, retry_after_s=0.0, now=0.0)

    assert holds.order((A, B), now=SUSPECT_S - 1) == (B, A)
    assert holds.order((A, B), now=SUSPECT_S) == (A, B)


def test_a_server_that_names_a_time_is_left_alone_until_then() -> None:
    holds = ServerHolds()
    holds.failed(A, retry_after_s=120.0, now=0.0)
    holds.failed(A, retry_after_s=0.0, now=1.0)

    assert holds.order((A, B), now=119.0) == (B,)
    assert holds.order((A, B), now=120.0) == (A, B)


def test_where_all_are_to_be_left_alone_it_is_known_for_how_long() -> None:
    holds = ServerHolds()
    holds.failed(A, retry_after_s=120.0, now=0.0)
    holds.failed(B, retry_after_s=60.0, now=0.0)

    assert holds.order((A, B), now=10.0) == ()
    assert holds.free_in_s((A, B), now=10.0) == 50.0
    assert (holds.free_in_s((A, C), now=10.0), holds.free_in_s((), now=10.0)) == (0.0, 0.0)


def test_a_server_is_the_same_over_any_connection_and_no_time_is_believed_beyond_an_hour() -> None:
    holds = ServerHolds()
    holds.failed(Flow("tcp", "192.0.2.1", 5060, 7, "pbx"), retry_after_s=1e9, now=0.0)

    assert holds.order((Flow("tcp", "192.0.2.1", 5060), A), now=MAX_HOLD_S - 1) == (A,)
    assert len(holds.order((Flow("tcp", "192.0.2.1", 5060), A), now=MAX_HOLD_S)) == 2


def test_only_so_many_servers_are_remembered() -> None:
    holds = ServerHolds()
    for port in range(1, 1_102):
        holds.failed(Flow("udp", "192.0.2.1", port), retry_after_s=60.0, now=0.0)

    assert holds.order((Flow("udp", "192.0.2.1", 1), Flow("udp", "192.0.2.1", 1_101)), now=0.0) == (
        Flow("udp", "192.0.2.1", 1),
    )
