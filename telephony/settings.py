"""Settings of the telephony package: sections `[sip]`, `[rtp]`, `[webrtc]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SipTlsSettings(_Section):
    """SIP over TLS: heard where there is a certificate; peers can be reached by it without one."""

    port: int = Field(default=5061, ge=0, le=65535)  # 0: any free port
    certificate: str = ""  # PEM file with our chain; empty: TLS is not heard
    key: str = ""  # PEM file; empty: in the certificate's file
    authorities: str = ""  # PEM file that peers' certificates are checked against; empty: the system's
    client_certificates: bool = False  # demand one of whoever connects


class SipTrunkSettings(_Section):
    """A provider or PBX that calls go out by; the edge registers with it where it asks for that."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_-]+$")
    servers: tuple[str, ...] = Field(min_length=1)  # SIP URIs in the order to try them; so is every address of a name
    domain: str = ""  # of our address of record; empty: the first server's host
    username: str = ""  # user part of our address of record; empty: [sip] user
    auth_username: str = ""  # for digest; empty: username
    password_env: str = ""  # environment variable with the password; empty: no credentials
    registers: bool = True
    outbound: bool = False  # name our instance and flow (RFC 5626)
    expires_s: int = Field(default=300, ge=30, le=86_400)  # asked for; the registrar may say otherwise
    keep_alive_s: float = Field(default=25.0, ge=0)  # CRLF so often, for NATs; 0: never
    options_s: float = Field(default=0.0, ge=0)  # OPTIONS so often; 0: never


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
    trusted_peers: tuple[str, ...] = ()  # networks of trunks: believed about who calls, not asked for a password
    outbound_allowed: tuple[str, ...] = ()  # whom we may call, such as +994*@sip.example; !… forbids; empty: nobody
    session_expires_s: int = Field(default=1800, ge=0, le=86_400)  # how often a call shows that it lives; 0: never
    session_min_s: int = Field(default=90, ge=90, le=86_400)  # the least that a peer may ask for
    accept_replaces: bool = False  # whether who knows a call's tags may take its place (attended transfer to us)
    transfer_timeout_s: float = Field(default=60.0, gt=0)  # how long a transfer may take to be answered
    tls: SipTlsSettings = SipTlsSettings()
    trunks: tuple[SipTrunkSettings, ...] = ()


class RtpSettings(_Section):
    """RTP ports and playout."""

    host: str = ""  # address to bind; empty: as [sip] host
    public_host: str = ""  # what SDP says, behind NAT; empty: host, or the default route's address if that is all
    port_min: int = Field(default=20_000, ge=1024, le=65534)
    port_max: int = Field(default=29_999, ge=1025, le=65535)
    playout_min_ms: int = Field(default=20, ge=0, le=200)
    playout_max_ms: int = Field(default=200, ge=40, le=1000)
    lead_ms: int = Field(default=200, ge=40, le=1000)  # how far ahead the bot may queue
    silence_timeout_s: float = Field(default=30.0, gt=0)  # no RTP at all for so long ends the call


class WebRtcSettings(_Section):
    """WebRTC legs."""

    enabled: bool = True
    hosts: tuple[str, ...] = ()  # addresses to be reached at; empty: all of this machine
    allow_loopback: bool = True  # 127.0.0.1 too, for a caller on this machine
    stun_urls: tuple[str, ...] = ()
    connect_timeout_s: float = Field(default=15.0, gt=0)
    silence_timeout_s: float = Field(default=15.0, gt=0)  # no media at all for so long ends the call
    lead_ms: int = Field(default=200, ge=40, le=1000)  # how far ahead the bot may queue
