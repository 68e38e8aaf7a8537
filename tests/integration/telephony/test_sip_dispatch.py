"""The edge and its workers over Unix sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from bot.edge.sip import offer_look
from telephony.media import MediaAbilities
from telephony.settings import SipSettings
from telephony.sip import datagram_channel
from telephony.sip.carrier_frame import EndFrame, FlowLostFrame, KeepFrame, MessageFrame, pack
from telephony.sip.datagram_channel import DatagramChannel
from telephony.sip.dispatch import Look, SipDispatcher, let_pass
from telephony.sip.flow import Flow
from telephony.sip.message import Message, Response, parse_message
from telephony.sip.sockets import SipSockets
from telephony.sip.toll_gate import TollGate
from telephony.sip.toll_guard import TollGuard, TollLimits
from telephony.sip.worker_carrier import WorkerCarrier
from tests.unit.telephony.sip.messages import OFFER, request, request_bytes, response_bytes
from tests.waiting import HUNG_S, eventually


class FakeWorker:
    """A worker's carrier, and all that came to it."""

    def __init__(self, sock: socket.socket) -> None:
        self.received: list[tuple[bytes, Flow]] = []
        self.lost: list[Flow] = []
        self.to_end: list[str] = []
        self.edge_lost = False
        self.carrier = WorkerCarrier(sock, on_edge_lost=self._lose)
        self.carrier.attach(self, on_end=self.to_end.append)

    def receive(self, data: bytes, flow: Flow) -> None:
        self.received.append((data, flow))

    def flow_lost(self, flow: Flow) -> None:
        self.lost.append(flow)

    def _lose(self) -> None:
        self.edge_lost = True


class Edge:
    """A dispatcher, its workers, and a peer on the network."""

    def __init__(self, dispatcher: SipDispatcher, port: int, lost_workers: list[int]) -> None:
        self.dispatcher = dispatcher
        self.port = port
        self.workers: list[FakeWorker] = []
        self.pick: int | None = 0
        self.lost_workers = lost_workers
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.setblocking(False)

    def send(self, data: bytes) -> None:
        # With rport, so that answers come here.
        self.peer.sendto(data.replace(b";branch", b";rport;branch"), ("127.0.0.1", self.port))

    async def answer(self) -> Message:
        async with asyncio.timeout(HUNG_S):
            return parse_message(await asyncio.get_running_loop().sock_recv(self.peer, 65_536))

    async def status(self) -> int:
        message = await self.answer()
        assert isinstance(message, Response)
        return message.status

    async def silent(self) -> bool:
        """Whether nothing more comes: what is sent now is answered first."""
        self.send(request_bytes("CANCEL", branch="z9hG4bKlast", call_id="last"))
        return (await self.answer()).call_id == "last"


@asynccontextmanager
async def edge(
    *, workers: int = 2, kind: int = socket.SOCK_SEQPACKET, toll: TollGate | None = None, look: Look = let_pass
) -> AsyncIterator[Edge]:
    sockets = SipSockets()
    _, port = await sockets.open("127.0.0.1", 0, tcp=True)
    lost: list[int] = []
    dispatcher = SipDispatcher(sockets, pick_worker=lambda: ours.pick, on_worker_lost=lost.append, toll=toll, look=look)
    ours = Edge(dispatcher, port, lost)
    for worker in range(workers):
        edge_end, worker_end = socket.socketpair(socket.AF_UNIX, kind)
        dispatcher.add_worker(worker, edge_end)
        ours.workers.append(FakeWorker(worker_end))
    yield ours
    for each in ours.workers:
        await each.carrier.close()
    await dispatcher.close()
    await dispatcher.close()
    ours.peer.close()


@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_DGRAM])
async def test_a_call_goes_to_one_worker_and_its_answers_out_of_the_public_socket(kind: int) -> None:
    async with edge(kind=kind) as ours:
        ours.pick = 1
        ours.send(request_bytes(body=OFFER))
        await eventually(lambda: ours.workers[1].received)
        ours.pick = 0
        data, flow = ours.workers[1].received[0]
        ours.workers[1].carrier.transmit(f"SIP/2.0 180 R{data.decode()[data.index(b' sip') :]}".encode(), flow)
        ours.send(request_bytes("BYE", branch="z9hG4bK2", cseq=2, to_tag="x"))
        await eventually(lambda: len(ours.workers[1].received) == 2)

        assert flow == Flow("udp", "127.0.0.1", ours.peer.getsockname()[1])
        assert (await asyncio.get_running_loop().sock_recv(ours.peer, 100)).startswith(b"SIP/2.0 180 R")
        assert ours.workers[0].received == []


async def test_without_room_the_edge_itself_says_503() -> None:
    async with edge() as ours:
        ours.pick = None
        for _ in range(2):
            ours.send(request_bytes(body=OFFER))
        first, again = await ours.answer(), await ours.answer()

        assert isinstance(first, Response)
        assert (first.status, first.headers.first("Retry-After"), first) == (503, "5", again)
        ours.send(request_bytes("ACK", to_tag=first.to.tag))
        assert await ours.silent()
        assert ours.dispatcher.refused_calls == 2


