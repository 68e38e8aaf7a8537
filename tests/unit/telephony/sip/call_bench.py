"""A call on a bench: its context over a real transaction layer, with everything it sends and says collected."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TypeVar

from telephony.sip.call_context import CallContext
from telephony.sip.call_limits import DEFAULT_LIMITS, CallLimits
from telephony.sip.events import CallConfirmed, CallEvent, CallOffered
from telephony.sip.flow import Flow, Transmit
from telephony.sip.identity import Identity
from telephony.sip.message import Message, Request, Response, parse_message
from telephony.sip.offer_answer import LocalAudio
from telephony.sip.timers import Timings
from telephony.sip.transactions import (
    AckReceived,
    ClientKey,
    LayerOutput,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    ServerKey,
    TransactionLayer,
)
from tests.unit.telephony.sip.messages import PEER

HANDLE = "call"
LOCAL = LocalAudio("192.0.2.9", 20_000)
E = TypeVar("E")


@dataclass
class Bench:
    """Plays the network and the user of one call."""

    layer: TransactionLayer = field(default_factory=lambda: TransactionLayer(timings=Timings()))
    events: list[CallOffered | CallEvent] = field(default_factory=list[CallOffered | CallEvent])
    sent: list[tuple[Message, Flow]] = field(default_factory=list[tuple[Message, Flow]])
    failures: list[RequestFailed] = field(default_factory=list[RequestFailed])

    limits: CallLimits = DEFAULT_LIMITS
    refers: bool = False  # whether REFER is heeded, from anybody

    def __post_init__(self) -> None:
        tokens = itertools.count(1)
        self.context = CallContext(
            HANDLE,
            Identity("192.0.2.9", 5060, "bot"),
            Timings(),
            self.layer,
            lambda: f"{next(tokens):08x}{'0' * 24}",
            self.events.append,
            self.limits,
            heeds_refer=(lambda _: True) if self.refers else None,
        )

    def pump(self) -> list[LayerOutput]:
        """Move what was sent to `sent`; what the layer received comes back."""
        received: list[LayerOutput] = []
        while (output := self.layer.poll()) is not None:
            match output:
                case Transmit(data, flow):
                    self.sent.append((parse_message(data), flow))
                case RequestFailed():
                    self.failures.append(output)
                case _:
                    received.append(output)
        return received

    def incoming(self, request: Request, flow: Flow = PEER, *, now: float = 0.0) -> tuple[ServerKey, Request]:
        """Let a request come in through the transaction layer."""
        self.layer.receive(request, flow, now=now)
        (received,) = self.pump()
        assert isinstance(received, RequestReceived | AckReceived)
        key = received.key if isinstance(received, RequestReceived) else ServerKey("", "", "ACK")
        return key, received.request

    def answered(self, response: Response, flow: Flow = PEER, *, now: float = 0.0) -> ResponseReceived:
        """Let a response come in through the transaction layer."""
        self.layer.receive(response, flow, now=now)
        (received,) = self.pump()
        assert isinstance(received, ResponseReceived)
        return received

    def take_sent(self) -> list[Message]:
        """Take what was sent since the last look."""
        self.pump()
        taken, self.sent = [message for message, _ in self.sent], []
        return taken

    def take_request(self) -> tuple[ClientKey, Request]:
        """Take the one request that was sent."""
        (message,) = self.take_sent()
        assert isinstance(message, Request)
        return ClientKey(message.via.branch, message.method), message

    def take_response(self) -> Response:
        """Take the one response that was sent."""
        (message,) = self.take_sent()
        assert isinstance(message, Response)
        return message

    def take_statuses(self) -> list[int]:
        """Take the statuses of all responses that were sent."""
        return [message.status for message in self.take_sent() if isinstance(message, Response)]

    def take_events(self) -> list[CallOffered | CallEvent]:
        """Take what was said to the user since the last look, but for ACKs, which every call has."""
        taken, self.events[:] = [event for event in self.events if not isinstance(event, CallConfirmed)], []
        return taken

    def take_confirmed(self) -> bool:
        """Whether an ACK was told since the last look; drops all else."""
        taken, self.events[:] = list(self.events), []
        return any(isinstance(event, CallConfirmed) for event in taken)

    def take_event(self, kind: type[E]) -> E:
        """Take the one event, which must be of this kind."""
        (event,) = self.take_events()
        assert isinstance(event, kind)
        return event
