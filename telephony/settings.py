"""Settings of the telephony package: sections `[sip]`, `[rtp]`, `[webrtc]`, `[stream]`."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from telephony.media import CodecName, MediaAbilities, SrtpPolicy


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SipTlsNameSettings(_Section):
    """One more certificate of ours, for those who call us by other names (SNI, RFC 6066)."""

    server_names: tuple[str, ...] = Field(min_length=1)  # such as sip.example.az; *.example.az for all beneath it
    certificate: str = Field(min_length=1)  # PEM file with the chain
    key: str = ""  # PEM file; empty: in the certificate's file


class SipTlsSettings(_Section):
    """SIP over TLS: heard where there is a certificate; peers can be reached by it without one."""

    port: int = Field(default=5061, ge=0, le=65535)  # 0: any free port
    certificate: str = ""  # PEM file with our chain; empty: TLS is not heard
    key: str = ""  # PEM file; empty: in the certificate's file
    authorities: str = ""  # PEM file that peers' certificates are checked against; empty: the system's
    client_certificates: bool = False  # demand one of whoever connects
    names: tuple[SipTlsNameSettings, ...] = ()  # more certificates; whom none fits gets the one above

    @model_validator(mode="after")
    def _has_first(self) -> Self:
        if self.names and not self.certificate:
            raise ValueError("[sip.tls] names without certificate: say which one others get")
        return self


WRITTEN_ADDRESS = r"sips?:(?:[^\s@<>\"]+@)?(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
"""What people write for whom to call, in any case, before parameters: stricter than a URI, so that slips are told."""

_SIP_URI = re.compile(rf"{WRITTEN_ADDRESS}(?:;[^\s<>\"]*)?", re.IGNORECASE)


class SipTrunkSettings(_Section):
    """A provider or PBX that calls go out by; the edge registers with it where it asks for that."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_-]+$")
    servers: tuple[str, ...] = Field(min_length=1)  # SIP URIs in the order to try them; so is every server of a name
    domain: str = ""  # of our address of record; empty: the first server's host
    username: str = ""  # user part of our address of record; empty: [sip] user
    auth_username: str = ""  # for digest; empty: username
    password_env: str = ""  # environment variable with the password; empty: no credentials
    registers: bool = True
    outbound: bool = False  # name our instance and flow (RFC 5626)
    expires_s: int = Field(default=300, ge=30, le=86_400)  # asked for; the registrar may say otherwise
    keep_alive_s: float = Field(default=25.0, ge=0)  # CRLF so often, for NATs; 0: never
    options_s: float = Field(default=0.0, ge=0)  # OPTIONS so often; 0: never

    @field_validator("servers")
    @classmethod
    def _are_uris(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for server in servers:
            if not _SIP_URI.fullmatch(server):
                raise ValueError(f"{server!r} is no SIP URI: write sip:{server.partition('://')[2] or server}")
        return servers


def _networks(sources: tuple[str, ...]) -> tuple[str, ...]:
    for source in sources:
        try:
            ipaddress.ip_network(source)
        except ValueError as error:
            wrong = f"{source!r} is no network ({error})" if "/" in source else f"{source!r} is no address"
            raise ValueError(
                f"{wrong}: write addresses or networks, not names, such as 192.0.2.10 or 10.0.0.0/8"
            ) from None
    return sources


_Networks = Annotated[tuple[str, ...], AfterValidator(_networks)]


class SipSettings(_Section):
    """Where SIP is heard and how the user agent behaves."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=5060, ge=0, le=65535)  # 0: any free port
    user: str = "bot"
    domain: str = ""  # empty: the host
    tcp: bool = True
    digest_users: dict[str, str] = Field(default_factory=dict[str, str])  # empty: no challenge
    digest_integrity: bool = False  # demand auth-int, so that nobody can change a body; few phones can do it
    trusted_peers: _Networks = ()  # networks of trunks: believed about who calls, not asked for a password
    outbound_allowed: tuple[str, ...] = ()  # whom we may call, such as +994*@sip.example; !… forbids; empty: nobody
    session_expires_s: int = Field(default=1800, ge=0, le=86_400)  # how often a call shows that it lives; 0: never
    session_min_s: int = Field(default=90, ge=90, le=86_400)  # the least that a peer may ask for
    accept_replaces: bool = False  # whether who knows a call's tags may take its place (attended transfer to us)
    accept_refer: Literal["never", "trusted", "listed"] = "never"  # who may move a call to whom outbound_allowed names
    transfer_timeout_s: float = Field(default=60.0, gt=0)  # how long a transfer may take to be answered
    send_digits: Literal["auto", "rfc4733", "info", "inband"] = "auto"  # auto: the first of them that the far end takes
    failover_s: float = Field(default=4.0, gt=0)  # how long a server may be silent where there is another to ask
    dns_services: bool = True  # look names up by NAPTR and SRV (RFC 3263), not only for their addresses
    dns_servers: tuple[str, ...] = ()  # whom to ask, as address or address:port; empty: whom the system asks
    tls: SipTlsSettings = SipTlsSettings()
    trunks: tuple[SipTrunkSettings, ...] = ()
    allowed_sources: _Networks = ("127.0.0.0/8", "::1/128")  # who may call; others get no answer at all
    messages_per_s: float = Field(default=500.0, gt=0)  # of one source; what is beyond is dropped
    message_burst: int = Field(default=1000, ge=1)
    toll_prices: dict[str, Decimal] = Field(default_factory=dict[str, Decimal])  # by prefix or @host; empty: no tolls
    toll_calls_per_minute: int = Field(default=10, ge=1)  # that go out, of the whole service
    toll_money_per_day: Decimal = Field(default=Decimal(20), ge=0)  # in the currency of the prices

    @field_validator("outbound_allowed")
    @classmethod
    def _have_hosts(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            _, at, host = pattern.rpartition("@")
            if not at or not host:
                raise ValueError(f"{pattern!r} is not of the form user@host: write it as +994*@sip.example")
        return patterns

    @field_validator("trunks")
    @classmethod
    def _have_own_names(cls, trunks: tuple[SipTrunkSettings, ...]) -> tuple[SipTrunkSettings, ...]:
        names = [trunk.name for trunk in trunks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is the name of two trunks: give each its own")
        return trunks


class RtpSettings(_Section):
    """RTP ports, codecs, encryption and playout."""

    host: str = ""  # address to bind; empty: as [sip] host
    public_host: str = ""  # what SDP says, behind NAT; empty: host, or the default route's address if that is all
    port_min: int = Field(default=20_000, ge=1024, le=65534)
    port_max: int = Field(default=29_999, ge=1025, le=65535)
    codecs: tuple[CodecName, ...] = ("opus", "G722", "PCMU", "PCMA")  # taken and offered, the best first
    codec_choice: Literal["theirs", "ours"] = "theirs"  # whose order counts when a peer offers several
    srtp: SrtpPolicy = "accepted"  # by SDES (RFC 4568); "offered" asks for it, plain RTP will do; "required" will not
    comfort_noise: bool = False  # send RFC 3389 noise in the bot's pauses instead of packets of silence, where agreed
    inband_digits: Literal["never", "fallback", "always"] = "fallback"  # heard as tones; fallback: without RFC 4733
    tones: bool = True  # busy, fax, answering machine and the like are told to the bot
    playout_min_ms: int = Field(default=20, ge=0, le=200)
    playout_max_ms: int = Field(default=200, ge=40, le=1000)
    lead_ms: int = Field(default=400, ge=40, le=1000)  # how far ahead the bot may queue; a barge-in drops it
    silence_timeout_s: float = Field(default=30.0, gt=0)  # no RTP at all for so long ends the call

    @model_validator(mode="after")
    def _check_codecs(self) -> Self:
        if not self.codecs or len(set(self.codecs)) != len(self.codecs):
            raise ValueError("[rtp] codecs: name at least one codec, and each once")
        return self

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        if self.pairs() < 1:
            raise ValueError(
                f"[rtp] port_min {self.port_min} to port_max {self.port_max} holds no pair of ports: "
                "write the lower one as port_min, an even number"
            )
        if self.playout_min_ms > self.playout_max_ms:
            raise ValueError("[rtp] playout_min_ms is above playout_max_ms: exchange them")
        return self

    def share(self, index: int, count: int) -> RtpSettings:
        """The part of the range that one of `count` workers has to itself, so that none tries another's ports."""
        ports = (self.port_max - self.port_min + 1) // count // 2 * 2
        low = self.port_min + ports * index
        return self.model_copy(update={"port_min": low, "port_max": low + ports - 1})

    def pairs(self) -> int:
        """How many calls the range holds at once: RTP on an even port, RTCP on the next (RFC 3550 section 11)."""
        return max(0, (self.port_max - self.port_min - self.port_min % 2 + 1) // 2)

    def abilities(self, srtp_keys: tuple[bytes, ...] = ()) -> MediaAbilities:
        """What one media session can do; without keys only an offer can be looked at."""
        return MediaAbilities(self.codecs, self.codec_choice, self.srtp, srtp_keys, self.comfort_noise)


class WebRtcSettings(_Section):
    """WebRTC legs."""

    enabled: bool = True
    hosts: tuple[str, ...] = ()  # addresses to be reached at; empty: all of this machine
    allow_loopback: bool = True  # 127.0.0.1 too, for a caller on this machine
    stun_urls: tuple[str, ...] = ()  # "stun:stun.example.com:3478", for callers who look for their own address
    turn_urls: tuple[str, ...] = ()  # "turn:turn.example.com:3478?transport=udp", for callers behind strict NAT
    turn_secret: SecretStr = SecretStr("")  # coturn's static-auth-secret; the page is given credentials made from it
    turn_ttl_s: int = Field(default=3600, ge=60)  # how long such credentials are good for
    relay_only: bool = False  # have the page use TURN only: we then do not learn its address
    own_relay_only: bool = False  # use TURN only on our side: for a bot that no UDP reaches, or that hides its address
    connect_timeout_s: float = Field(default=15.0, gt=0)
    silence_timeout_s: float = Field(default=15.0, gt=0)  # no media at all for so long ends the call
    lead_ms: int = Field(default=400, ge=40, le=1000)  # how far ahead the bot may queue; a barge-in drops it

    @field_validator("stun_urls", "turn_urls")
    @classmethod
    def _are_ice_urls(cls, urls: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        scheme = str(info.field_name).removesuffix("_urls")
        for url in urls:
            if not re.match(rf"{scheme}s?:[^/]", url):  # RFC 7064, RFC 7065: no slashes
                bare = url.rpartition("//")[2].removeprefix(f"{scheme}:").removeprefix(f"{scheme}s:")
                raise ValueError(f"{url!r} is no {scheme.upper()} address: write {scheme}:{bare}")
        return urls

    @model_validator(mode="after")
    def _check_turn(self) -> Self:
        if self.turn_urls and not self.turn_secret.get_secret_value():
            raise ValueError("[webrtc] turn_urls without turn_secret: give the TURN server's static-auth-secret")
        if (self.relay_only or self.own_relay_only) and not self.turn_urls:
            raise ValueError("[webrtc] relay_only or own_relay_only without turn_urls: nobody could call")
        return self


class StreamSettings(_Section):
    """Calls over Asterisk's AudioSocket or a media WebSocket; off where the port is 0."""

    host: str = "127.0.0.1"
    audiosocket_port: int = Field(default=0, ge=0, le=65535)
    websocket_port: int = Field(default=0, ge=0, le=65535)
    websocket_token: SecretStr = SecretStr("")  # last part of the path: /asterisk/TOKEN, /twilio/TOKEN
    allowed_sources: _Networks = ("127.0.0.0/8", "::1/128")  # who may connect
    lead_ms: int = Field(default=400, ge=40, le=1000)  # how far ahead the bot may queue; a barge-in drops it
    silence_timeout_s: float = Field(default=30.0, gt=0)  # no sound at all for so long ends the call

    @model_validator(mode="after")
    def _has_token(self) -> Self:
        if self.websocket_port and len(self.websocket_token.get_secret_value()) < 16:
            raise ValueError(
                "[stream] websocket_token needs 16 characters or more, such as from `openssl rand -hex 16`"
            )
        if self.websocket_port and self.websocket_port == self.audiosocket_port:
            raise ValueError(f"[stream] audiosocket_port and websocket_port are both {self.websocket_port}: change one")
        return self
