"""A bot's SIP side with real sockets, straight or behind the dispatcher, and SIPp as its peer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from telephony.errors import LegEndedError
from telephony.leg import CallLeg, LegEnded, LegEvent
from telephony.settings import SipSettings, SipTlsSettings
from telephony.sip.call_limits import CallLimits
from telephony.sip.dispatch import SipDispatcher
from telephony.sip.endpoint import SipEndpoint, serve_sip
from telephony.sip.from_settings import new_token, resolver_of, user_agent_config
from telephony.sip.outbound_policy import OutboundPolicy
from telephony.sip.sockets import SipSockets, gate_limits
from telephony.sip.source_gate import SourceGate
from telephony.sip.timers import Timings
from telephony.sip.tls import tls_contexts
from telephony.sip.user_agent import UserAgent, UserAgentConfig
from telephony.sip.worker_carrier import WorkerCarrier
from tests.fakes.media import FakeMediaFactory
from tests.waiting import HUNG_S

SCENARIOS = Path(__file__).parents[2] / "data" / "sipp"
WORKERS = 2
SESSIONS = 50
"""Calls that a worker's media has room for."""

NOTHING: Mapping[str, object] = {}

Carriage: TypeAlias = Literal["straight", "dispatched"]
Bot: TypeAlias = Callable[[CallLeg], Awaitable[None]]


async def answer(leg: CallLeg) -> None:
    """Answer and stay until the caller hangs up."""
    await leg.answer()


async def answer_and_hang_up(leg: CallLeg) -> None:
    """Answer, and hang up a moment later."""
    await leg.answer()
    await asyncio.sleep(0.1)
    await leg.hang_up()


async def let_ring(leg: CallLeg) -> None:
    """Never answer."""


class House:
    """Runs a bot for each call and keeps what each of them was told."""

    def __init__(self, bot: Bot, *, sessions: int = SESSIONS) -> None:
        self.bot = bot
        self.media = [FakeMediaFactory(sessions=sessions) for _ in range(WORKERS)]
        self.endpoints: list[SipEndpoint] = []
        self.told: list[list[LegEvent]] = []
        self.port = 0
        self.has_room = True
        self.sockets = SipSockets()
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, leg: CallLeg) -> None:
        task = asyncio.get_running_loop().create_task(self._run(leg))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, leg: CallLeg) -> None:
        events: list[LegEvent] = []
        self.told.append(events)
        with contextlib.suppress(LegEndedError):
            await self.bot(leg)
        while not events or not isinstance(events[-1], LegEnded):
            events.append(await leg.receive())

    def admit(self) -> int | None:
        return None if self.has_room else 5

    @property
    def ports_in_use(self) -> int:
        return sum(media.in_use for media in self.media)

    async def settled(self, *, within_s: float = HUNG_S) -> None:
        """Wait until every call is over and forgotten."""
        async with asyncio.timeout(within_s):
            while self._tasks or any(endpoint.call_count for endpoint in self.endpoints) or self.ports_in_use:
                await asyncio.sleep(0.02)

    def uri(self, transport: str = "udp", *, scheme: str = "sip") -> str:
        """Where it is called."""
        host, port = self.sockets.address
        port = self.sockets.tls_port if transport == "tls" else port
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}:bot@{host}:{port};transport={transport}"

    def ends(self) -> list[LegEvent]:
        return [events[-1] for events in self.told]


@asynccontextmanager
async def house(
    bot: Bot = answer,
    *,
    carriage: Carriage = "straight",
    timings: Timings | None = None,
    users: dict[str, str] | None = None,
    host: str = "127.0.0.1",
    tls: SipTlsSettings | None = None,
    limits: CallLimits | None = None,
    sessions: int = SESSIONS,
    **changes: Any,
) -> AsyncIterator[House]:
    """Serve on a free port of 127.0.0.1."""
    ours = House(bot, sessions=sessions)

    def adjust(config: UserAgentConfig) -> UserAgentConfig:
        # SIPp looks at the first challenge only, and knows nothing but MD5.
        return replace(
            config, timings=timings or config.timings, limits=limits or config.limits, digest_algorithms=("MD5",)
        )

    settings = SipSettings(
        host=host, port=0, digest_users=users or {}, tls=tls or SipTlsSettings(), outbound_allowed=("*@*",), **changes
    )
    for media in ours.media:
        media.host = host
    async with contextlib.AsyncExitStack() as stack:
        if carriage == "straight":
            endpoint, ours.sockets = await serve_sip(
                settings, media=ours.media[0], on_call=ours.take, admit=ours.admit, adjust=adjust
            )
            ours.port = ours.sockets.address[1]
            ours.endpoints.append(endpoint)
            stack.push_async_callback(ours.sockets.close)
        else:
            await _serve_dispatched(ours, settings, adjust, stack)
        for endpoint in ours.endpoints:
            stack.push_async_callback(endpoint.close, within_s=0.5)
        yield ours
    assert ours.ports_in_use == 0


