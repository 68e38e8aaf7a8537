"""The transaction layer: gives every message to its transaction (RFC 3261 sections 17.1.3, 17.2.3, 18.2)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from telephony.sip import invite_client, invite_server, non_invite_client, non_invite_server
from telephony.sip.flow import DEFAULT_PORT, Flow, Transmit
from telephony.sip.invite_client import InviteClientTransaction
from telephony.sip.invite_server import InviteServerTransaction
from telephony.sip.message import Message, Request, Response, build_message
from telephony.sip.non_invite_client import NonInviteClientTransaction
from telephony.sip.non_invite_server import NonInviteServerTransaction
from telephony.sip.responses import stateless_response
from telephony.sip.timers import Schedule, Timings
from telephony.sip.transaction import Delivered, Failure
from telephony.sip.via import BRANCH_COOKIE

MAX_TRANSACTIONS = 20_000
OVERLOAD_RETRY_AFTER_S = 32

_TERMINATED = frozenset(
    {
        invite_server.State.TERMINATED,
        invite_client.State.TERMINATED,
        non_invite_server.State.TERMINATED,
        non_invite_client.State.TERMINATED,
    }
)
_UNANSWERED = frozenset({invite_client.State.CALLING, invite_client.State.PROCEEDING})


class ServerKey(NamedTuple):
    """Names a server transaction."""

    branch: str
    sent_by: str
    method: str


class ClientKey(NamedTuple):
    """Names a client transaction."""

    branch: str
    method: str


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A new request; answer it by `respond(key, ...)`."""

    key: ServerKey
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class AckReceived:
    """An ACK that no transaction took: the one for a 2xx."""

    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response to a request of ours."""

    owner: str
    key: ClientKey
    response: Response
    flow: Flow


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request of ours got no final response."""

    owner: str
    key: ClientKey
    failure: Failure


LayerOutput: TypeAlias = Transmit | RequestReceived | AckReceived | ResponseReceived | RequestFailed
_Server: TypeAlias = InviteServerTransaction | NonInviteServerTransaction
_Client: TypeAlias = InviteClientTransaction | NonInviteClientTransaction
_MergeKey: TypeAlias = tuple[str, str, int, str]


def server_key(request: Request, method: str | None = None) -> ServerKey:
    """Name the transaction of a request (section 17.2.3); ACK and CANCEL name their INVITE's by `method`."""
    via = request.via
    branch = via.branch
    if not branch.startswith(BRANCH_COOKIE) or branch == BRANCH_COOKIE:
        # An RFC 2543 peer: what it repeats is told apart by everything but the To tag, which ACK adds.
        branch = f"{request.uri} {request.from_.tag} {request.call_id} {request.cseq.number} {branch}"
    wanted = method or ("INVITE" if request.method == "ACK" else request.method)
    return ServerKey(branch, f"{via.host}:{via.port or DEFAULT_PORT['udp']}", wanted)


def response_flow(request: Request, source: Flow) -> Flow:
    """Find where answers go (section 18.2.2, RFC 3581): over TCP the same connection; over UDP the sender's address.

    A `maddr` is not followed: anybody could have us send to a third party.
    """
    if source.reliable or request.via.wants_rport:
        return source
    return Flow(source.transport, source.host, request.via.port or DEFAULT_PORT[source.transport])


