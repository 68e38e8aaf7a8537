"""SDP of a WebRTC call (RFC 8866, RFC 9429): one Opus section, at most one data channel, one BUNDLE transport.

Sans I/O. What a peer offers beside these (video, a second audio) is answered with port 0 and stays unused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias, cast, get_args

from telephony.errors import SdpError

MAX_SDP_BYTES: Final = 32_768
MAX_SECTIONS: Final = 8
MAX_CANDIDATES: Final = 32  # each makes us send connectivity checks
SCTP_PORT: Final = 5000

# RFC 7587, 6.1: what we want to be sent. The caller is heard at 16 kHz: more bandwidth would cost it bits.
_OPUS_PARAMETERS: Final = "minptime=10;useinbandfec=1;maxplaybackrate=16000;maxaveragebitrate=32000"
_ICE_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")  # RFC 8839, 5.4
_ICE_PWD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT: Final = re.compile(r"(sha-(?:256|384|512)) ([0-9A-F]{2}(?::[0-9A-F]{2})+)", re.IGNORECASE)
_OPUS: Final = re.compile(r"(\d{1,3}) opus/48000(?:/2)?", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")

Setup: TypeAlias = Literal["active", "passive", "actpass"]
Use: TypeAlias = Literal["opus", "channel", "none"]


@dataclass(frozen=True, slots=True)
class TransportParameters:
    """One side's ICE credentials, its candidates (values of `a=candidate`) and its DTLS identity."""

    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[tuple[str, str], ...]  # (hash, digest): ("sha-256", "AB:CD:...")
    setup: Setup
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MediaSection:
    """One `m=` section: its line, its mid, and what it is to us."""

    media: str
    mid: str
    use: Use


@dataclass(frozen=True, slots=True)
class Description:
    """An offer or an answer, as far as a call needs it."""

    sections: tuple[MediaSection, ...]
    transport: TransportParameters
    payload_type: int  # of Opus
    sctp_port: int | None = None  # None: no data channel
    max_message_bytes: int = 65_536
    ssrc: int | None = None


@dataclass(slots=True)
class _Lines:
    """The attributes of one section (or of the session, whose media line is empty)."""

    media: str = ""
    attributes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]

    def value(self, name: str) -> str | None:
        return next(iter(self.values(name)), None)


def parse_description(text: str) -> Description:
    """Read a peer's offer or answer; raises `SdpError` (400 malformed, 488 not a call that we can take)."""
    session, sections = _split(text)
    audio, payload_type = _find_opus(sections)
    bundle = _bundle(session)
    _check_audio(session, audio, bundle)
    channel = next((s for s in sections if _is_channel(s, bundle)), None)
    used: list[_Lines] = [s for s in sections if s is audio or s is channel]
    return Description(
        sections=tuple(MediaSection(s.media, s.value("mid") or "", _use(s, audio, channel)) for s in sections),
        transport=_transport(session, used, bundle),
        payload_type=payload_type,
        sctp_port=None if channel is None else _number(channel, "sctp-port", SCTP_PORT, 65_535),
        max_message_bytes=(channel and _number(channel, "max-message-size", 65_536, 2**32)) or 65_536,
        ssrc=_ssrc(audio),
    )


def answer_to(offer: Description, transport: TransportParameters, *, ssrc: int) -> Description:
    """Our answer: the offer's sections in its order, those that we do not use with port 0."""
    return replace(offer, transport=transport, ssrc=ssrc, sctp_port=None if offer.sctp_port is None else SCTP_PORT)


def new_offer(transport: TransportParameters, *, ssrc: int) -> Description:
    """Our offer: Opus and a data channel."""
    return Description(
        sections=(
            MediaSection("audio 9 UDP/TLS/RTP/SAVPF 111", "0", "opus"),
            MediaSection("application 9 UDP/DTLS/SCTP webrtc-datachannel", "1", "channel"),
        ),
        transport=transport,
        payload_type=111,
        sctp_port=SCTP_PORT,
        ssrc=ssrc,
    )


