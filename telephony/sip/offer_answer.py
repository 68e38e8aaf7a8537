"""Offer and answer (RFC 3264) for one audio stream with telephone-event (RFC 4733), plain or by SRTP (RFC 4568)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeAlias

from telephony.errors import SdpError
from telephony.media import SRTP_KEY_BYTES, SRTP_SUITES, CodecName, MediaAbilities, MediaParameters, SrtpKeys
from telephony.sip.sdes import CryptoAttribute, choose_crypto
from telephony.sip.sdp import (
    AddressType,
    Attributes,
    Connection,
    MediaDescription,
    SessionDescription,
    find_attribute,
)

Codec: TypeAlias = CodecName

PTIME_MS = 20
OWN_PAYLOAD_TYPES: Mapping[Codec, int] = {"PCMU": 0, "PCMA": 8, "G722": 9, "opus": 111}
OWN_EVENTS: Mapping[int, int] = {8_000: 101, 48_000: 102}
"""What our own offers call telephone-event at each clock; answers take the offerer's number."""

ANYTHING = MediaAbilities(tuple(OWN_PAYLOAD_TYPES), srtp="accepted")
"""What any session of ours may be able to do: for a first look at an offer."""

_ENCODINGS: Mapping[Codec, tuple[str, str, str]] = {
    "PCMU": ("PCMU", "8000", "1"),
    "PCMA": ("PCMA", "8000", "1"),
    "G722": ("G722", "8000", "1"),  # RFC 3551 section 4.5.2, though the sound has 16 kHz
    "opus": ("OPUS", "48000", "2"),  # RFC 7587 section 7, though the sound is mono
}
_STATIC: Mapping[str, tuple[str, str, str]] = {
    str(OWN_PAYLOAD_TYPES[codec]): _ENCODINGS[codec] for codec in ("PCMU", "PCMA", "G722")
}
# The bot hears 16 kHz and speaks mono: more would cost the peer bits (RFC 7587 section 6.1).
_OPUS_PARAMETERS = "useinbandfec=1;maxplaybackrate=16000;maxaveragebitrate=32000"
_COMFORT_NOISE = "13"
_PLAIN, _SECURE = ("RTP/AVP", "RTP/AVPF"), ("RTP/SAVP", "RTP/SAVPF")  # AVPF only adds what may be left unused
_RTPMAP = re.compile(r"([0-9]{1,3})[ \t]+([^ \t/]+)/([0-9]+)(?:/([0-9]+))?[ \t]*")
_NUMBER = re.compile(r"[0-9]{1,4}(?=\.|$)")


class Direction(Enum):
    """Which way media flows, seen from whoever writes it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the writer means to send."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the writer means to receive."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @staticmethod
    def of(*, sends: bool, receives: bool) -> Direction:
        """Direction of someone who does these two."""
        if sends:
            return Direction.SENDRECV if receives else Direction.SENDONLY
        return Direction.RECVONLY if receives else Direction.INACTIVE


@dataclass(frozen=True, slots=True)
class RemoteAudio:
    """The one audio stream of the peer's description that we take."""

    index: int  # which m= line it is
    host: str
    port: int
    codec: Codec
    payload_type: int
    dtmf_payload_type: int | None
    ptime_ms: int
    direction: Direction  # as the peer sees it
    protocol: str = "RTP/AVP"
    dtmf_clock_hz: int = 8_000
    crypto: CryptoAttribute | None = None  # the line that we take; None: plain RTP
    comfort_noise: bool = False
    voip_metrics: bool = False  # whether RTCP XR is asked for (RFC 3611 section 5.1)


@dataclass(frozen=True, slots=True)
class LocalAudio:
    """Where we take RTP, and what we can do with it."""

    host: str
    port: int
    abilities: MediaAbilities = field(default_factory=MediaAbilities)

    @property
    def address_type(self) -> AddressType:
        """The family, as SDP writes it."""
        return "IP6" if ":" in self.host else "IP4"

    @property
    def connection(self) -> Connection:
        """The c= line."""
        return Connection(self.address_type, self.host)


def with_new_keys(local: LocalAudio, *, new_token: Callable[[], str]) -> LocalAudio:
    """Give it keys of its own, because somebody else knows the old ones; `new_token` draws 32 hex digits each time."""
    abilities = local.abilities
    keys = tuple(bytes.fromhex(new_token() + new_token())[:SRTP_KEY_BYTES] for _ in abilities.srtp_keys)
    return replace(local, abilities=replace(abilities, srtp_keys=keys))