async def test_what_belongs_to_no_call_is_answered_by_the_edge() -> None:
    async with edge() as ours:
        ours.send(b"\r\n\r\n")
        ours.send(b"GET / HTTP/1.1\r\n\r\n")
        ours.send(request_bytes("BYE", to_tag="gone"))
        assert await ours.status() == 481
        ours.send(request_bytes().replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"))
        assert await ours.status() == 400

        assert ours.dispatcher.refused_messages == 2
        assert not any(worker.received for worker in ours.workers)


async def test_a_call_of_a_worker_that_is_gone_is_answered_481() -> None:
    async with edge() as ours:
        ours.send(request_bytes(body=OFFER))
        await eventually(lambda: ours.workers[0].received)
        ours.workers[0].carrier.keep("call-1")
        await ours.workers[0].carrier.close()
        await eventually(lambda: ours.lost_workers)

        ours.send(request_bytes("BYE", branch="z9hG4bK2", cseq=2, to_tag="x"))
        assert (await ours.status(), ours.lost_workers) == (481, [0])


async def test_a_worker_that_was_picked_but_is_not_there_gets_nothing() -> None:
    async with edge() as ours:
        ours.pick = 7
        ours.send(request_bytes(body=OFFER))

        assert await ours.silent()


async def test_a_worker_places_a_call_and_gets_its_answers() -> None:
    async with edge() as ours:
        worker = ours.workers[1]
        worker.carrier.keep("placed")
        worker.carrier.transmit(b"INVITE ...", Flow("udp", "127.0.0.1", ours.peer.getsockname()[1]))
        assert await asyncio.get_running_loop().sock_recv(ours.peer, 100) == b"INVITE ..."
        answer = request_bytes(call_id="placed").replace(b"INVITE sip:bot@192.0.2.9 SIP/2.0", b"SIP/2.0 200 OK")
        ours.send(answer)
        await eventually(lambda: worker.received)
        worker.carrier.release("placed")
        ours.send(request_bytes("BYE", call_id="placed", to_tag="x"))
        await eventually(lambda: len(worker.received) == 2)

        assert ours.workers[0].received == []


def call_out(worker: FakeWorker, peer: Flow, call_id: str) -> bytes:
    """Have a worker call a number that has a price; gives its INVITE."""
    invite = request_bytes(uri="sip:+994501234567@127.0.0.1", call_id=call_id, body=OFFER)
    worker.carrier.keep(call_id)
    worker.carrier.transmit(invite, peer)
    return invite


async def test_a_call_that_may_cost_too_much_is_refused_before_it_leaves() -> None:
    guard = TollGuard({"+994": Decimal(1)}, TollLimits(call_s=60.0))
    async with edge(toll=TollGate(guard)) as ours:
        worker, peer = ours.workers[1], Flow("udp", "127.0.0.1", ours.peer.getsockname()[1])
        premium = request_bytes(uri="sip:+1900555@127.0.0.1", call_id="premium", body=OFFER)
        worker.carrier.keep("premium")
        worker.carrier.transmit(premium, peer)
        await eventually(lambda: worker.received)
        refusal = parse_message(worker.received[0][0])
        assert isinstance(refusal, Response)
        assert (refusal.status, refusal.call_id) == (403, "premium")

        local = call_out(worker, peer, "local")
        assert await asyncio.get_running_loop().sock_recv(ours.peer, 2000) == local  # and nothing before it
        assert guard.spent == 1
        worker.carrier.release("local")
        await eventually(lambda: guard.spent == 0)


@pytest.mark.parametrize("ends_by_itself", [False, True])
async def test_a_call_is_ended_when_its_money_is_used_up(monkeypatch: pytest.MonkeyPatch, ends_by_itself: bool) -> None:
    monkeypatch.setattr("telephony.sip.toll_gate._EARLY_S", 59.9)
    guard = TollGuard({"+994": Decimal(1)}, TollLimits(call_s=60.0))
    async with edge(toll=TollGate(guard)) as ours:
        worker, peer = ours.workers[1], Flow("udp", "127.0.0.1", ours.peer.getsockname()[1])
        invite = call_out(worker, peer, "dear")
        assert await asyncio.get_running_loop().sock_recv(ours.peer, 2000) == invite
        ours.send(response_bytes(request(uri="sip:+994501234567@127.0.0.1", call_id="dear", body=OFFER), 200))
        await eventually(lambda: worker.received)
        if ends_by_itself:
            worker.carrier.release("dear")
            await asyncio.sleep(0.3)
            assert worker.to_end == []
        else:
            await eventually(lambda: worker.to_end == ["dear"])
            assert ours.workers[0].to_end == []


async def test_what_the_calls_of_a_dead_worker_had_reserved_comes_back() -> None:
    guard = TollGuard({"+994": Decimal(1)}, TollLimits(call_s=60.0))
    async with edge(toll=TollGate(guard)) as ours:
        worker, peer = ours.workers[1], Flow("udp", "127.0.0.1", ours.peer.getsockname()[1])
        call_out(worker, peer, "orphan")
        await eventually(lambda: guard.spent == 1)
        await worker.carrier.close()
        await eventually(lambda: ours.lost_workers)

        assert guard.spent == 0


async def test_every_worker_is_told_of_a_connection_that_is_lost() -> None:
    async with edge() as ours:
        _, writer = await asyncio.open_connection("127.0.0.1", ours.port)
        writer.write(request_bytes("OPTIONS", transport="TCP"))
        await eventually(lambda: ours.workers[0].received)
        writer.close()
        await eventually(lambda: all(worker.lost for worker in ours.workers))

        assert ours.workers[1].lost == [ours.workers[0].received[0][1]]


async def test_a_worker_learns_that_the_edge_is_gone() -> None:
    async with edge() as ours:
        assert not any(worker.edge_lost for worker in ours.workers)

        await ours.dispatcher.close()
        await eventually(lambda: all(worker.edge_lost for worker in ours.workers))


async def test_frames_that_go_the_wrong_way_are_ignored() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    worker = FakeWorker(theirs)
    flow = Flow("udp", "127.0.0.1", 5060)
    for frame in (KeepFrame("x"), MessageFrame(b"data", flow)):
        ours.send(pack(frame))
    await eventually(lambda: worker.received)
    ours.close()
    await worker.carrier.close()

    async with edge() as other:
        for frame in (FlowLostFrame(flow), EndFrame("x")):
            other.workers[0].carrier._channel.send(pack(frame))
        other.workers[0].carrier.transmit(b"after", Flow("udp", "127.0.0.1", other.peer.getsockname()[1]))
        assert await asyncio.get_running_loop().sock_recv(other.peer, 100) == b"after"


async def test_what_comes_before_anybody_listens_is_dropped() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    carrier = WorkerCarrier(theirs, on_edge_lost=lambda: None)
    ours.send(pack(MessageFrame(b"early", Flow("udp", "127.0.0.1", 5060))))
    await asyncio.sleep(0.02)
    with pytest.raises(BlockingIOError):  # it was taken from the socket
        theirs.recv(100, socket.MSG_DONTWAIT)
    await carrier.close()
    ours.close()


async def test_a_channel_queues_what_the_kernel_will_not_take_and_then_drops_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(datagram_channel, "MAX_QUEUED", 100)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    received: list[bytes] = []
    sender = DatagramChannel(ours, peer="worker 1", on_datagram=received.append, on_lost=lambda: None)
    sent = [number.to_bytes(4, "big") + bytes(30_000) for number in range(1000)]
    for datagram in sent:
        sender.send(datagram)
    assert [record.getMessage() for record in caplog.records] == [
        "worker 1 takes no SIP messages, and 100 wait: more are dropped"
    ]

    receiver = DatagramChannel(theirs, peer="the edge", on_datagram=received.append, on_lost=lambda: None)
    await eventually(lambda: len(received) > 100)
    await eventually(lambda: not sender._queue)
    sender.send(b"last")
    await eventually(lambda: received[-1] == b"last")

    assert received[:-1] == sent[: len(received) - 1]
    assert len(received) < 1000
    receiver.close()
    receiver.close()
    sender.close()
    sender.send(b"late")
    assert len(caplog.records) == 1


async def test_the_one_datagram_that_had_to_wait_is_sent_once_there_is_room() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    received: list[bytes] = []
    sender = DatagramChannel(ours, peer="worker 1", on_datagram=received.append, on_lost=lambda: None)
    sent: list[bytes] = []
    while not sender._queue:
        sent.append(len(sent).to_bytes(4, "big") + bytes(30_000))
        sender.send(sent[-1])
    receiver = DatagramChannel(theirs, peer="the edge", on_datagram=received.append, on_lost=lambda: None)
    await eventually(lambda: len(received) == len(sent))

    assert received == sent
    receiver.close()
    sender.close()


async def test_a_channel_whose_other_end_is_gone_is_lost_once() -> None:
    for kind in (socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        lost: list[int] = []
        channel = DatagramChannel(
            ours, peer="worker 1", on_datagram=lambda datagram: None, on_lost=lambda lost=lost: lost.append(1)
        )
        theirs.close()
        channel.send(b"one")
        channel.send(b"two")
        await eventually(lambda lost=lost: lost)
        await asyncio.sleep(0.01)

        assert lost == [1]


async def test_an_offer_that_no_call_could_serve_is_refused_without_a_worker() -> None:
    look = offer_look(SipSettings(), MediaAbilities(("opus",)))
    async with edge(look=look) as ours:
        ours.pick = 0
        ours.send(request_bytes(body=OFFER))
        refused = await ours.answer()
        ours.send(request_bytes("ACK", to_tag=refused.to.tag))

        assert isinstance(refused, Response)
        assert (refused.status, "Warning" in str(refused.headers)) == (488, True)
        assert await ours.silent()
        assert not any(worker.received for worker in ours.workers)
