"""What the user agent makes of one datagram out of a collection of torture messages."""

from __future__ import annotations

import itertools
from pathlib import Path

from telephony.sip.events import CallOffered, MessageRefused
from telephony.sip.flow import Transmit
from telephony.sip.identity import Identity
from telephony.sip.sdp import AddressType
from telephony.sip.user_agent import UserAgent, UserAgentConfig
from tests.unit.telephony.sip.messages import PEER

DATA = Path(__file__).parents[3] / "data"


def reaction(data: bytes, *, address_type: AddressType = "IP4") -> tuple[int | None, bytes]:
    """Status of the one answer and the answer itself; None and nothing where the agent keeps silent."""
    tokens = itertools.count(1)
    agent = UserAgent(
        UserAgentConfig(Identity("192.0.2.9", 5060), address_type=address_type),
        new_token=lambda: f"{next(tokens):08x}{0:024x}",
    )
    agent.receive(data, PEER, now=0.0)
    sent: list[bytes] = []
    while (output := agent.poll()) is not None:
        assert isinstance(output, Transmit | MessageRefused | CallOffered)
        if isinstance(output, Transmit):
            sent.append(output.data)
    assert len(sent) <= 1
    return (int(sent[0].split(b" ", 2)[1]), sent[0]) if sent else (None, b"")