def read_audio(
    session: SessionDescription, *, address_type: AddressType, abilities: MediaAbilities = ANYTHING
) -> RemoteAudio:
    """Find the audio stream that we can take; raises `SdpError`: 488 for none, 400 for one that makes no sense."""
    refusal: SdpError | None = None
    for index, media in enumerate(session.media):
        if media.kind == "audio" and media.port and media.protocol in _PLAIN + _SECURE:
            try:
                return _read_stream(session, index, address_type, abilities)
            except SdpError as error:
                if error.status == 400:
                    raise
                refusal = refusal or error
    raise refusal or SdpError("no audio stream over RTP/AVP or RTP/SAVP is offered")


def _read_stream(
    session: SessionDescription, index: int, address_type: AddressType, abilities: MediaAbilities
) -> RemoteAudio:
    media = session.media[index]
    codec, payload_type = _find_codec(media, abilities)
    connection = media.connection or session.connection
    if connection is None:
        raise SdpError("SDP is malformed: an audio stream without a c= line", status=400)
    if connection.address_type != address_type or not connection.is_unicast_address:
        raise SdpError(f"media must go to a numeric {address_type} unicast address")
    direction = _direction(media.attributes, _direction(session.attributes, Direction.SENDRECV))
    if connection.is_unspecified:
        # RFC 2543's hold: the peer takes no media, whatever its direction says.
        direction = Direction.of(sends=direction.sends, receives=False)
    dtmf_payload_type, dtmf_clock_hz = _find_dtmf(media, codec)
    xr = media.attribute("rtcp-xr") or find_attribute(session.attributes, "rtcp-xr") or ""
    return RemoteAudio(
        index,
        connection.host,
        media.port,
        codec,
        payload_type,
        dtmf_payload_type,
        _find_ptime(media),
        direction,
        media.protocol,
        dtmf_clock_hz,
        _find_crypto(media, abilities),
        comfort_noise=abilities.comfort_noise and _COMFORT_NOISE in media.formats,
        voip_metrics="voip-metrics" in xr,
    )


def _payload_types(media: MediaDescription) -> dict[str, tuple[str, str, str]]:
    """Read a=rtpmap: name, clock rate and channels of each payload type; a static one needs none."""
    maps = (_RTPMAP.fullmatch(value or "") for name, value in media.attributes if name == "rtpmap")
    mapped = {m.group(1): (m.group(2).upper(), m.group(3), m.group(4) or "1") for m in maps if m is not None}
    return {**_STATIC, **mapped}


def _find_codec(media: MediaDescription, abilities: MediaAbilities) -> tuple[Codec, int]:
    """Find the first choice of the peer, or ours, that both have."""
    mapped = _payload_types(media)
    ours: dict[tuple[str, str, str], Codec] = {_ENCODINGS[codec]: codec for codec in abilities.codecs}
    common: list[tuple[Codec, int]] = [
        (ours[mapped[pt]], int(pt)) for pt in media.formats if mapped.get(pt) in ours and int(pt) < 128
    ]
    if not common:
        raise SdpError(f"no audio stream with {', '.join(abilities.codecs)} is offered")
    return common[0] if abilities.choice == "theirs" else min(common, key=lambda pair: abilities.codecs.index(pair[0]))


def _find_dtmf(media: MediaDescription, codec: Codec) -> tuple[int | None, int]:
    """Find telephone-event at the clock of the codec (RFC 4733 section 2.1), or at 8 kHz, as some write for all."""
    mapped = _payload_types(media)
    events = {
        mapped[pt][1]: int(pt)
        for pt in reversed(media.formats)
        if mapped.get(pt, ("",))[0] == "TELEPHONE-EVENT" and int(pt) < 128
    }
    clock = _ENCODINGS[codec][1] if _ENCODINGS[codec][1] in events else "8000"
    return events.get(clock), int(clock)


def _find_crypto(media: MediaDescription, abilities: MediaAbilities) -> CryptoAttribute | None:
    """Say with which keys the stream is to be sealed; raises `SdpError` where that does not fit our policy."""
    lines = [value or "" for name, value in media.attributes if name == "crypto"]
    must = media.protocol in _SECURE
    if abilities.srtp == "refused":
        if must:
            raise SdpError("SRTP is not taken here: offer RTP/AVP")
        return None
    if abilities.srtp == "required" and not must and not lines:
        raise SdpError("SRTP is required: offer RTP/SAVP with a=crypto (RFC 4568)")
    # RTP/AVP with keys is no standard and widely spoken: SRTP if you can.
    try:
        return choose_crypto(lines) if must or lines else None
    except SdpError:
        if must or abilities.srtp == "required":
            raise
        return None