def write_description(description: Description, *, session_id: int) -> str:
    """SDP text, CRLF at each line's end."""
    used = [section for section in description.sections if section.use != "none"]
    lines = [
        "v=0",
        f"o=- {session_id} 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(section.mid for section in used)}",
        "a=msid-semantic:WMS *",
    ]
    for section in description.sections:
        lines += _write_section(section, description, tagged=section is used[0])
    return "".join(f"{line}\r\n" for line in lines)


def _split(text: str) -> tuple[_Lines, list[_Lines]]:
    if len(text.encode()) > MAX_SDP_BYTES:
        raise SdpError(f"SDP of more than {MAX_SDP_BYTES} bytes", status=400)
    lines = text.splitlines()
    if not lines or lines[0].strip() != "v=0":
        raise SdpError("not SDP: the first line must be v=0", status=400)
    sections = [_Lines()]
    for number, line in enumerate(lines, start=1):
        kind, equals, value = line.strip().partition("=")
        if not line.strip():
            continue
        if not equals or len(kind) != 1:
            raise SdpError(f"line {number} of the SDP is not <letter>=<value>", status=400)
        if kind == "m":
            if len(value.split()) < 4:
                raise SdpError(f"line {number} of the SDP is not m=<media> <port> <protocol> <format>", status=400)
            sections.append(_Lines(value))
        elif kind == "a":
            name, _, argument = value.partition(":")
            sections[-1].attributes.append((name, argument.strip()))
    if not 1 < len(sections) <= MAX_SECTIONS + 1:
        raise SdpError(f"{len(sections) - 1} media sections; a call has 1 to {MAX_SECTIONS}", status=400)
    return sections[0], sections[1:]


def _find_opus(sections: Iterable[_Lines]) -> tuple[_Lines, int]:
    for section in sections:
        kind, _, rest = section.media.partition(" ")
        port, _, formats = rest.partition(" ")
        if kind != "audio" or port == "0":
            continue
        for rtpmap in section.values("rtpmap"):
            match = _OPUS.fullmatch(rtpmap)
            if match and match[1] in formats.split()[1:] and int(match[1]) < 128:
                return section, int(match[1])
    raise SdpError("no audio section with Opus: offer m=audio with a=rtpmap:<payload type> opus/48000/2")


def _check_audio(session: _Lines, audio: _Lines, bundle: list[str]) -> None:
    if audio.value("mid") not in bundle:
        raise SdpError("the audio section is not in a=group:BUNDLE, and only one transport is taken (RFC 9143)")
    if audio.value("rtcp-mux") is None:
        raise SdpError("the audio section lacks a=rtcp-mux, which WebRTC requires (RFC 8834, 4.5)")
    names = [name for name, _ in (*audio.attributes, *session.attributes)]
    direction = next((name for name in names if name in _DIRECTIONS), "sendrecv")
    if direction != "sendrecv":
        raise SdpError(f"the audio is a={direction}; a call needs a=sendrecv")


def _bundle(session: _Lines) -> list[str]:
    for group in session.values("group"):
        semantics, *mids = group.split()
        if semantics == "BUNDLE":
            return mids
    return []


def _is_channel(section: _Lines, bundle: list[str]) -> bool:
    kind, *rest = section.media.split()
    return (
        kind == "application"
        and rest[-1:] == ["webrtc-datachannel"]
        and rest[0] != "0"
        and section.value("mid") in bundle
    )


def _use(section: _Lines, audio: _Lines, channel: _Lines | None) -> Use:
    if section is audio:
        return "opus"
    return "channel" if section is channel else "none"


def _transport(session: _Lines, used: list[_Lines], bundle: list[str]) -> TransportParameters:
    """Read the one transport that BUNDLE leaves: that of the first section in the group (RFC 9143, 7.3.3)."""
    used = sorted(used, key=lambda section: bundle.index(section.value("mid") or ""))
    tagged = used[0]
    ufrag = _credential(session, tagged, "ice-ufrag", _ICE_UFRAG)
    same = [s for s in used if s is tagged or s.value("ice-ufrag") == ufrag]
    candidates = dict.fromkeys(value for section in same for value in section.values("candidate"))
    if len(candidates) > MAX_CANDIDATES:
        raise SdpError(f"{len(candidates)} ICE candidates; at most {MAX_CANDIDATES} are taken", status=400)
    return TransportParameters(
        ice_ufrag=ufrag,
        ice_pwd=_credential(session, tagged, "ice-pwd", _ICE_PWD),
        fingerprints=_fingerprints(session, tagged),
        setup=_setup(session, tagged),
        candidates=tuple(candidates),
    )


