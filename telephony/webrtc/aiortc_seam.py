"""The one place that knows aiortc's insides: ICE, DTLS-SRTP and SCTP by its ORTC objects, RTP as plain bytes.

aiortc's peer connection, senders, receivers and codecs stay unused: its receiver's jitter buffer turns one lost
packet into 320 ms of silence and 200 ms of lasting delay, and its codec threads cost 4 to 5 % of a core a call. What
this module uses without aiortc's promise is listed in `_PRIVATE`, and looked for whenever a peer is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import aiortc
import pylibsrtp
from aioice import Candidate, TransportPolicy
from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceServer,
    RTCIceTransport,
    RTCSctpCapabilities,
    RTCSctpTransport,
)

from telephony.errors import LocalProtocolError
from telephony.rtp.srtp_calls import SrtpCalls
from telephony.rtp.syscalls import DatagramCalls
from telephony.webrtc.checked_first import checked_first
from telephony.webrtc.ice_socket import IceSocket, gather_hosts, usable_candidates
from telephony.webrtc.peer_handlers import PeerHandlers
from telephony.webrtc.sdp import MAX_CANDIDATES, SCTP_PORT, Description, Setup, TransportParameters
from telephony.webrtc.turn import IceServer

CHANNEL_LABEL: Final = "zeng"
MAX_TEXT_BYTES: Final = 16_384  # of one text from the data channel
MAX_BUFFERED_BYTES: Final = 262_144  # of texts on their way into the data channel
_MAX_WAITING_DATAGRAMS: Final = 256  # DTLS records that aioice holds until they are read
_CLOSE_FLUSH_S: Final = 1.5  # a close waits so long for the last texts to be acknowledged; SCTP resends after 1 s
_TURN_TIMEOUT_S: Final = 5  # for a relay, where there is no other way
_BESIDE_TIMEOUT_S: Final = 1  # for a relay, where there is
_CLOSE_POLL_S: Final = 0.01

_PRIVATE: Final = (
    ("ICE gatherer", ("_connection",)),
    (
        "ICE connection",
        (
            "_closing",
            "_early_checks",
            "_nominated",
            "_protocols",
            "_query_consent_task",
            "_queue",
            "_transport_policy",
            "data_received",
            "get_component_candidates",
            "ice_controlling",
        ),
    ),
    ("DTLS transport", ("_rx_srtp", "_tx_srtp", "_set_role")),
    ("SCTP transport", ("_data_channel_queue", "_outbound_queue", "_sent_queue")),
)


class Peer:
    """One browser's transport. Made, used and closed in one event loop."""

    def __init__(
        self,
        handlers: PeerHandlers,
        *,
        offering: bool,
        servers: Sequence[IceServer],
        hosts: Sequence[str],
        allow_loopback: bool,
        relay_only: bool = False,
        calls: DatagramCalls | None = None,
    ) -> None:
        self._handlers = handlers
        self._offering = offering
        self._closed = False
        self._channel: RTCDataChannel | None = None
        self._servers = [
            RTCIceServer(urls=list(server.urls), username=server.username, credential=server.credential)
            for server in servers
        ]
        self._hosts, self._allow_loopback, self._relay_only = hosts, allow_loopback, relay_only
        self._calls = calls  # of Linux, to read and send by; shared by the peers of a loop
        self._sealing: SrtpCalls | None = None  # from the end of the DTLS handshake on
        self._opening: SrtpCalls | None = None
        self._held: IceSocket | None = None  # what `read` reads, in place of the loop
        self._candidates_taken = 0
        self._next: tuple[RTCIceGatherer, Any] | None = None  # of an ICE restart under way
        self._former: list[Any] = []  # ICE connections that came of restarts, the present one last
        self._watching: set[asyncio.Task[None]] = set()
        gatherer = RTCIceGatherer(self._servers)
        self._gatherer = gatherer
        self._ice = RTCIceTransport(gatherer)
        self._dtls: Any = RTCDtlsTransport(self._ice, [RTCCertificate.generateCertificate()])
        self._sctp = RTCSctpTransport(self._dtls, SCTP_PORT)
        self._connection: Any = getattr(gatherer, "_connection", None)
        self._check_private()
        self._connection.ice_controlling = offering  # RFC 8445, 6.1.1
        self._choose_hosts(self._connection)
        self._take_media_datagrams(self._connection)
        self._ice.on("statechange", self._on_ice_state)
        self._dtls.on("statechange", self._on_dtls_state)
        self._sctp.on("datachannel", self._on_channel)

    @property
    def may_open_channel(self) -> bool:
        """Whether there is a connection, and SCTP in it."""
        return self._dtls.state == "connected" and self._sctp.state in ("connecting", "connected")

    async def gather(self) -> None:
        """Bind a UDP port on each host address, and ask TURN for one; raises `LocalProtocolError` if there is none."""
        await self._gatherer.gather()
        if not self._connection.local_candidates:
            what = (
                "turn_urls and turn_secret: the server gives no relay"
                if self._relay_only
                else "allow_loopback or hosts"
            )
            raise LocalProtocolError(f"no address to be reached at: set [webrtc] {what}")

    def parameters(self, setup: Setup) -> TransportParameters:
        """Our side of the transport, for SDP; after `gather`, or after `gather_again` what that found."""
        gatherer, connection = self._next or (self._gatherer, self._connection)
        local = gatherer.getLocalParameters()
        fingerprints = self._dtls.getLocalParameters().fingerprints
        return TransportParameters(
            ice_ufrag=local.usernameFragment or "",
            ice_pwd=local.password or "",
            fingerprints=tuple((f.algorithm, f.value) for f in fingerprints if f.algorithm == "sha-256"),
            setup=setup,
            candidates=tuple(candidate.to_sdp() for candidate in connection.local_candidates),
        )

    async def connect(self, remote: Description) -> None:
        """ICE, then DTLS, then SCTP; returns when media can flow. Raises `ConnectionError` when it never will.

        Waits for as long as it takes: the far side's candidates are never declared complete, so that a peer behind
        NAT is found by its own checks (RFC 8863); the caller sets the time limit.
        """
        transport = remote.transport
        await self.add_candidates(transport.candidates)
        self._dtls._set_role("client" if self._is_dtls_client(transport.setup) else "server")  # noqa: SLF001 - seam
        if self._offering and remote.sctp_port is not None:
            self._use(RTCDataChannel(self._sctp, RTCDataChannelParameters(label=CHANNEL_LABEL)))
        await self._ice.start(RTCIceParameters(usernameFragment=transport.ice_ufrag, password=transport.ice_pwd))
        fingerprints = [RTCDtlsFingerprint(algorithm=name, value=value) for name, value in transport.fingerprints]
        if self._ice.state == "completed":
            await self._dtls.start(RTCDtlsParameters(fingerprints=fingerprints))
        if self._dtls.state != "connected":
            raise ConnectionError(f"ICE is {self._ice.state}, DTLS is {self._dtls.state}")
        if remote.sctp_port is not None:
            await self._sctp.start(RTCSctpCapabilities(maxMessageSize=remote.max_message_bytes), remote.sctp_port)

    async def add_candidates(self, lines: Sequence[str]) -> None:
        """Take candidates of the far side, those that trickle in later as well (RFC 8838); too many are left out."""
        connection = self._connection if self._next is None else self._next[1]
        for candidate in usable_candidates(lines):
            if self._candidates_taken < MAX_CANDIDATES and not self._closed:
                self._candidates_taken += 1
                await connection.add_remote_candidate(candidate)

    async def gather_again(self) -> None:
        """Begin an ICE restart (RFC 8445, 9), beside what is in use; `ConnectionError` if overtaken or closed."""
        await self._drop_next()
        gatherer = RTCIceGatherer(self._servers)
        connection: Any = getattr(gatherer, "_connection", None)
        connection.ice_controlling = self._offering
        self._choose_hosts(connection)
        self._take_media_datagrams(connection)
        self._next, self._candidates_taken = (gatherer, connection), 0
        await gatherer.gather()
        if not self._is_next(connection):
            await connection.close()  # once more: its ports were being bound when it was given up
            raise ConnectionError("overtaken")

    async def reconnect(self, transport: TransportParameters) -> None:
        """Find the way anew and move onto it; until then the old one serves. DTLS and its keys stay as they are.

        Raises `ConnectionError` when the restart was overtaken by another, or by the end of the call.
        """
        assert self._next is not None
        _, connection = self._next
        connection.remote_username, connection.remote_password = transport.ice_ufrag, transport.ice_pwd
        await self.add_candidates(transport.candidates)
        await checked_first(connection, wanted=lambda: not self._offering and self._is_next(connection))
        await connection.connect()
        if not self._is_next(connection):
            raise ConnectionError("overtaken")
        self._next = None
        old_protocols, self._connection._protocols = self._connection._protocols, []  # noqa: SLF001 - seam
        if self._connection._query_consent_task is not None:  # noqa: SLF001 - seam
            self._connection._query_consent_task.cancel()  # noqa: SLF001 - seam
        self._connection._nominated = connection._nominated  # noqa: SLF001 - seam
        retired, self._former = self._former, [connection]
        self._watching.add(watcher := asyncio.create_task(self._watch(connection)))
        watcher.add_done_callback(self._watching.discard)
        await asyncio.gather(*(protocol.close() for protocol in old_protocols), *(each.close() for each in retired))

    async def _watch(self, connection: Any) -> None:  # noqa: ANN401 - seam
        """Tell when consent for the way of a restart expires (RFC 7675)."""
        await connection.get_event()
        if not self._closed and self._former == [connection]:
            self._handlers.lost()

    def _is_next(self, connection: Any) -> bool:  # noqa: ANN401 - seam
        return self._next is not None and self._next[1] is connection

    async def _drop_next(self) -> None:
        given_up, self._next = self._next, None
        if given_up is not None:
            await given_up[1].close()

    def read(self, *, now: float) -> None:
        """Take what has come by the way that media takes: called every 20 ms, it has no wakeup for a packet.

        By a relay packets come through aioice, as all do before the first call of this and after `stop_reading`.
        """
        pair = self._connection._nominated.get(1)  # noqa: SLF001 - seam
        ours = None if pair is None else pair.protocol.transport
        if ours is not self._held:
            self._hold(ours if isinstance(ours, IceSocket) else None)
        held = self._held
        if held is None:
            return
        for data, source, arrived in held.read(now=now):
            if data and 127 < data[0] < 192:
                self._on_media(data, arrived)
            else:
                held.hand_on(data, source)

    def stop_reading(self) -> None:
        """Have the event loop read again: no `read` follows."""
        self._hold(None)

    def _hold(self, held: IceSocket | None) -> None:
        if self._held is not None:
            self._held.release()
        if held is not None:
            held.hold()
        self._held = held

    def send_rtp(self, packet: bytes) -> bool:
        """Encrypt and send one RTP packet at once; False if there is no way to send it."""
        return self._send(packet, SrtpCalls.protect)

    def send_rtcp(self, packet: bytes) -> bool:
        """Encrypt and send one RTCP packet at once; False if there is no way to send it."""
        return self._send(packet, SrtpCalls.protect_rtcp)

    def send_text(self, text: str) -> bool:
        """Send by the data channel; False if it is not open, holds too much already, or the text is too long."""
        channel = self._channel
        if channel is None or channel.readyState != "open" or channel.bufferedAmount > MAX_BUFFERED_BYTES:
            return False
        try:
            channel.send(text)
        except ValueError:  # more than the far side takes in one message
            return False
        return True

    async def close(self) -> None:
        """Let the last texts out, say goodbye by SCTP and DTLS, free the sockets. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.stop_reading()  # the farewells are answered
        await self._flush_texts()
        await self._sctp.stop()
        await self._dtls.stop()
        await self._drop_next()
        await self._ice.stop()
        for connection in self._former:
            await connection.close()
        self._dtls.remove_all_listeners()

    def _check_private(self) -> None:
        owners = (self._gatherer, self._connection, self._dtls, self._sctp)
        for owner, (title, names) in zip(owners, _PRIVATE, strict=True):
            missing = [name for name in names if not hasattr(owner, name)]
            if missing:
                raise LocalProtocolError(
                    f"aiortc {aiortc.__version__}: its {title} has no {', '.join(missing)}; "
                    "install the version that pyproject.toml names"
                )

    def _choose_hosts(self, connection: Any) -> None:  # noqa: ANN401 - seam
        """Bind `hosts` only, if any are given, else this machine's (aioice skips loopback); with TURN only none."""
        gather = connection.get_component_candidates
        hosts, loopback, relay_only = self._hosts, self._allow_loopback, self._relay_only
        if relay_only:
            connection._transport_policy = TransportPolicy.RELAY  # noqa: SLF001 - seam

        async def chosen(component: int, addresses: list[str]) -> list[Candidate]:
            if relay_only:
                return await gather(component, [], _TURN_TIMEOUT_S)
            addresses = list(hosts) or [*addresses, *(["127.0.0.1"] if loopback else [])]
            ours = gather_hosts(connection, addresses, component, self._calls)
            here, relayed = await asyncio.gather(ours, gather(component, [], _BESIDE_TIMEOUT_S))
            return [*here, *relayed]

        connection.get_component_candidates = chosen

    def _take_media_datagrams(self, connection: Any) -> None:  # noqa: ANN401 - seam
        """Hand SRTP and SRTCP over where the socket is read (RFC 7983), past aioice's queue and aiortc's tasks.

        Only DTLS goes on to aiortc: an empty datagram, from anyone, would end its connection by an IndexError.
        """
        dtls = self._connection.data_received if connection is self._connection else self._dtls_received
        waiting = self._connection._queue  # noqa: SLF001 - seam

        def data_received(data: bytes, component: int) -> None:
            kind = data[0] if data else 0
            if 127 < kind < 192:
                self._on_media(data, time.monotonic())
            elif 19 < kind < 64 and waiting.qsize() < _MAX_WAITING_DATAGRAMS:
                dtls(data, component)

        connection.data_received = data_received
        if connection is self._connection:
            self._dtls_received = dtls

    def _on_media(self, data: bytes, arrived: float) -> None:
        opening = self._opening or self._seal()
        if opening is None or self._closed:
            return
        with contextlib.suppress(pylibsrtp.Error):  # forged, replayed or damaged
            if len(data) > 1 and 192 <= data[1] <= 223:  # RFC 5761, 4
                self._handlers.rtcp(opening.unprotect_rtcp(data))
            else:
                self._handlers.rtp(opening.unprotect(data), arrived)

    def _seal(self) -> SrtpCalls | None:
        """Take the two sessions that the DTLS handshake made, if it has."""
        if self._dtls._tx_srtp is not None and self._dtls._rx_srtp is not None:  # noqa: SLF001 - seam
            self._sealing = SrtpCalls(self._dtls._tx_srtp)  # noqa: SLF001 - seam
            self._opening = SrtpCalls(self._dtls._rx_srtp)  # noqa: SLF001 - seam
        return self._opening

    def _send(self, packet: bytes, protect: Callable[[SrtpCalls, bytes], bytes]) -> bool:
        pair = self._connection._nominated.get(1)  # noqa: SLF001 - seam
        if self._sealing is None:
            self._seal()
        if self._sealing is None or pair is None or self._closed:
            return False
        pair.protocol.transport.sendto(protect(self._sealing, packet), pair.remote_addr)
        return True

    def _is_dtls_client(self, remote_setup: Setup) -> bool:
        """RFC 8842, 5: an answerer that may choose is the client, as RFC 9429 recommends."""
        return remote_setup != "active"

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label == CHANNEL_LABEL and self._channel is None:
            self._use(channel)
        else:
            channel.close()

    def _use(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        channel.on("message", self._on_message)
        if channel.readyState == "open":
            self._handlers.channel_open()
        else:
            channel.on("open", self._handlers.channel_open)

    def _on_message(self, message: str | bytes) -> None:
        if isinstance(message, str) and len(message) <= MAX_TEXT_BYTES and not self._closed:
            self._handlers.text(message)

    def _on_ice_state(self) -> None:
        if self._ice.state == "failed" and not self._closed:
            self._handlers.lost()

    def _on_dtls_state(self) -> None:
        if self._dtls.state == "closed" and not self._closed:
            # Closed by the far side, or for want of a network: when consent expires, aioice closes first (RFC 7675).
            lost = self._connection._closing  # noqa: SLF001 - seam
            (self._handlers.lost if lost else self._handlers.hung_up)()

    async def _flush_texts(self) -> None:
        sctp: Any = self._sctp
        for _ in range(round(_CLOSE_FLUSH_S / _CLOSE_POLL_S)):
            waiting = sctp._data_channel_queue or sctp._outbound_queue or sctp._sent_queue  # noqa: SLF001 - seam
            if not waiting or self._dtls.state != "connected":
                return
            await asyncio.sleep(_CLOSE_POLL_S)
