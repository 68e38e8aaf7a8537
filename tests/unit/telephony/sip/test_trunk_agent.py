"""Every trunk of an edge over one transaction layer."""

from __future__ import annotations

import itertools

import pytest

from telephony.sip.flow import Flow, Transmit
from telephony.sip.identity import Identity
from telephony.sip.message import Request, parse_message
from telephony.sip.trunk_agent import KEEP_ALIVE, TrunkAgent, TrunkAgentOutput
from telephony.sip.trunk_events import ServersWanted, TrunkChanged, TrunkConfig
from tests.unit.telephony.sip.messages import request_bytes, response_bytes

UDP, TCP = Flow("udp", "192.0.2.1", 5060), Flow("tcp", "192.0.2.2", 5060)
US = Identity("192.0.2.9", 5060, "aysel")


def agent(*, registers: bool = True) -> TrunkAgent:
    tokens = itertools.count(1)
    configs = [TrunkConfig(name, f"{name}.example", US, registers=registers) for name in ("one", "two")]
    return TrunkAgent(configs, new_token=lambda: f"{next(tokens):08x}{'0' * 24}")


def drain(core: TrunkAgent) -> list[TrunkAgentOutput]:
    outputs: list[TrunkAgentOutput] = []
    while (output := core.poll()) is not None:
        outputs.append(output)
    return outputs


def sent(outputs: list[TrunkAgentOutput]) -> list[Request]:
    messages = [parse_message(output.data) for output in outputs if isinstance(output, Transmit)]
    return [message for message in messages if isinstance(message, Request)]


def test_each_trunk_registers_and_knows_its_own_answers() -> None:
    core = agent()
    assert drain(core) == [ServersWanted("one"), ServersWanted("two")]
    core.servers_found("one", (UDP,), now=0.0)
    core.servers_found("two", (TCP,), now=0.0)
    first, second = sent(drain(core))

    assert core.owns(first.call_id)
    assert not core.owns("somebody's")
    core.receive(response_bytes(second, 200, extra="Expires: 100\r\n"), TCP, now=1.0)
    assert drain(core) == [TrunkChanged("two", up=True)]
    assert (core.route("one"), core.route("two") is None) == (None, False)
    with pytest.raises(KeyError):
        core.route("three")


def test_a_registrar_that_is_silent_is_asked_again_by_the_transaction_and_then_given_up() -> None:
    core = agent()
    drain(core)
    core.servers_found("one", (UDP,), now=0.0)
    tries = len(sent(drain(core)))
    while (at := core.timer_at()) is not None and at <= 32.0:
        core.handle_timer(now=at)
        outputs = drain(core)
        tries += len(sent(outputs))
        if TrunkChanged("one", False, "it does not answer") in outputs:
            break

    assert (at, tries) == (32.0, 11)


def test_a_connection_that_cannot_be_opened_is_a_failure_and_one_that_breaks_is_opened_anew() -> None:
    core = agent()
    drain(core)
    core.servers_found("one", (TCP, UDP), now=0.0)
    drain(core)
    core.flow_lost(TCP, now=1.0)

    assert TrunkChanged("one", False, "it does not answer") in (outputs := drain(core))
    assert len(sent(outputs)) == 1
    core.servers_found("two", (TCP,), now=1.0)
    (asked,) = sent(drain(core))
    core.receive(response_bytes(asked, 200), TCP, now=1.0)
    core.flow_lost(TCP, now=2.0)
    assert TrunkChanged("two", False, "its connection broke") in drain(core)


def test_keep_alives_are_sent_and_their_answers_reach_the_trunks() -> None:
    core = agent(registers=False)
    drain(core)
    core.servers_found("one", (TCP,), now=0.0)
    drain(core)
    core.receive(b"\r\n", TCP, now=1.0)
    core.handle_timer(now=25.0)

    assert drain(core) == [Transmit(KEEP_ALIVE, TCP)]
    assert core.timer_at() == 35.0


def test_what_makes_no_sense_is_dropped() -> None:
    core = agent()
    drain(core)
    core.receive(b"SIP/2.0 nonsense\r\n\r\n", UDP, now=0.0)
    core.receive(request_bytes("NOTIFY"), UDP, now=0.0)

    assert drain(core) == []


def test_an_agent_is_closed_once_every_trunk_has_been_left() -> None:
    core = agent()
    drain(core)
    core.servers_found("one", (UDP,), now=0.0)
    drain(core)
    core.leave(now=1.0)
    (leave,) = sent(drain(core))

    assert not core.closed
    core.receive(response_bytes(leave, 200), UDP, now=1.0)
    assert core.closed
