"""`Carrier` and `Receiver`: the port between a user agent's shell and whoever owns the public sockets."""

from __future__ import annotations

from typing import Protocol

from telephony.sip.flow import Flow


class Carrier(Protocol):
    """Takes messages towards the network. No method waits, raises for the network's sake, or calls back."""

    def transmit(self, data: bytes, flow: Flow) -> None:
        """Send one message."""
        ...

    def keep(self, sip_call_id: str) -> None:
        """Note that messages of this call are to come here until `release`."""
        ...

    def release(self, sip_call_id: str) -> None:
        """Note that the call is over; stragglers of it still come here for a while."""
        ...


class Receiver(Protocol):
    """Takes what comes from the network."""

    def receive(self, data: bytes, flow: Flow) -> None:
        """Take one message."""
        ...

    def flow_lost(self, flow: Flow) -> None:
        """Take the news that a connection broke or could not be opened."""
        ...
