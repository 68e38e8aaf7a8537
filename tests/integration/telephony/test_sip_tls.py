"""Two bots call each other over TLS and over IPv6: straight and through the dispatcher."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from telephony.errors import LegEndedError, LocalProtocolError
from telephony.leg import EndCause, LegEnded
from telephony.settings import SipTlsSettings
from telephony.sip.tls import tls_contexts
from tests.fakes.certificates import Certificates, issue
from tests.integration.telephony.sip_house import Carriage, House, house


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return issue(tmp_path_factory.mktemp("tls"), "localhost")


def secured(files: Certificates, *, client_certificates: bool = False, authority: Path | None = None) -> SipTlsSettings:
    return SipTlsSettings(
        port=0,
        certificate=str(files.certificate),
        key=str(files.key),
        authorities=str(authority or files.authority),
        client_certificates=client_certificates,
    )


async def converse(caller: House, target: str) -> None:
    leg = await caller.endpoints[-1].place_call(target, caller="bot")
    await leg.answer()
    await leg.hold(on_hold=True)
    await leg.hang_up()
    while not isinstance(event := await leg.receive(), LegEnded):
        pass
    assert event == LegEnded(EndCause.BOT_HUNG_UP)


@pytest.mark.parametrize("carriage", ["straight", "dispatched"])
@pytest.mark.parametrize(("host", "scheme"), [("127.0.0.1", "sip"), ("127.0.0.1", "sips"), ("::1", "sip")])
async def test_a_call_over_tls_is_placed_held_and_hung_up(
    carriage: Carriage, host: str, scheme: str, certificates: Certificates
) -> None:
    tls = secured(certificates, client_certificates=True)
    async with house(carriage=carriage, tls=tls, host=host) as callee, house(tls=tls, host=host) as caller:
        await converse(caller, callee.uri("tls", scheme=scheme))
        await callee.settled()

        assert callee.ends() == [LegEnded(EndCause.CALLER_HUNG_UP, "Q.850;cause=16")]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("carriage", ["straight", "dispatched"])
async def test_a_call_over_ipv6_is_placed_held_and_hung_up(carriage: Carriage, transport: str) -> None:
    async with house(carriage=carriage, host="::1") as callee, house(host="::1") as caller:
        await converse(caller, callee.uri(transport))
        await callee.settled()


async def test_a_name_is_resolved_and_its_certificate_must_bear_it(certificates: Certificates, tmp_path: Path) -> None:
    stranger = issue(tmp_path / "other", "elsewhere.example")
    async with (
        house(tls=secured(certificates)) as callee,
        house(tls=secured(certificates)) as caller,
        house(tls=secured(certificates, authority=stranger.authority)) as doubter,
    ):
        target = f"sip:bot@localhost:{callee.sockets.tls_port};transport=tls"
        await converse(caller, target)
        leg = await doubter.endpoints[-1].place_call(target)
        with pytest.raises(LegEndedError):
            await leg.answer()

        assert await leg.receive() == LegEnded(EndCause.FAILED, "no answer to INVITE: transport")
        await callee.settled()
        assert len(callee.told) == 1


async def test_who_shows_no_certificate_is_turned_away_where_one_is_demanded(certificates: Certificates) -> None:
    bare = SipTlsSettings(authorities=str(certificates.authority))
    async with (
        house(tls=secured(certificates, client_certificates=True)) as callee,
        house(tls=bare) as caller,
    ):
        assert caller.sockets.tls_port == 0
        leg = await caller.endpoints[-1].place_call(callee.uri("tls"))
        with pytest.raises(LegEndedError):
            await leg.answer()
        await asyncio.sleep(0)
        assert callee.told == []


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(LocalProtocolError, match=r"\[sip.tls\]"):
        tls_contexts(SipTlsSettings(certificate=str(tmp_path / "none.pem")))
