"""`Negotiation`: the offer/answer state of one call (RFC 3264 section 8), whichever side offers."""

from __future__ import annotations

from telephony.errors import LocalProtocolError, SdpError
from telephony.media import MediaParameters
from telephony.sip.offer_answer import (
    DTMF_PAYLOAD_TYPE,
    Codec,
    Direction,
    LocalAudio,
    RemoteAudio,
    answer_direction,
    answer_media,
    audio_line,
    media_parameters,
    read_audio,
)
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
        audio = read_audio(session, address_type=self._local.address_type)
        direction = answer_direction(audio.direction, self._wanted)
        self._agreed = audio
        description = self._describe(answer_media(session, audio, self._local, direction))
        return description, media_parameters(audio, direction)

    def offer(self, wanted: Direction | None = None) -> bytes:
        """Offer; `wanted` changes what we want once the peer accepts it."""
        if self.offer_pending:
            raise LocalProtocolError("an offer of ours has no answer yet")
        self._offered = wanted or self._wanted
        return self._describe(self._offered_media(self._offered))

    def _offered_media(self, direction: Direction) -> tuple[MediaDescription, ...]:
        agreed = self._agreed
        codecs: dict[Codec, int] = {"PCMU": 0, "PCMA": 8}
        if agreed is None:
            return (audio_line(self._local, codecs, DTMF_PAYLOAD_TYPE, direction),)
        # Section 8: every m= line stays in its place, and a payload type keeps its meaning.
        codecs = {agreed.codec: agreed.payload_type, **{c: pt for c, pt in codecs.items() if c != agreed.codec}}
        line = audio_line(self._local, codecs, agreed.dtmf_payload_type, direction)
        return tuple(line if index == agreed.index else media for index, media in enumerate(self._described))

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
        audio = read_audio(session, address_type=self._local.address_type)
        self._agreed, self._wanted = audio, offered
        return media_parameters(audio, answer_direction(audio.direction, offered))

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
