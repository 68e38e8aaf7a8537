"""`TrunkEndpoint`: the trunks of one edge on an asyncio loop."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from telephony.errors import LocalProtocolError
from telephony.settings import SipSettings, SipTrunkSettings
from telephony.sip.auth import Credentials
from telephony.sip.flow import Flow, Transmit
from telephony.sip.identity import Identity
from telephony.sip.message import Response
from telephony.sip.resolution import Resolver
from telephony.sip.retry_after import retry_after_s
from telephony.sip.sdp import AddressType
from telephony.sip.server_holds import MAX_HOLD_S, ServerHolds
from telephony.sip.timers import Timings
from telephony.sip.trunk_agent import TrunkAgent
from telephony.sip.trunk_events import ServersWanted, TrunkChanged, TrunkConfig, TrunkRoute
from telephony.sip.uri import SipUri, parse_uri, unbracketed

_logger = logging.getLogger(__name__)


def trunk_config(
    settings: SipTrunkSettings, identity: Identity, *, environment: Mapping[str, str] = os.environ
) -> TrunkConfig:
    """Turn a `[[sip.trunks]]` table into a trunk's configuration; raises `LocalProtocolError` for what it lacks."""
    username = settings.username or identity.user
    credentials = None
    if settings.password_env:
        password = environment.get(settings.password_env)
        if password is None:
            raise LocalProtocolError(
                f"[[sip.trunks]] {settings.name}: {settings.password_env} is not in the environment"
            )
        credentials = Credentials(settings.auth_username or username, password)
    first = server_uris(settings)[0]
    return TrunkConfig(
        settings.name,
        settings.domain or unbracketed(first.host),
        Identity(identity.host, identity.port, username, identity.product, identity.tls_port),
        credentials,
        settings.registers,
        settings.outbound,
        settings.expires_s,
        settings.keep_alive_s,
        settings.options_s,
    )


def server_uris(settings: SipTrunkSettings) -> tuple[SipUri, ...]:
    """Read a trunk's servers; raises `SipParseError`, or `LocalProtocolError` for one that is no sip: URI."""
    found: list[SipUri] = []
    for text in settings.servers:
        uri = parse_uri(text)
        if not isinstance(uri, SipUri):
            raise LocalProtocolError(f"[[sip.trunks]] {settings.name}: {text} is no sip: URI")
        found.append(uri)
    return tuple(found)


class TrunkEndpoint:
    """Drives a `TrunkAgent`: resolves names, sends, sleeps until its timer."""

    def __init__(
        self,
        settings: SipSettings,
        identity: Identity,
        *,
        transmit: Callable[[bytes, Flow], None],
        resolver: Resolver,
        new_token: Callable[[], str],
        family: AddressType = "IP4",
        timings: Timings | None = None,
    ) -> None:
        self._servers = {trunk.name: server_uris(trunk) for trunk in settings.trunks}
        configs = [trunk_config(trunk, identity) for trunk in settings.trunks]
        self._agent = TrunkAgent(configs, new_token=new_token, timings=timings)
        self._transmit = transmit
        self._holds = ServerHolds()
        self._resolver = resolver
        self._family: AddressType = family
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()
        self.up = dict.fromkeys(self._servers, False)

    def start(self) -> None:
        """Begin to register."""
        self._drain()

    def owns(self, call_id: str) -> bool:
        """Whether a message with this Call-ID is for a trunk."""
        return self._agent.owns(call_id)

    def route(self, name: str) -> TrunkRoute | None:
        """How calls go out by a trunk; None while it is down, or every server of it asks to be left alone.

        Raises `KeyError` for one that is not known.
        """
        route = self._agent.route(name)
        if route is None:
            return None
        servers = self._holds.order((route.flow, *route.others), now=self._loop.time())
        return replace(route, flow=servers[0], others=servers[1:]) if servers else None

    def watch(self, response: Response, flow: Flow) -> None:
        """Note what a server answers to the calls of any worker: one that is full is left alone by all of them."""
        if response.status == 503 and response.cseq.method == "INVITE":
            wait_s = retry_after_s(response, longest_s=MAX_HOLD_S)
            self._holds.failed(flow, retry_after_s=wait_s, now=self._loop.time())

    def receive(self, data: bytes, flow: Flow) -> None:
        """Take one message, or a keep-alive's answer."""
        self._agent.receive(data, flow, now=self._loop.time())
        self._drain()

    def flow_lost(self, flow: Flow) -> None:
        """Take the news that a connection broke or could not be opened."""
        self._agent.flow_lost(flow, now=self._loop.time())
        self._drain()

    def _drain(self) -> None:
        while (output := self._agent.poll()) is not None:
            match output:
                case Transmit(data, flow):
                    self._transmit(data, flow)
                case ServersWanted(name):
                    task = self._loop.create_task(self._resolve(name))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                case TrunkChanged(name, up, detail):
                    self.up[name] = up
                    if up:
                        _logger.info("trunk %s is up", name)
                    else:
                        _logger.warning("trunk %s is down: %s", name, detail)
        if self._agent.closed:
            self._left.set()
        if self._timer is not None:
            self._timer.cancel()
        at = self._agent.timer_at()
        self._timer = None if at is None else self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._agent.handle_timer(now=self._loop.time())
        self._drain()

    async def _resolve(self, name: str) -> None:
        found: list[Flow] = []
        for uri in self._servers[name]:
            try:
                found += await self._resolver.find(uri, family=self._family)
            except OSError as error:
                _logger.warning("trunk %s: %s: %s", name, uri.host, error)
        self._agent.servers_found(name, _distinct(found), now=self._loop.time())
        self._drain()

    async def close(self, *, within_s: float = 2.0) -> None:
        """Take our bindings back and wait for the answers at most so long."""
        for task in self._tasks:
            task.cancel()
        self._agent.leave(now=self._loop.time())
        self._drain()
        try:
            async with asyncio.timeout(within_s):
                await self._left.wait()
        except TimeoutError:
            _logger.warning("a trunk did not answer that we leave it")
        if self._timer is not None:
            self._timer.cancel()


def _distinct(flows: Sequence[Flow]) -> tuple[Flow, ...]:
    return tuple(dict.fromkeys(flows))