def _find_ptime(media: MediaDescription) -> int:
    """Read what the peer asks for, in whole frames of 10 ms; anything odd is taken as 20 ms."""
    asked = _number(media.attribute("ptime"), PTIME_MS)
    limit = _number(media.attribute("maxptime"), asked)
    ptime_ms = min(asked, limit)
    return ptime_ms if ptime_ms in (10, 20, 30, 40, 50, 60) else PTIME_MS


def _number(text: str | None, default: int) -> int:
    match = _NUMBER.match(text or "")
    return int(match.group()) if match else default


def _direction(attributes: Attributes, default: Direction) -> Direction:
    return next((each for each in Direction if find_attribute(attributes, each.value) is not None), default)


def answer_direction(offered: Direction, wanted: Direction) -> Direction:
    """Section 6.1: we send only what the peer takes, and take only what it sends."""
    return Direction.of(sends=wanted.sends and offered.receives, receives=wanted.receives and offered.sends)


def answer_media(
    offer: SessionDescription, audio: RemoteAudio, local: LocalAudio, direction: Direction
) -> tuple[MediaDescription, ...]:
    """One m= line for each of the offer's: ours for the stream that we take, port 0 for the others."""
    taken = audio_line(local, answering(audio, local), direction)
    return tuple(taken if index == audio.index else refuse(media) for index, media in enumerate(offer.media))


@dataclass(frozen=True, slots=True)
class StreamTerms:
    """What one audio line of ours says, besides where to and which way."""

    codecs: Mapping[Codec, int]
    events: Sequence[tuple[int, int]] = ()  # payload type and clock of telephone-event
    protocol: str = "RTP/AVP"
    crypto: Sequence[CryptoAttribute] = ()
    comfort_noise: bool = False
    voip_metrics: bool = False


def answering(audio: RemoteAudio, local: LocalAudio) -> StreamTerms:
    """Give the terms of our answer: what was offered and taken, with a key of ours under the offerer's tag."""
    return StreamTerms(
        {audio.codec: audio.payload_type},
        () if audio.dtmf_payload_type is None else ((audio.dtmf_payload_type, audio.dtmf_clock_hz),),
        audio.protocol,
        () if audio.crypto is None else (replace(audio.crypto, key=own_key(local, audio.crypto)),),
        audio.comfort_noise,
        audio.voip_metrics,
    )


def own_key(local: LocalAudio, crypto: CryptoAttribute) -> bytes:
    """Give our key for the suite of a line."""
    return local.abilities.srtp_keys[SRTP_SUITES.index(crypto.suite)]


def refuse(media: MediaDescription) -> MediaDescription:
    """Answer a stream that we do not take (section 6)."""
    return replace(media, port=0, connection=None, attributes=())


def audio_line(local: LocalAudio, terms: StreamTerms, direction: Direction) -> MediaDescription:
    """Our own audio stream."""
    attributes: list[tuple[str, str | None]] = []
    formats = [str(payload_type) for payload_type in terms.codecs.values()]
    for codec, payload_type in terms.codecs.items():
        _, clock, channels = _ENCODINGS[codec]
        attributes.append(("rtpmap", f"{payload_type} {codec}/{clock}{'/2' if channels == '2' else ''}"))
        if codec == "opus":
            attributes.append(("fmtp", f"{payload_type} {_OPUS_PARAMETERS}"))
    if terms.comfort_noise:
        formats.append(_COMFORT_NOISE)
        attributes.append(("rtpmap", f"{_COMFORT_NOISE} CN/8000"))
    for payload_type, clock_hz in terms.events:
        formats.append(str(payload_type))
        attributes += [("rtpmap", f"{payload_type} telephone-event/{clock_hz}"), ("fmtp", f"{payload_type} 0-15")]
    attributes += [("crypto", str(crypto)) for crypto in terms.crypto]
    if terms.voip_metrics:
        attributes.append(("rtcp-xr", "voip-metrics"))
    attributes += [("ptime", str(PTIME_MS)), (direction.value, None)]
    return MediaDescription("audio", local.port, terms.protocol, tuple(formats), None, tuple(attributes))


def media_parameters(audio: RemoteAudio, direction: Direction, *, srtp: SrtpKeys | None = None) -> MediaParameters:
    """Tell RTP what it needs to know; `direction` is ours."""
    return MediaParameters(
        remote_host=audio.host,
        remote_port=audio.port,
        codec=audio.codec,
        payload_type=audio.payload_type,
        dtmf_payload_type=audio.dtmf_payload_type,
        ptime_ms=audio.ptime_ms,
        send=direction.sends,
        receive=direction.receives,
        dtmf_clock_hz=audio.dtmf_clock_hz,
        comfort_noise=audio.comfort_noise,
        srtp=srtp,
        voip_metrics=audio.voip_metrics,
    )
