"""State machines: the mechanism, and what holds for every table of SIP."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path

import pytest

from telephony.sip import (
    inbound_call,
    invite_client,
    invite_server,
    non_invite_client,
    non_invite_server,
    outbound_states,
    referral,
    session_states,
    transfer,
    trunk,
)
from telephony.sip.state_table import StateMachine

TABLES = {
    "invite_server": (invite_server.TABLE, "PROCEEDING", "TERMINATED"),
    "invite_client": (invite_client.TABLE, "CALLING", "TERMINATED"),
    "non_invite_server": (non_invite_server.TABLE, "TRYING", "TERMINATED"),
    "non_invite_client": (non_invite_client.TABLE, "TRYING", "TERMINATED"),
    "inbound_call": (inbound_call.TABLE, "RINGING", "ENDED"),
    "outbound_states": (outbound_states.TABLE, "CALLING", "ENDED"),
    "trunk": (trunk.TABLE, "RESOLVING", "CLOSED"),
    "referral": (referral.TABLE, "ASKED", "ENDED"),
    "transfer": (transfer.TABLE, "REFERRING", "ENDED"),
    "session_states": (session_states.TABLE, "CONFIRMED", "CLOSED"),
}


class Light(Enum):
    RED = auto()
    GREEN = auto()


class Push(Enum):
    GO = auto()
    STOP = auto()


def test_a_machine_moves_by_its_table_only() -> None:
    machine = StateMachine({(Light.RED, Push.GO): Light.GREEN}, Light.RED)

    assert not machine.step(Push.STOP)
    assert machine.state is Light.RED
    assert machine.step(Push.GO)
    assert machine.state is Light.GREEN
    with pytest.raises(AttributeError):
        machine.state = Light.RED  # type: ignore[misc] - that is the point


@pytest.mark.parametrize("name", TABLES)
def test_every_state_is_reached_and_every_state_reaches_the_end(name: str) -> None:
    table, start, end = TABLES[name]
    steps: Mapping[tuple[Enum, Enum], Enum] = dict(table)
    edges = {(before.name, after.name) for (before, _), after in steps.items()}
    states = {state.name for state in type(next(iter(steps.values())))}

    assert closure({start}, edges) == states
    assert all(end in closure({state}, edges) for state in states)
    assert not [edge for edge in edges if edge[0] == end]


def closure(reached: set[str], edges: set[tuple[str, str]]) -> set[str]:
    while more := {after for before, after in edges if before in reached} - reached:
        reached = reached | more
    return reached


@pytest.mark.parametrize("name", TABLES)
def test_the_documentation_shows_the_table_as_it_is(name: str) -> None:
    table, _, _ = TABLES[name]
    page = (Path(__file__).parents[4] / "docs" / "sip.md").read_text("utf-8")
    section = page.split(f"`{name}.py`", 1)[1].split("\n###", 1)[0]
    rows = {tuple(cell.strip() for cell in line.strip("| ").split("|")) for line in section.splitlines() if "→" in line}

    assert rows == {(f"{before.name} → {after.name}", cause.name) for (before, cause), after in table.items()}
