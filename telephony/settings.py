"""Settings of the telephony package: sections `[sip]`, `[rtp]`, `[webrtc]`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from telephony.media import CodecName, SrtpPolicy


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SipSettings(_Section):
    """Where SIP is heard and how the user agent behaves."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=5060, ge=0, le=65535)  # 0: any free port
    user: str = "bot"
    domain: str = ""  # empty: the host
    tcp: bool = True
    digest_users: dict[str, str] = Field(default_factory=dict[str, str])  # empty: no challenge


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
    lead_ms: int = Field(default=200, ge=40, le=1000)  # how far ahead the bot may queue
    silence_timeout_s: float = Field(default=30.0, gt=0)  # no RTP at all for so long ends the call

    @model_validator(mode="after")
    def _check_codecs(self) -> Self:
        if not self.codecs or len(set(self.codecs)) != len(self.codecs):
            raise ValueError("[rtp] codecs: name at least one codec, and each once")
        return self


class WebRtcSettings(_Section):
    """WebRTC legs."""

    enabled: bool = True
    hosts: tuple[str, ...] = ()  # addresses to be reached at; empty: all of this machine
    allow_loopback: bool = True  # 127.0.0.1 too, for a caller on this machine
    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()  # "turn:turn.example.com:3478?transport=udp", for callers behind strict NAT
    turn_secret: SecretStr = SecretStr("")  # coturn's static-auth-secret; the page is given credentials made from it
    turn_ttl_s: int = Field(default=3600, ge=60)  # how long such credentials are good for
    relay_only: bool = False  # have the page use TURN only: neither side then learns the other's address
    connect_timeout_s: float = Field(default=15.0, gt=0)
    silence_timeout_s: float = Field(default=15.0, gt=0)  # no media at all for so long ends the call
    lead_ms: int = Field(default=200, ge=40, le=1000)  # how far ahead the bot may queue

    @model_validator(mode="after")
    def _check_turn(self) -> Self:
        if self.turn_urls and not self.turn_secret.get_secret_value():
            raise ValueError("[webrtc] turn_urls without turn_secret: give the TURN server's static-auth-secret")
        if self.relay_only and not self.turn_urls:
            raise ValueError("[webrtc] relay_only without turn_urls: nobody could call")
        return self
