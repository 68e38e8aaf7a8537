"""Offer and answer (RFC 3264) for one G.711 audio stream with telephone-event (RFC 4733)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal, TypeAlias

from telephony.errors import SdpError
from telephony.media import MediaParameters
from telephony.sip.sdp import (
    AddressType,
    Attributes,
    Connection,
    MediaDescription,
    SessionDescription,
    find_attribute,
)

Codec: TypeAlias = Literal["PCMU", "PCMA"]

PTIME_MS = 20
DTMF_PAYLOAD_TYPE = 101
"""What our own offers call telephone-event; answers take the offerer's number."""

_STATIC_PAYLOAD_TYPES: dict[str, Codec] = {"0": "PCMU", "8": "PCMA"}
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


@dataclass(frozen=True, slots=True)
class LocalAudio:
    """Where we take RTP."""

    host: str
    port: int

    @property
    def address_type(self) -> AddressType:
        """The family, as SDP writes it."""
        return "IP6" if ":" in self.host else "IP4"

    @property
    def connection(self) -> Connection:
        """The c= line."""
        return Connection(self.address_type, self.host)


def read_audio(session: SessionDescription, *, address_type: AddressType) -> RemoteAudio:
    """Find the audio stream that we can take; raises `SdpError`: 488 for none, 400 for one that makes no sense."""
    for index, media in enumerate(session.media):
        if media.kind == "audio" and media.port and media.protocol == "RTP/AVP":
            audio = _read_stream(session, index, address_type)
            if audio is not None:
                return audio
    raise SdpError("no audio stream over RTP/AVP with PCMU or PCMA is offered")


def _read_stream(session: SessionDescription, index: int, address_type: AddressType) -> RemoteAudio | None:
    media = session.media[index]
    codec = _find_codec(media)
    if codec is None:
        return None
    connection = media.connection or session.connection
    if connection is None:
        raise SdpError("SDP is malformed: an audio stream without a c= line", status=400)
    if connection.address_type != address_type or not connection.is_unicast_address:
        raise SdpError(f"media must go to a numeric {address_type} unicast address")
    direction = _direction(media.attributes, _direction(session.attributes, Direction.SENDRECV))
    if connection.is_unspecified:
        # RFC 2543's hold: the peer takes no media, whatever its direction says.
        direction = Direction.of(sends=direction.sends, receives=False)
    return RemoteAudio(
        index,
        connection.host,
        media.port,
        codec[0],
        codec[1],
        _find_dtmf(media),
        _find_ptime(media),
        direction,
    )


def _payload_types(media: MediaDescription) -> dict[str, tuple[str, str, str]]:
    """Read a=rtpmap: name, clock rate and channels of each payload type."""
    maps = (_RTPMAP.fullmatch(value or "") for name, value in media.attributes if name == "rtpmap")
    return {m.group(1): (m.group(2).upper(), m.group(3), m.group(4) or "1") for m in maps if m is not None}


def _find_codec(media: MediaDescription) -> tuple[Codec, int] | None:
    """Find the offerer's first choice that we have; a static payload type needs no a=rtpmap."""
    mapped = _payload_types(media)
    for payload_type in media.formats:
        match mapped.get(payload_type, (_STATIC_PAYLOAD_TYPES.get(payload_type), "8000", "1")):
            case (("PCMU" | "PCMA") as codec, "8000", "1"):
                return codec, int(payload_type)
            case _:
                continue
    return None


def _find_dtmf(media: MediaDescription) -> int | None:
    mapped = _payload_types(media)
    return next((int(pt) for pt in media.formats if mapped.get(pt, ())[:2] == ("TELEPHONE-EVENT", "8000")), None)


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
    taken = audio_line(local, {audio.codec: audio.payload_type}, audio.dtmf_payload_type, direction)
    return tuple(taken if index == audio.index else refuse(media) for index, media in enumerate(offer.media))


def refuse(media: MediaDescription) -> MediaDescription:
    """Answer a stream that we do not take (section 6)."""
    return replace(media, port=0, connection=None, attributes=())


def audio_line(
    local: LocalAudio, codecs: dict[Codec, int], dtmf_payload_type: int | None, direction: Direction
) -> MediaDescription:
    """Our own audio stream."""
    attributes: list[tuple[str, str | None]] = [("rtpmap", f"{pt} {codec}/8000") for codec, pt in codecs.items()]
    formats = [str(payload_type) for payload_type in codecs.values()]
    if dtmf_payload_type is not None:
        formats.append(str(dtmf_payload_type))
        attributes += [
            ("rtpmap", f"{dtmf_payload_type} telephone-event/8000"),
            ("fmtp", f"{dtmf_payload_type} 0-15"),
        ]
    attributes += [("ptime", str(PTIME_MS)), (direction.value, None)]
    return MediaDescription("audio", local.port, "RTP/AVP", tuple(formats), None, tuple(attributes))


def media_parameters(audio: RemoteAudio, direction: Direction) -> MediaParameters:
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
    )
