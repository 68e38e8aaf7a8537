"""uvicorn's WebSocket, with what it answers by itself bounded too."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_WAITING_BYTES = 65_536


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """Does not answer pings while as much waits to be sent: who sends many and reads little would fill the memory.

    Pings come past the flow of messages, and uvicorn answers each. RFC 6455 section 5.5.3: of several that have not
    been answered yet only the last need be.
    """

    def handle_ping(self) -> None:
        """Answer a ping, or drop the answer that the protocol has made."""
        if self.transport.get_write_buffer_size() < MAX_WAITING_BYTES:
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the parser too: the protocol holds it and it the protocol, which uvicorn leaves to Python's collector."""
        super().connection_lost(exc)
        self.conn.parser.close()
