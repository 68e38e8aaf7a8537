"""The edge's SIP side as the service builds it: sockets, TLS, trunks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.edge.sip import EdgeSip
from bot.errors import ServiceStartError
from telephony.settings import RtpSettings, SipSettings, SipTlsSettings, SipTrunkSettings
from tests.fakes.certificates import issue
from tests.integration.telephony.sip_house import far_end
from tests.waiting import HUNG_S


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
