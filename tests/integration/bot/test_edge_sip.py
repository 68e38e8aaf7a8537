"""The edge's SIP side as the service builds it: sockets, TLS, trunks."""

from __future__ import annotations

import asyncio
import os
import socket
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bot.edge.sip import EdgeSip
from bot.errors import ServiceStartError
from telephony.settings import RtpSettings, SipSettings, SipTlsSettings, SipTrunkSettings
from telephony.sip.carrier_frame import MessageFrame, pack
from telephony.sip.flow import Flow
from tests.fakes.certificates import issue
from tests.integration.telephony.sip_house import far_end
from tests.unit.telephony.sip.messages import OFFER, request_bytes
from tests.waiting import HUNG_S, eventually


async def opened(settings: SipSettings) -> EdgeSip:
    return await EdgeSip.open(
        settings,
        pick=lambda: None,
        on_worker_lost=lambda index: None,
        call_limit_s=0,
        abilities=RtpSettings().abilities(),
    )


async def test_the_edge_registers_tells_which_trunks_are_up_and_leaves_before_it_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", "gizli")
    async with far_end("uas_register", folder=tmp_path) as (port, sipp):
        trunk = SipTrunkSettings(
            name="pbx",
            servers=(f"sip:127.0.0.1:{port}",),
            username="aysel",
            password_env="TRUNK_PASSWORD",
            expires_s=60,
        )
        edge = await opened(SipSettings(port=0, trunks=(trunk,)))
        assert (edge.trunks_up, edge.route("pbx")) == ({"pbx": False}, None)
        edge.register()
        async with asyncio.timeout(HUNG_S):
            while not edge.trunks_up["pbx"]:
                await asyncio.sleep(0.01)
        assert edge.route("pbx") is not None
        await asyncio.sleep(2.0)  # the registrar waits for one refresh
        await edge.leave()
        await edge.close()

        assert await sipp == ""


async def test_a_worker_is_told_both_public_ports(tmp_path: Path) -> None:
    files = issue(tmp_path)
    tls = SipTlsSettings(port=0, certificate=str(files.certificate), key=str(files.key))
    edge = await opened(SipSettings(port=0, tls=tls))
    inherited = edge.inheritance(0)

    assert inherited.argv[2:4] == ("--sip-port", str(edge.port))
    assert inherited.argv[4] == "--sip-tls-port"
    assert int(inherited.argv[5]) > 0
    inherited.started()
    await edge.close()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (SipSettings(port=0, tls=SipTlsSettings(certificate="/nowhere.pem")), "[sip.tls]"),
        (
            SipSettings(port=0, trunks=(SipTrunkSettings(name="pbx", servers=("sip:x",), password_env="NOT_SET"),)),
            "NOT_SET",
        ),
        (SipSettings(host="192.0.2.1", port=0), "[sip] host, port"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_starts(settings: SipSettings, named: str) -> None:
    with pytest.raises(ServiceStartError) as failure:
        await opened(settings)

    assert named in str(failure.value)


async def test_what_came_to_nothing_and_which_calls_were_refused_is_told_to_prometheus() -> None:
    edge = await opened(SipSettings(port=0, toll_prices={"+994": Decimal(1)}))
    registry = CollectorRegistry()
    registry.register(edge)  # type: ignore[arg-type]  # duck-typed collector
    worker = edge.inheritance(0)
    theirs = socket.socket(fileno=os.dup(worker.fds[0]))
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.connect(("127.0.0.1", edge.port))
        caller.setblocking(False)
        caller.send(b"GET / HTTP/1.1\r\n\r\n")
        caller.send(request_bytes(body=OFFER).replace(b";branch", b";rport;branch"))
        assert (await asyncio.wait_for(loop.sock_recv(caller, 4096), HUNG_S)).startswith(b"SIP/2.0 503 ")
    nowhere = Flow("udp", "::1", 9)
    theirs.send(pack(MessageFrame(request_bytes(uri="sip:+1900555@192.0.2.50", body=OFFER), nowhere)))
    theirs.send(pack(MessageFrame(request_bytes("OPTIONS"), nowhere)))
    assert b"403" in await asyncio.wait_for(loop.sock_recv(theirs, 4096), HUNG_S)
    await eventually(lambda: registry.get_sample_value("zeng_sip_unsent_total") == 1)

    assert registry.get_sample_value("zeng_sip_malformed_total") == 1
    assert registry.get_sample_value("zeng_sip_full_total") == 1
    assert registry.get_sample_value("zeng_sip_toll_refused_total", {"why": "not_named"}) == 1
    theirs.close()
    worker.started()
    await edge.close()
