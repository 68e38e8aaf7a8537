"""`Service`: composition root of the edge process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from prometheus_client import CollectorRegistry, Counter, generate_latest

from bot.edge.banner import banner
from bot.edge.children import Children, ChildSpec, Inheritance
from bot.edge.dialling import Dialling
from bot.edge.fetching import fetch_missing
from bot.edge.links import WorkerLinks
from bot.edge.metrics import join_expositions, trunk_exposition
from bot.edge.redis_server import free_port, redis_child
from bot.edge.sip import EdgeSip
from bot.edge.workers import WorkerPool
from bot.errors import ServiceStartError
from bot.flows import demo_service
from bot.flows.live import LiveFlow
from bot.flows.shipped import flow_path
from bot.settings import Settings
from bot.web.app import Info, WebParts, web_app
from bot.web.calls import CallsParts
from bot.web.serving import serve_web
from telephony.sip.uri import bracketed
from telephony.webrtc.turn import ice_servers
from tts_engine.descriptors import room_for_connections
from tts_engine.log import LogLevel
from tts_engine.punctual_http import punctual_http
from tts_engine.shipped import FOLDER
from tts_engine.urls import address


class Service:
    """Starts everything, serves until a signal, ends everything in the other order."""

    def __init__(self, settings: Settings, *, config: Path | None, demo: bool, log_level: LogLevel) -> None:
        self._settings = settings
        self._config = config
        self._demo = demo
        self._log_level = log_level
        self._registry = CollectorRegistry()
        falls = Counter(
            "zeng_process_falls",
            "Processes that ended unasked",
            ["name"],
            registry=self._registry,
        )
        self._children = Children(on_fall=lambda name: falls.labels(name).inc())
        self._names = tuple(f"worker-{n}" for n in range(settings.workers.count))
        self._pool = WorkerPool(self._names)
        self._sip: EdgeSip | None = None

    async def run(self) -> None:
        """Serve until SIGINT or SIGTERM. Raises `ServiceStartError` when something does not come up."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        with tempfile.TemporaryDirectory(prefix="zeng-") as directory:
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(self._children.stop, grace_s=5.0)
                links = await self._start(Path(directory), stack)
                await stop.wait()
                await self._drain(links)

    async def _start(self, directory: Path, stack: contextlib.AsyncExitStack) -> WorkerLinks:
        # First what a mistake in the settings breaks: the rest takes half a minute.
        LiveFlow(flow_path(self._settings.flow.path))
        self._api_token()
        listener = self._listen(stack)
        sip = await self._open_sip(stack)
        environment = await self._start_parts(directory)
        sockets = {name: directory / f"{name}.http" for name in self._names}
        links = WorkerLinks(sockets, self._pool)
        stack.push_async_callback(links.close)
        workers = [
            self._worker(index, sockets[name], environment, links, sip) for index, name in enumerate(self._names)
        ]
        await self._children.start(*workers)
        links.start()
        if sip is not None:
            sip.register()
        self._sip = sip
        await self._start_web(listener, links, sip, stack)
        return links

    def _listen(self, stack: contextlib.AsyncExitStack) -> socket.socket:
        web = self._settings.web
        try:
            listener = uvicorn.Config("", host=web.host, port=web.port, log_config=None).bind_socket()
        except SystemExit as error:
            raise ServiceStartError(
                f"cannot listen for HTTP on {web.host}:{web.port}; set [web] host or port"
            ) from error
        stack.callback(listener.close)
        return listener

    async def _start_parts(self, directory: Path) -> dict[str, str]:
        """Start what the workers need; returns their settings for it."""
        tts = self._settings.tts
        environment = {} if self._config is None else {"ZENG_CONFIG": str(self._config.resolve())}
        # What options of the command may have changed, over the file; the rest our servers read from there themselves.
        environment |= {
            "ZENG_TTS__BACKEND": tts.backend,
            "ZENG_TTS__CSM": tts.csm.model_dump_json(),
        }
        if not self._settings.redis.url:
            child, environment["ZENG_REDIS__URL"] = redis_child(directory)
            await self._children.start(child)
        if not self._settings.tts.redis_url:
            environment["ZENG_TTS__REDIS_URL"] = environment.get("ZENG_REDIS__URL", self._settings.redis.url)
        parts: list[ChildSpec] = []
        ports: set[int] = set()  # they are taken only when their servers have started
        if not self._settings.speech.url:
            server, environment["ZENG_SPEECH__URL"] = _server("speech server", "tts", environment, ports)
            parts.append(server)
        if not (self._settings.recogniser.url or self._settings.recogniser.pipecat):
            await asyncio.to_thread(fetch_missing, self._settings.recogniser_server.model, self._settings.models)
            server, url = _server("recogniser", "stt", environment, ports)
            environment["ZENG_RECOGNISER__URL"] = f"{url}/v1"
            environment["ZENG_RECOGNISER__MODEL"] = self._settings.recogniser_server.model
            parts.append(server)
        if self._demo:
            parts.append(self._demo_service(environment))
        await self._children.start(*parts)
        return environment

    def _demo_service(self, environment: dict[str, str]) -> ChildSpec:
        host, wanted = demo_service.HOST, demo_service.PORT
        port = free_port(host, wanted=wanted)  # whatever answers on the usual one is not ours
        argv = (sys.executable, "-m", "bot.edge.demo", str(port))
        ready = f"http://{host}:{port}/v1/bookings"
        flow = self._settings.flow
        environment["ZENG_FLOW__PRIVATE_HOSTS"] = json.dumps((*flow.private_hosts, host))
        if port != wanted:
            stand_ins = {**flow.stand_ins, f"{host}:{wanted}": f"{host}:{port}"}
            environment["ZENG_FLOW__STAND_INS"] = json.dumps(stand_ins)
            print(f"{host}:{wanted} is taken: the demo's bookings are on {host}:{port}", flush=True)  # noqa: T201
        return ChildSpec("demo's services", argv, lambda: _serves(ready))

    def _worker(
        self, index: int, http: Path, environment: Mapping[str, str], links: WorkerLinks, sip: EdgeSip | None
    ) -> ChildSpec:
        name = self._names[index]
        argv = (sys.executable, "-m", "bot.worker", str(index), str(len(self._names)), str(http))
        options = ("--log-level", self._log_level)
        inherit = Inheritance if sip is None else lambda: sip.inheritance(index)
        return ChildSpec(name, (*argv, *options), lambda: links.ready(name), environment, inherit=inherit)

    async def _open_sip(self, stack: contextlib.AsyncExitStack) -> EdgeSip | None:
        sip = self._settings.sip
        if not sip.enabled:
            return None
        edge = await EdgeSip.open(
            sip,
            call_limit_s=self._settings.workers.call_limit_s,
            abilities=self._settings.rtp.abilities(),
            pick=self._pick,
            on_worker_lost=lambda index: self._pool.lost(self._names[index]),
        )
        stack.push_async_callback(edge.close)
        return edge

    def _sip_uri(self, edge: EdgeSip | None) -> str:
        sip = self._settings.sip
        return "" if edge is None else f"sip:{sip.user}@{bracketed(sip.domain or sip.host)}:{edge.port}"

    def _pick(self) -> int | None:
        name = self._pool.pick()
        return None if name is None else self._names.index(name)

    async def _start_web(
        self, listener: socket.socket, links: WorkerLinks, sip: EdgeSip | None, stack: contextlib.AsyncExitStack
    ) -> None:
        web = self._settings.web
        info = self._info(self._sip_uri(sip))
        trunks = {} if sip is None else sip.trunks_up

        if sip is not None:
            self._registry.register(sip)  # type: ignore[arg-type]  # duck-typed collector

        async def metrics() -> bytes:
            edge = generate_latest(self._registry).decode()
            return join_expositions({"edge": edge, **await links.metrics()}) + trunk_exposition(trunks)

        def ice() -> dict[str, Any]:
            webrtc = self._settings.webrtc
            servers = ice_servers(webrtc, name="page", now_unix_s=time.time())
            policy = {"iceTransportPolicy": "relay"} if webrtc.relay_only else {}
            return {"iceServers": [server.as_json() for server in servers], **policy}

        calls = self._calls_parts(links, sip)
        records = links.calls if web.call_records else None
        parts = WebParts(
            info, links.offer, links.renew, ice, self._not_ready, metrics, lambda: links.flow_refused, calls, records
        )
        app = web_app(parts)
        http = punctual_http(request_timeout_s=web.request_timeout_s, most_connections=room_for_connections())
        config = uvicorn.Config(app, http=http, log_config=None, access_log=False, ws="none", lifespan="off")
        serve_web(config, stack, sockets=[listener])
        print(banner(info, f"http://{bracketed(web.host)}:{listener.getsockname()[1]}"), flush=True)  # noqa: T201  # for the person

    def _calls_parts(self, links: WorkerLinks, sip: EdgeSip | None) -> CallsParts | None:
        if sip is None:
            return None
        dialling = Dialling(sip, links)
        return CallsParts(dialling.dial, dialling.status, dialling.hang_up, self._api_token())

    def _api_token(self) -> str:
        """Read the token that placing calls needs; "" where none is asked for."""
        name = self._settings.web.api_token_env
        token = os.environ.get(name, "") if name else ""
        if name and not token:
            raise ServiceStartError(f"[web] api_token_env names {name}, which is not in the environment")
        return token

    def _info(self, sip_uri: str) -> Info:
        settings = self._settings
        url = settings.recogniser.url
        own = f"{settings.recogniser_server.model} (on this machine)"
        recogniser = settings.recogniser.pipecat or (f"{settings.recogniser.model} ({address(url)})" if url else own)
        understanding = settings.understanding
        first_voice = address(settings.speech.url) or settings.tts.voice or self._voice()
        return Info(
            flow=settings.flow.path,
            recogniser=recogniser,
            understanding=f"rules, then {understanding.llm_model or understanding.engine}",
            voice=", ".join((first_voice, *map(address, settings.speech.more_urls))),
            sip_uri=sip_uri,
        )

    def _voice(self) -> str:
        tts = self._settings.tts
        ships = tts.backend != "espeak" and Path(tts.csm.model) == FOLDER
        return "the demonstration's (--voice espeak: espeak-ng)" if ships else f"{tts.backend}'s default"

    def _not_ready(self) -> str | None:
        if self._pool.draining:
            return "draining"
        if not self._pool.serving:
            return "no worker answers"
        return None if self._pool.free else "all places are taken"

    async def _drain(self, links: WorkerLinks) -> None:
        """Take no new calls and wait for those under way, at most `[workers] drain_s` or until a second Ctrl-C.

        What is left then is hung up, while all that takes is still there.
        """
        self._pool.drain()
        if self._sip is not None:
            await self._sip.leave()
        await links.drain()
        if not self._pool.active:
            return
        hurry = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, hurry.set)
        print(f"waiting for {self._pool.active} calls to end (Ctrl-C again to cut them)", flush=True)  # noqa: T201
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.workers.drain_s):
                while self._pool.active and not hurry.is_set():  # noqa: ASYNC110  # the counts come by polling
                    await asyncio.sleep(0.1)
        await links.hang_up()


def _server(name: str, command: str, environment: Mapping[str, str], taken: set[int]) -> tuple[ChildSpec, str]:
    """One of our servers on a port of its own, which joins `taken`; what to run and its URL."""
    while (port := free_port()) in taken:
        pass
    taken.add(port)
    url = f"http://127.0.0.1:{port}"
    argv = (sys.executable, "-m", "bot.cli", command, "serve", "--host", "127.0.0.1", "--port", str(port))
    return ChildSpec(name, argv, lambda: _serves(f"{url}/readyz"), dict(environment)), url


async def _serves(url: str) -> bool:
    try:
        # On this machine, without TLS: to read the authorities would take 20 ms at every look.
        async with httpx.AsyncClient(timeout=1.0, trust_env=False, verify=False) as client:  # noqa: S501
            return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False