async def _serve_dispatched(
    ours: House,
    settings: SipSettings,
    adjust: Callable[[UserAgentConfig], UserAgentConfig],
    stack: contextlib.AsyncExitStack,
) -> None:
    def pick() -> int | None:
        calls = [endpoint.call_count for endpoint in ours.endpoints]
        return calls.index(min(calls)) if ours.has_room else None

    ours.sockets = SipSockets(gate=SourceGate(gate_limits(settings)), tls=tls_contexts(settings.tls))
    _, ours.port = await ours.sockets.open(settings.host, 0, tcp=True, tls_port=settings.tls.port)
    dispatcher = SipDispatcher(ours.sockets, pick_worker=pick, on_worker_lost=lambda worker: None)
    stack.push_async_callback(dispatcher.close)
    anybody = OutboundPolicy(settings.outbound_allowed)
    for worker in range(WORKERS):
        edge_end, worker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        dispatcher.add_worker(worker, edge_end)
        carrier = WorkerCarrier(worker_end, on_edge_lost=lambda: None)
        stack.push_async_callback(carrier.close)
        config = adjust(user_agent_config(settings, port=ours.port, tls_port=ours.sockets.tls_port))
        agent = UserAgent(config, new_token=new_token, admit=ours.admit)
        endpoint = SipEndpoint(
            agent,
            carrier=carrier,
            media=ours.media[worker],
            on_call=ours.take,
            resolver=resolver_of(settings),
            outbound=anybody,
        )
        carrier.attach(endpoint)
        ours.endpoints.append(endpoint)


def free_port() -> int:
    """A UDP and TCP port of 127.0.0.1 that was free a moment ago."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port: int = udp.getsockname()[1]
            with contextlib.suppress(OSError):
                tcp.bind(("127.0.0.1", port))
                return port


async def sipp(*arguments: str, folder: Path, seconds: int = round(HUNG_S)) -> str:
    """Run SIPp to its end; returns "" when every call was good, else what it complained about."""
    errors = folder / "errors.log"
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/sipp",
        *("-i", "127.0.0.1", "-mi", "127.0.0.1", "-mp", str(free_port()), "-nostdin", "-trace_err"),
        *("-error_file", str(errors), "-timeout", str(seconds), "-timeout_error", "-nd"),
        *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
    )
    try:
        _, stderr = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode == 0:
        return ""
    log = errors.read_text("utf-8", "replace") if errors.exists() else ""
    return f"rc {process.returncode}\n{stderr.decode('utf-8', 'replace')[-1500:]}\n{log[-3000:]}"


async def call(
    port: int,
    scenario: str,
    *,
    folder: Path,
    transport: str = "udp",
    calls: int = 1,
    rate: int = 10,
    keys: Mapping[str, object] = NOTHING,
) -> str:
    """Have SIPp call the bot; `keys` are words of the scenario."""
    mode = {"udp": "u1", "tcp": "t1"}[transport]
    own = ("-p", str(free_port())) if transport == "udp" else ()
    return await sipp(
        *("-sf", str(SCENARIOS / f"{scenario}.xml"), "-s", "bot", "-t", mode, *own),
        *(word for name, value in keys.items() for word in ("-key", name, str(value))),
        *("-m", str(calls), "-r", str(rate), "-l", str(calls), f"127.0.0.1:{port}"),
        folder=folder,
    )


@asynccontextmanager
async def far_end(
    scenario: str, *, folder: Path, transport: str = "udp"
) -> AsyncIterator[tuple[int, asyncio.Task[str]]]:
    """Have SIPp wait for one call; gives its port, and the task that ends with what it complained about."""
    port, mode = free_port(), {"udp": "u1", "tcp": "t1"}[transport]
    task = asyncio.create_task(
        sipp("-sf", str(SCENARIOS / f"{scenario}.xml"), "-t", mode, "-p", str(port), "-m", "1", folder=folder)
    )
    try:
        async with asyncio.timeout(HUNG_S):
            while not listens(port, transport):
                await asyncio.sleep(0.02)
        yield port, task
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def listens(port: int, transport: str) -> bool:
    """Whether somebody on this machine has bound the port."""
    table = Path(f"/proc/net/{transport}").read_text("ascii")
    return any(line.split()[1].endswith(f":{port:04X}") for line in table.splitlines()[1:])
