"""`Negotiation`: the offer/answer state of one call (RFC 3264 section 8), whichever side offers."""

from __future__ import annotations

from dataclasses import replace

from telephony.errors import LocalProtocolError, SdpError
from telephony.media import MediaParameters, SrtpKeys
from telephony.sip.offer_answer import (
    OWN_EVENTS,
    OWN_PAYLOAD_TYPES,
    Codec,
    Direction,
    LocalAudio,
    RemoteAudio,
    StreamTerms,
    answer_direction,
    answer_media,
    audio_line,
    media_parameters,
    own_key,
    read_audio,
)
from telephony.sip.sdes import own_crypto
from telephony.sip.sdp import MediaDescription, Origin, SessionDescription, build_sdp, parse_sdp


class Negotiation:
    """Writes our descriptions and keeps what was agreed; an offer that fails leaves the old agreement."""

    def __init__(self, local: LocalAudio, *, session_id: int) -> None:
        self._local = local
        self._session_id = session_id
        self._version = 0
        self._described: tuple[MediaDescription, ...] = ()
        self._agreed: RemoteAudio | None = None
        self._wanted = Direction.SENDRECV
        self._offered: Direction | None = None  # of our offer that has no answer yet
        self._terms = StreamTerms({})  # of our last offer

    @property
    def offer_pending(self) -> bool:
        """Whether an offer of ours has no answer yet."""
        return self._offered is not None

    @property
    def wanted(self) -> Direction:
        """What we want: `SENDONLY` or `INACTIVE` while we hold the peer."""
        return self._wanted

    def answer(self, offer: bytes) -> tuple[bytes, MediaParameters]:
        """Answer the peer's offer; raises `SdpError` and changes nothing when it cannot be taken."""
        session = parse_sdp(offer)
        audio = self._read(session)
        direction = answer_direction(audio.direction, self._wanted)
        self._agreed = audio
        description = self._describe(answer_media(session, audio, self._local, direction))
        key = None if audio.crypto is None else own_key(self._local, audio.crypto)
        return description, self._parameters(audio, direction, key)

    def _read(self, session: SessionDescription) -> RemoteAudio:
        return read_audio(session, address_type=self._local.address_type, abilities=self._local.abilities)

    @staticmethod
    def _parameters(audio: RemoteAudio, direction: Direction, key: bytes | None) -> MediaParameters:
        keys = None if audio.crypto is None or key is None else SrtpKeys(audio.crypto.suite, key, audio.crypto.key)
        return media_parameters(audio, direction, srtp=keys)

    def offer(self, wanted: Direction | None = None) -> bytes:
        """Offer; `wanted` changes what we want once the peer accepts it."""
        if self.offer_pending:
            raise LocalProtocolError("an offer of ours has no answer yet")
        self._offered = wanted or self._wanted
        return self._describe(self._offered_media(self._offered))

    def _offered_media(self, direction: Direction) -> tuple[MediaDescription, ...]:
        agreed = self._agreed
        self._terms = self._first_terms() if agreed is None else self._next_terms(agreed)
        line = audio_line(self._local, self._terms, direction)
        if agreed is None:
            return (line,)
        # Section 8: every m= line stays in its place.
        return tuple(line if index == agreed.index else media for index, media in enumerate(self._described))

    def _first_terms(self) -> StreamTerms:
        abilities = self._local.abilities
        codecs: dict[Codec, int] = {codec: OWN_PAYLOAD_TYPES[codec] for codec in abilities.codecs}
        clocks = sorted({48_000 if codec == "opus" else 8_000 for codec in codecs})
        return StreamTerms(
            codecs,
            [(OWN_EVENTS[clock_hz], clock_hz) for clock_hz in clocks],
            "RTP/SAVP" if abilities.srtp == "required" else "RTP/AVP",
            own_crypto(abilities.srtp_keys) if abilities.srtp in ("offered", "required") else (),
            abilities.comfort_noise,
            voip_metrics=True,
        )

    def _next_terms(self, agreed: RemoteAudio) -> StreamTerms:
        """Section 8.3.2: a payload type keeps its meaning, and the codec in use stays the first."""
        taken = {agreed.payload_type, agreed.dtmf_payload_type}
        others: dict[Codec, int] = {c: OWN_PAYLOAD_TYPES[c] for c in self._local.abilities.codecs if c != agreed.codec}
        codecs: dict[Codec, int] = {agreed.codec: agreed.payload_type}
        codecs |= {c: pt for c, pt in others.items() if pt not in taken}
        return StreamTerms(
            codecs,
            () if agreed.dtmf_payload_type is None else ((agreed.dtmf_payload_type, agreed.dtmf_clock_hz),),
            agreed.protocol,
            () if agreed.crypto is None else own_crypto(self._local.abilities.srtp_keys),
            agreed.comfort_noise,
            agreed.voip_metrics,
        )

    def take_answer(self, answer: bytes | None) -> MediaParameters:
        """Take the answer to our offer; raises `SdpError` when there is none or it does not fit."""
        offered = self._offered
        if offered is None:
            raise LocalProtocolError("there is no offer to answer")
        self._offered = None
        if answer is None:
            raise SdpError("the answer to our offer is missing", status=400)
        session = parse_sdp(answer)
        if len(session.media) != len(self._described):
            raise SdpError("the answer has another number of m= lines than our offer", status=400)
        audio = self._read(session)
        key = self._answered_key(audio)
        self._agreed, self._wanted = audio, offered
        parameters = self._parameters(audio, answer_direction(audio.direction, offered), key)
        return replace(parameters, own_numbers=self._own_numbers(audio))

    def _own_numbers(self, audio: RemoteAudio) -> tuple[tuple[int, int], ...]:
        """Section 5.1: the peer sends by the numbers of our offer, whatever numbers its answer wants to be sent."""
        events = {clock_hz: payload_type for payload_type, clock_hz in self._terms.events}
        pairs = (
            (self._terms.codecs.get(audio.codec), audio.payload_type),
            (events.get(audio.dtmf_clock_hz), audio.dtmf_payload_type),
        )
        return tuple((own, their) for own, their in pairs if own is not None and their is not None and own != their)

    def _answered_key(self, audio: RemoteAudio) -> bytes | None:
        """Give the key of ours that the answer has chosen by its tag (RFC 4568 section 5.1.3)."""
        if audio.crypto is None:
            return None
        for crypto in own_crypto(self._local.abilities.srtp_keys):
            if (crypto.tag, crypto.suite) == (audio.crypto.tag, audio.crypto.suite):
                return crypto.key
        raise SdpError("the answer's a=crypto is none of those that we offered")

    def drop_offer(self) -> None:
        """Our offer was refused: what was agreed before goes on."""
        self._offered = None

    def _describe(self, media: tuple[MediaDescription, ...]) -> bytes:
        # Section 8: the version grows by one when, and only when, the description changes.
        if media != self._described:
            self._version += 1
            self._described = media
        origin = Origin(str(self._session_id), str(self._version), self._local.address_type, self._local.host)
        return build_sdp(SessionDescription(origin, self._local.connection, media))
