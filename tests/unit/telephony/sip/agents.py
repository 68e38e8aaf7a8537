"""Two user agents joined by hand, through links that may be bad; time is played, never waited for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

from telephony.leg import EndCause
from telephony.media import MediaParameters
from telephony.sip.admission import Admission, admit_all
from telephony.sip.auth import Credentials
from telephony.sip.destination import Destination
from telephony.sip.events import (
    CallEnded,
    CallOffered,
    MediaAgreed,
    UserAgentOutput,
)
from telephony.sip.flow import Flow, Transmit
from telephony.sip.identity import Identity
from telephony.sip.offer_answer import LocalAudio
from telephony.sip.timers import Timings
from telephony.sip.uri import SipUri
from telephony.sip.user_agent import UserAgent, UserAgentConfig
from telephony.sip.user_agent_config import ReferPolicy
from telephony.source_list import SourceList
from tests.fakes.link import BadLink, LinkQuality

E = TypeVar("E")


class Agent:
    """A user agent with an address, all that it said, and what its user does about it."""

    def __init__(
        self,
        host: str,
        *,
        passwords: dict[str, str] | None = None,
        admit: Admission = admit_all,
        salt: int = 0,
        accepts_replaces: bool = False,
        trusted: tuple[str, ...] = (),
        refers: ReferPolicy = "never",
    ) -> None:
        tokens = itertools.count(salt + 1)
        config = UserAgentConfig(
            Identity(host, 5060),
            Timings(),
            realm=host,
            passwords=passwords or {},
            accepts_replaces=accepts_replaces,
            trusted=SourceList(trusted),
            heeds_refer=refers,
        )
        self.host = host
        self.flow = Flow("udp", host, 5060)
        self.audio = LocalAudio(host, 20_000)
        self.core = UserAgent(config, new_token=lambda: f"{next(tokens):08x}{0:024x}", admit=admit)
        self.events: list[UserAgentOutput] = []
        self.sent: list[bytes] = []
        self.react: Callable[[UserAgentOutput, float], None] = lambda event, now: None

    def call(self, other: Agent, *, now: float = 0.0, credentials: Credentials | None = None) -> str:
        destination = Destination(SipUri(other.host, "bot"), other.flow, credentials=credentials)
        return self.core.place_call(destination, self.audio, now=now)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def offered(self) -> str:
        """Handle of the one call that came in."""
        (offered,) = self.of(CallOffered)
        return offered.handle

    def media(self) -> list[MediaParameters]:
        return [event.parameters for event in self.of(MediaAgreed)]

    def causes(self) -> list[EndCause]:
        return [event.cause for event in self.of(CallEnded)]

    def alive(self) -> list[str]:
        """Handles of calls that have not ended for their user."""
        ended = {event.handle for event in self.of(CallEnded)}
        return [handle for handle in self.core._calls._calls if handle not in ended]

    def established(self) -> list[str]:
        """Handles of calls that have media."""
        agreed = {event.handle for event in self.of(MediaAgreed)}
        return [handle for handle in self.alive() if handle in agreed]


class Pair:
    """Two agents and the two links between them."""

    def __init__(self, left: Agent, right: Agent, *, quality: LinkQuality | None = None, seed: int = 0) -> None:
        self.left, self.right = left, right
        self.now = 0.0
        self.lose: Callable[[Agent, bytes], bool] = lambda agent, data: False  # what an agent sends and nobody gets
        chosen = quality or LinkQuality()
        self._links: dict[str, BadLink[bytes]] = {
            left.host: BadLink(chosen, seed=seed),
            right.host: BadLink(chosen, seed=seed + 1),
        }

    def settle(self) -> None:
        """Move everything that moves without time passing."""
        moved = True
        while moved:
            moved = False
            for agent, other in ((self.left, self.right), (self.right, self.left)):
                while (output := agent.core.poll()) is not None:
                    moved = True
                    self._put(agent, output)
                while (data := self._links[agent.host].poll(now=self.now)) is not None:
                    moved = True
                    other.core.receive(data, agent.flow, now=self.now)

    def _put(self, agent: Agent, output: UserAgentOutput) -> None:
        if isinstance(output, Transmit):
            agent.sent.append(output.data)
            if not self.lose(agent, output.data):
                self._links[agent.host].send(output.data, now=self.now)
        else:
            agent.events.append(output)
            agent.react(output, self.now)

    def next_at(self) -> float | None:
        times = [self.left.core.timer_at(), self.right.core.timer_at()]
        times += [link.next_at() for link in self._links.values()]
        return min((at for at in times if at is not None), default=None)

    def play(self, *, until: float) -> None:
        """Let time pass, from timer to timer and from arrival to arrival."""
        self.settle()
        while (at := self.next_at()) is not None and at <= until:
            self.now = max(self.now, at)
            for agent in (self.left, self.right):
                agent.core.handle_timer(now=self.now)
            self.settle()
        self.now = max(self.now, until)

    def is_quiet(self) -> bool:
        """Whether nothing at all is left on either side."""
        agents = (self.left, self.right)
        return self.next_at() is None and not any(a.core.call_count or a.core.transaction_count for a in agents)
