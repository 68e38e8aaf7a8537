"""`AbandonedInvites`: INVITEs to servers that were silent for too long, while another is asked already."""

from __future__ import annotations

from telephony.sip.call_context import CallContext
from telephony.sip.flow import Flow
from telephony.sip.forks import Forks
from telephony.sip.message import Request
from telephony.sip.outbound_invite import cancel_of
from telephony.sip.transactions import ClientKey, ResponseReceived


class AbandonedInvites:
    """Sees to it that nothing rings, or is answered, by one of them: CANCEL, or ACK and BYE."""

    def __init__(self, context: CallContext, forks: Forks) -> None:
        self._context = context
        self._forks = forks
        self._invites: dict[ClientKey, tuple[Request, Flow]] = {}
        self._open: dict[ClientKey, float] = {}  # those without a final response, and until when one may come
        self._cancelled: set[ClientKey] = set()

    @property
    def pending(self) -> bool:
        """Whether one of them may still be answered."""
        return bool(self._open)

    def add(self, key: ClientKey, invite: Request, flow: Flow, *, now: float) -> None:
        """Abandon an INVITE that has no response: CANCEL has to wait for one (RFC 3261 section 9.1).

        It is not repeated, so once the network holds no copy of it (T4) nothing can come of it.
        """
        self._context.transactions.stop_repeating(key)
        self._invites[key] = (invite, flow)
        self._open[key] = now + self._context.timings.t4_s

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        return min(self._open.values(), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        self._open = {key: until for key, until in self._open.items() if until > now}

    def receive(self, received: ResponseReceived, *, now: float) -> bool:
        """Take a response; False when it is to another request."""
        if received.key not in self._invites:
            return False
        invite, flow = self._invites[received.key]
        status = received.response.status
        if status >= 200:
            self._open.pop(received.key, None)
            if status < 300:
                self._forks.close(invite, received.response, received.flow, early=None, now=now)
        elif received.key not in self._cancelled:
            self._cancelled.add(received.key)
            if received.key in self._open:
                self._open[received.key] = now + self._context.timings.give_up_s  # CANCEL brings a final response
            self._context.send(cancel_of(invite), flow, now=now)
        return True

    def failed(self, key: ClientKey) -> bool:
        """Note that a request got no final response; False when it is another one."""
        self._open.pop(key, None)
        return key in self._invites
