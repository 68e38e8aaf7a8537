"""Two bots call each other over TLS and over IPv6: straight and through the dispatcher."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from telephony.errors import LegEndedError, LocalProtocolError
from telephony.leg import OUTPUT_FRAME_BYTES, AudioReceived, CallLeg, EndCause, LegEnded
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings, SipTlsNameSettings, SipTlsSettings
from telephony.sip.endpoint import SipEndpoint, serve_sip
from telephony.sip.tls import tls_contexts
from tests.fakes.certificates import Certificates, issue
from tests.integration.telephony.sip_house import Carriage, House, house
from tests.waiting import HUNG_S


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

        assert callee.ends() == [LegEnded(EndCause.CALLER_HUNG_UP, "Q.850;cause=16")]


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


async def test_sound_crosses_ipv6() -> None:
    heard: list[int] = []

    async def listen(leg: CallLeg) -> None:
        await leg.answer()
        while len(heard) < 10:
            event = await leg.receive()
            if isinstance(event, AudioReceived) and any(event.pcm):
                heard.append(event.media_time_ms)
        await leg.hang_up()

    settings = SipSettings(host="::1", port=0, outbound_allowed=("*@::1",))
    async with contextlib.AsyncExitStack() as stack:
        endpoints: list[SipEndpoint] = []
        tasks: list[asyncio.Task[None]] = []
        for low in (41_000, 41_100):
            media = RtpMediaFactory(RtpSettings(host="::1", port_min=low, port_max=low + 9))
            await media.start()
            stack.push_async_callback(media.stop)
            endpoint, sockets = await serve_sip(
                settings, media=media, on_call=lambda leg: tasks.append(asyncio.create_task(listen(leg)))
            )
            stack.push_async_callback(sockets.close)
            stack.push_async_callback(endpoint.close)
            endpoints.append(endpoint)
        leg = await endpoints[0].place_call(f"sip:bot@[::1]:{sockets.address[1]}")
        await leg.answer()
        async with asyncio.timeout(HUNG_S):
            with contextlib.suppress(LegEndedError):
                while True:
                    await leg.play(bytes([0x40, 0x20]) * (OUTPUT_FRAME_BYTES // 2))
        await asyncio.gather(*tasks)

    assert len(heard) == 10


@pytest.mark.parametrize(
    ("called", "named"),
    [
        ("sip.baku.az", "sip.baku.az"),
        ("a.ganja.az", "*.ganja.az"),
        ("a.b.ganja.az", "localhost"),
        ("elsewhere.az", "localhost"),
        (None, "localhost"),
    ],
)
async def test_the_certificate_is_the_one_of_the_name_that_we_are_called_by(
    called: str | None, named: str, certificates: Certificates, tmp_path: Path
) -> None:
    others = {name: issue(tmp_path / str(n), name) for n, name in enumerate(("sip.baku.az", "*.ganja.az"))}
    names = tuple(
        SipTlsNameSettings(server_names=(name,), certificate=str(files.certificate), key=str(files.key))
        for name, files in others.items()
    )
    tls = secured(certificates).model_copy(update={"names": names})
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    async with house(tls=tls) as ours:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", ours.sockets.tls_port, ssl=anybody, server_hostname=called or ""
        )
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()

    alternatives = x509.load_der_x509_certificate(shown).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert alternatives.value.get_values_for_type(x509.DNSName) == [named]


def test_more_certificates_need_a_first_one(certificates: Certificates) -> None:
    name = SipTlsNameSettings(server_names=("sip.baku.az",), certificate=str(certificates.certificate))

    with pytest.raises(ValueError, match="names without certificate"):
        SipTlsSettings(names=(name,))