def _credential(session: _Lines, section: _Lines, name: str, pattern: re.Pattern[str]) -> str:
    value = section.value(name) or session.value(name) or ""
    if not pattern.fullmatch(value):
        raise SdpError(f"a={name} is missing or malformed (RFC 8839, 5.4)", status=400)
    return value


def _fingerprints(session: _Lines, section: _Lines) -> tuple[tuple[str, str], ...]:
    values = section.values("fingerprint") or session.values("fingerprint")
    matches = [_FINGERPRINT.fullmatch(value) for value in values]
    found = tuple((match[1].lower(), match[2].upper()) for match in matches if match)
    if not found:
        raise SdpError("a=fingerprint with sha-256, sha-384 or sha-512 is missing (RFC 8122, 5)", status=400)
    return found


def _setup(session: _Lines, section: _Lines) -> Setup:
    value = section.value("setup") or session.value("setup")
    if value not in get_args(Setup):
        raise SdpError("a=setup must be actpass, active or passive (RFC 8842, 5)", status=400)
    return cast("Setup", value)


def _number(section: _Lines, name: str, default: int, limit: int) -> int:
    value = section.value(name) or str(default)
    if not _NUMBER.fullmatch(value) or int(value) > limit:
        raise SdpError(f"a={name} must be a number from 0 to {limit}", status=400)
    return int(value)


def _ssrc(audio: _Lines) -> int | None:
    value = (audio.value("ssrc") or "").partition(" ")[0]
    return int(value) if _NUMBER.fullmatch(value) and int(value) < 2**32 else None


def _write_section(section: MediaSection, description: Description, *, tagged: bool) -> list[str]:
    kind, _, profile, *formats = section.media.split()
    if section.use == "none":
        rejected = f"m={kind} 0 {profile} {' '.join(formats)}"
        return [rejected, "c=IN IP4 0.0.0.0", f"a=mid:{section.mid}", "a=inactive"]
    if section.use == "opus":
        formats = [str(description.payload_type)]
    address, port = _default_candidate(description.transport)
    return [
        f"m={kind} {port} {profile} {' '.join(formats)}",
        f"c=IN {'IP6' if ':' in address else 'IP4'} {address}",
        f"a=mid:{section.mid}",
        *(_write_opus(description) if section.use == "opus" else _write_channel(description)),
        *_write_transport(description.transport, with_candidates=tagged),
    ]


def _write_opus(description: Description) -> list[str]:
    payload_type = description.payload_type
    return [
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=rtpmap:{payload_type} opus/48000/2",
        f"a=fmtp:{payload_type} {_OPUS_PARAMETERS}",
        "a=ptime:20",
        "a=msid:zeng audio",
        f"a=ssrc:{description.ssrc or 0} cname:zeng",
    ]


def _write_channel(description: Description) -> list[str]:
    return [f"a=sctp-port:{description.sctp_port}", f"a=max-message-size:{description.max_message_bytes}"]


def _write_transport(transport: TransportParameters, *, with_candidates: bool) -> list[str]:
    candidates = [f"a=candidate:{candidate}" for candidate in transport.candidates]
    return [
        f"a=ice-ufrag:{transport.ice_ufrag}",
        f"a=ice-pwd:{transport.ice_pwd}",
        *(f"a=fingerprint:{algorithm} {digest}" for algorithm, digest in transport.fingerprints),
        f"a=setup:{transport.setup}",
        *([*candidates, "a=end-of-candidates"] if with_candidates else []),
    ]


def _default_candidate(transport: TransportParameters) -> tuple[str, str]:
    """Address and port for the `c=` and `m=` lines (RFC 8839, 4.2.1.2); port 9 where there is no candidate."""
    for candidate in transport.candidates:
        _, _, _, _, address, port, *_ = candidate.split()
        return address, port
    return "0.0.0.0", "9"  # noqa: S104 - text of the SDP, nothing is bound
