"""The edge registers with SIPp, refreshes, and leaves; and finds the server that lives."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from telephony.errors import LocalProtocolError
from telephony.settings import SipSettings, SipTrunkSettings
from telephony.sip.dispatch import SipDispatcher
from telephony.sip.flow import Flow
from telephony.sip.from_settings import new_token
from telephony.sip.identity import Identity
from telephony.sip.message import Request, Response, parse_message
from telephony.sip.resolution import Resolver
from telephony.sip.sockets import SipSockets
from telephony.sip.timers import Timings
from telephony.sip.trunk_endpoint import TrunkEndpoint, trunk_config
from telephony.sip.trunk_events import TrunkRoute
from tests.integration.telephony.name_server import name_server
from tests.integration.telephony.sip_house import far_end, free_port, house
from tests.unit.telephony.sip.messages import OFFER, request_bytes, response_bytes
from tests.waiting import HUNG_S, eventually


@asynccontextmanager
async def registering(
    *trunks: SipTrunkSettings, timings: Timings | None = None, resolver: Resolver | None = None
) -> AsyncIterator[TrunkEndpoint]:
    sockets = SipSockets()
    _, port = await sockets.open("127.0.0.1", 0, tcp=True)
    dispatcher = SipDispatcher(sockets, pick_worker=lambda: None, on_worker_lost=lambda worker: None)
    endpoint = TrunkEndpoint(
        SipSettings(trunks=trunks),
        Identity("127.0.0.1", port),
        transmit=sockets.transmit,
        new_token=new_token,
        resolver=resolver or Resolver(),
        timings=timings,
    )
    dispatcher.attach_trunks(endpoint)
    endpoint.start()
    yield endpoint
    await endpoint.close()
    await dispatcher.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_trunk_is_registered_with_refreshed_and_left(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", "gizli")
    async with far_end("uas_register", folder=tmp_path, transport=transport) as (port, sipp):
        trunk = SipTrunkSettings(
            name="pbx",
            # The first server does not listen: over TCP that is known at once, over UDP by a short timer F.
            servers=(f"sip:127.0.0.1:{free_port()};transport=tcp", f"sip:localhost:{port};transport={transport}"),
            username="aysel",
            password_env="TRUNK_PASSWORD",
            expires_s=60,
            keep_alive_s=0.5,
        )
        async with registering(trunk) as trunks:
            await eventually(lambda: trunks.up["pbx"])
            route = trunks.route("pbx")
            assert route is not None
            assert (route.flow.port, route.user, route.domain) == (port, "aysel", "127.0.0.1")
            await asyncio.sleep(2.2)  # the registrar's two seconds
            assert trunks.up["pbx"]

        assert await sipp == ""


async def test_a_trunk_without_registration_is_probed_by_options() -> None:
    async with house() as pbx:
        dead, alive = f"sip:127.0.0.1:{free_port()};transport=tcp", f"sip:127.0.0.1:{pbx.port}"
        trunk = SipTrunkSettings(name="pbx", servers=(dead, alive), registers=False, options_s=0.2)
        async with registering(trunk, timings=Timings(t1_s=0.01)) as trunks:
            await eventually(lambda: trunks.up["pbx"])
            pbx.has_room = False  # OPTIONS is answered 503 as an INVITE would be
            await eventually(lambda: not trunks.up["pbx"])
            assert trunks.route("pbx") is None


async def test_a_name_that_leads_nowhere_brings_no_trunk_up_and_does_not_hold_up_the_end() -> None:
    trunk = SipTrunkSettings(name="pbx", servers=("sip:nowhere.invalid",))
    async with registering(trunk) as trunks:
        await asyncio.sleep(0.05)
        assert trunks.up == {"pbx": False}


def test_a_password_that_is_not_in_the_environment_is_named() -> None:
    trunk = SipTrunkSettings(name="pbx", servers=("sip:pbx.example",), password_env="NO_SUCH_VARIABLE")

    with pytest.raises(LocalProtocolError, match="NO_SUCH_VARIABLE"):
        trunk_config(trunk, Identity("127.0.0.1", 5060))


async def test_a_registrar_calls_over_the_connection_that_we_opened_and_pings_are_answered() -> None:
    statuses: asyncio.Queue[int] = asyncio.Queue()
    pings: asyncio.Queue[bytes] = asyncio.Queue()
    connections = itertools.count()

    async def registrar(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(connections):  # it is gone: the trunk tries again, sooner on a busy machine than the test ends
            writer.close()
            return
        register = parse_message(await reader.readuntil(b"\r\n\r\n"))
        assert isinstance(register, Request)
        writer.write(response_bytes(register, 200, extra="Expires: 300\r\n"))
        await pings.put(await reader.readexactly(4))
        writer.write(b"\r\n" + request_bytes(body=OFFER, transport="TCP"))
        answer = parse_message(await reader.readuntil(b"\r\n\r\n"))
        assert isinstance(answer, Response)
        await statuses.put(answer.status)
        writer.close()

    server = await asyncio.start_server(registrar, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    trunk = SipTrunkSettings(name="pbx", servers=(f"sip:127.0.0.1:{port};transport=tcp",), keep_alive_s=0.05)
    async with registering(trunk) as trunks, asyncio.timeout(HUNG_S):
        assert await pings.get() == b"\r\n\r\n"
        assert await statuses.get() == 503  # the edge itself, with no worker behind it
        await eventually(lambda: not trunks.up["pbx"])  # its connection is gone
        server.close()


async def test_a_trunk_that_is_a_name_has_every_server_of_its_services() -> None:
    zone = "_sip._udp SRV 20 0 5070 b\n_sip._udp SRV 10 0 5060 a\na A 127.0.0.1\nb A 127.0.0.2\n"
    async with name_server(zone) as dns:
        trunk = SipTrunkSettings(name="pbx", servers=("sip:example.az",), registers=False)
        async with registering(trunk, resolver=Resolver(servers=(dns.address,))) as edge:
            await eventually(lambda: edge.up["pbx"])

            assert edge.route("pbx") == TrunkRoute(
                Flow("udp", "127.0.0.1", 5060), "example.az", "bot", others=(Flow("udp", "127.0.0.2", 5070),)
            )


async def test_a_server_that_is_full_is_left_alone_by_every_worker() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        first, second = Flow("udp", "127.0.0.1", server.getsockname()[1]), Flow("udp", "127.0.0.2", 5070)
        servers = tuple(f"sip:{flow.host}:{flow.port}" for flow in (first, second))
        async with registering(SipTrunkSettings(name="pbx", servers=servers, registers=False)) as edge:
            await eventually(lambda: edge.up["pbx"])
            edge_address = ("127.0.0.1", edge._agent._trunks["pbx"]._config.identity.port)

            def refuse(method: str, status: int, extra: str) -> None:
                asked = parse_message(request_bytes(method))
                assert isinstance(asked, Request)
                server.sendto(response_bytes(asked, status, extra=extra), edge_address)

            def order() -> list[Flow]:
                route = edge.route("pbx")
                return [] if route is None else [route.flow, *route.others]

            refuse("OPTIONS", 503, "Retry-After: 60\r\n")  # of something else, and no call
            refuse("INVITE", 486, "")
            refuse("INVITE", 503, "")
            await eventually(lambda: order() == [second, first])
            refuse("INVITE", 503, "Retry-After: 60\r\n")
            await eventually(lambda: order() == [second])
            edge._holds.failed(second, retry_after_s=60.0, now=asyncio.get_running_loop().time())
            assert order() == []