class TransactionLayer:
    """Every transaction of one user agent."""

    def __init__(self, *, timings: Timings, max_transactions: int = MAX_TRANSACTIONS) -> None:
        self._timings = timings
        self._max = max_transactions
        self._servers: dict[ServerKey, _Server] = {}
        self._clients: dict[ClientKey, _Client] = {}
        self._owners: dict[ClientKey, str] = {}
        self._invites: dict[str, set[ClientKey]] = {}  # INVITEs of ours, by owner
        self._merges: dict[_MergeKey, ServerKey] = {}
        self._merge_keys: dict[ServerKey, _MergeKey] = {}
        self._fallbacks: dict[ServerKey, Flow] = {}
        self._schedule: Schedule[ServerKey | ClientKey] = Schedule()
        self._output: deque[LayerOutput] = deque()

    def __len__(self) -> int:
        """Count the transactions that are alive."""
        return len(self._servers) + len(self._clients)

    def poll(self) -> LayerOutput | None:
        """Next output."""
        return self._output.popleft() if self._output else None

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        return self._schedule.next_at()

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        while (key := self._schedule.pop_due(now)) is not None:
            transaction = self._find(key)
            transaction.handle_timer(now=now)
            self._settle(key, transaction)

    def _find(self, key: ServerKey | ClientKey) -> _Server | _Client:
        return self._servers[key] if isinstance(key, ServerKey) else self._clients[key]

    # Receiving

    def receive(self, message: Message, source: Flow, *, now: float) -> None:
        """Take a message that came from the network."""
        if isinstance(message, Response):
            self._receive_response(message, source, now=now)
        else:
            seen = message.via.received_from(source.host, source.port)
            request = message if seen == message.via else message.with_top_via(seen)
            self._receive_request(request, source, now=now)

    def _receive_response(self, response: Response, source: Flow, *, now: float) -> None:
        key = ClientKey(response.via.branch, response.cseq.method)
        transaction = self._clients.get(key)
        if transaction is None:
            return  # RFC 6026 section 7.1: a response that nobody waits for is dropped
        transaction.receive(response, now=now)
        self._settle(key, transaction, flow=source)

    def _receive_request(self, request: Request, source: Flow, *, now: float) -> None:
        key = server_key(request)
        match self._servers.get(key):
            case None if request.method == "ACK":
                self._output.append(AckReceived(request, source))
            case None:
                self._begin(key, request, source)
            case InviteServerTransaction() as transaction if request.method == "ACK":
                if transaction.state is invite_server.State.ACCEPTED:
                    # Not RFC 3261's way, but there are callers whose ACK for a 2xx has the INVITE's branch.
                    self._output.append(AckReceived(request, source))
                transaction.receive_ack(now=now)
                self._settle(key, transaction)
            case InviteServerTransaction() as transaction:
                transaction.receive_invite()
                self._settle(key, transaction)
            case transaction:
                transaction.receive_request()
                self._settle(key, transaction)

    def _begin(self, key: ServerKey, request: Request, source: Flow) -> None:
        flow = response_flow(request, source)
        if len(self) >= self._max:
            refusal = stateless_response(request, 503, extra=(("Retry-After", str(OVERLOAD_RETRY_AFTER_S)),))
            self._output.append(Transmit(build_message(refusal), flow))
            return
        kind = InviteServerTransaction if request.method == "INVITE" else NonInviteServerTransaction
        self._servers[key] = kind(flow, timings=self._timings)
        if source.reliable:
            # Section 18.2.2: should the connection break, answers go to the sent-by port.
            port = request.via.port or DEFAULT_PORT[source.transport]
            self._fallbacks[key] = Flow(source.transport, source.host, port, server_name=source.server_name)
        if not request.to.tag:
            merge_key = (request.from_.tag, request.call_id, request.cseq.number, request.method)
            if self._merges.setdefault(merge_key, key) == key:
                self._merge_keys[key] = merge_key
        self._output.append(RequestReceived(key, request, source))

    def is_merged(self, key: ServerKey, request: Request) -> bool:
        """Whether the same request has come before by another path (section 8.2.2.2)."""
        merge_key = (request.from_.tag, request.call_id, request.cseq.number, request.method)
        return not request.to.tag and self._merges.get(merge_key, key) != key

    def has_server(self, key: ServerKey) -> bool:
        """Whether this server transaction is alive."""
        return key in self._servers

    # Sending

    def respond(self, key: ServerKey, response: Response, *, now: float) -> None:
        """Answer a request; one whose transaction is over is not answered any more."""
        transaction = self._servers.get(key)
        if transaction is not None:
            transaction.respond(response, now=now)
            self._settle(key, transaction)

    def answer_and_forget(self, key: ServerKey, response: Response) -> None:
        """Answer a request whose transaction is alive once, and keep nothing of it (section 8.2.7)."""
        self._output.append(Transmit(build_message(response), self._servers[key].flow))
        self._forget(key)

    def send(self, request: Request, flow: Flow, *, owner: str, now: float) -> ClientKey:
        """Send a request; what comes of it is put out with `owner`."""
        key = ClientKey(request.via.branch, request.method)
        kind = InviteClientTransaction if request.method == "INVITE" else NonInviteClientTransaction
        transaction = self._clients[key] = kind(request, flow, timings=self._timings, now=now)
        self._owners[key] = owner
        if request.method == "INVITE":
            self._invites.setdefault(owner, set()).add(key)
        self._settle(key, transaction)
        return key

    def stop_repeating(self, key: ClientKey) -> None:
        """Send an INVITE no more; a response to it is taken all the same."""
        transaction = self._clients.get(key)
        if isinstance(transaction, InviteClientTransaction):
            transaction.stop_repeating()
            self._settle(key, transaction)

    def release(self, owner: str) -> None:
        """Destroy the INVITEs without a final response of an owner that is gone: none may ever come (section 9.1)."""
        for key in tuple(self._invites.get(owner, ())):
            if self._clients[key].state in _UNANSWERED:
                self._forget(key)

    def send_stateless(self, message: Message, flow: Flow) -> None:
        """Send what has no transaction: the ACK for a 2xx."""
        self._output.append(Transmit(build_message(message), flow))

    def flow_lost(self, flow: Flow) -> None:
        """Note that a connection broke or could not be opened."""
        for key, transaction in list(self._clients.items()):
            if transaction.flow == flow:
                transaction.transport_failed()
                self._settle(key, transaction)
        for key, server in self._servers.items():
            if server.flow == flow and key in self._fallbacks:
                server.flow = self._fallbacks[key]

    def _settle(self, key: ServerKey | ClientKey, transaction: _Server | _Client, flow: Flow | None = None) -> None:
        """Drain a transaction, note its next timer, and forget it once it is over."""
        while (output := transaction.poll()) is not None:
            match output:
                case Transmit():
                    self._output.append(output)
                case Delivered(response):
                    assert isinstance(key, ClientKey)
                    assert flow is not None  # responses come with where they came from
                    self._output.append(ResponseReceived(self._owners[key], key, response, flow))
                case failed:
                    assert isinstance(key, ClientKey)
                    self._output.append(RequestFailed(self._owners[key], key, failed.failure))
        self._schedule.set(key, transaction.timer_at())
        if transaction.state in _TERMINATED:
            self._forget(key)

    def _forget(self, key: ServerKey | ClientKey) -> None:
        self._schedule.set(key, None)
        if isinstance(key, ClientKey):
            del self._clients[key]
            invites = self._invites.get(owner := self._owners.pop(key), set[ClientKey]())
            invites.discard(key)
            if not invites:
                self._invites.pop(owner, None)
        else:
            del self._servers[key]
            self._fallbacks.pop(key, None)
            if (merge_key := self._merge_keys.pop(key, None)) is not None:
                del self._merges[merge_key]
