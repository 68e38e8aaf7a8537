"""A telephony provider's media WebSocket in Twilio's format: JSON texts, sound as base64 of mu-law at 8 kHz.

Source: twilio.com/docs/voice/media-streams/websocket-messages, for `<Connect><Stream>`. Others speak it too.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Literal

from telephony.audio.frame import pcm_of, samples_of
from telephony.audio.g711 import MU_LAW
from telephony.stream.dialect import Broken, Key, Sound, Started, Stopped, StreamEvent, Wire
from telephony.stream.texts import KEYS, fields_of, object_in, text_of, texts_of


class TwilioDialect:
    """One stream. The provider plays what it gets in order; `clear` has it drop what it holds."""

    name: Literal["twilio"] = "twilio"
    sends_silence = False

    def __init__(self) -> None:
        self._stream = ""

    def receive(self, data: Wire) -> list[StreamEvent]:
        """Take one message."""
        fields = fields_of(data) if isinstance(data, str) else None
        if fields is None:
            return [Broken("a message that is no JSON object")]
        match text_of(fields, "event"):
            case "start" if not self._stream:
                return [self._start(fields)]
            case "media" if self._stream:
                return self._media(object_in(fields, "media"))
            case "dtmf":
                digit = text_of(object_in(fields, "dtmf"), "digit").upper()
                return [Key(digit)] if digit in KEYS else []
            case "stop":
                return [Stopped()]
            case _:
                return []  # connected, mark, and what is to come

    def _start(self, fields: dict[str, object]) -> StreamEvent:
        start = object_in(fields, "start")
        layout = object_in(start, "mediaFormat")
        if text_of(layout, "encoding") not in ("audio/x-mulaw", "") or layout.get("sampleRate", 8000) != 8000:
            return Broken("sound in another format than mu-law at 8 kHz")
        self._stream = text_of(fields, "streamSid") or text_of(start, "streamSid")
        if not self._stream:
            return Broken("a start without a streamSid")
        # What the provider knows of the parties comes only as parameters of the <Stream>: name them caller and callee.
        given = texts_of(start.get("customParameters"))
        return Started(text_of(start, "callSid"), given.pop("caller", ""), given.pop("callee", ""), given)

    def _media(self, media: dict[str, object]) -> list[StreamEvent]:
        payload = media.get("payload")
        if not isinstance(payload, str) or text_of(media, "track") == "outbound":
            return []
        try:
            return [Sound(pcm_of(MU_LAW.decode(base64.b64decode(payload, validate=True))))]
        except (binascii.Error, ValueError):
            return []

    def answer(self) -> list[Wire]:
        """Say nothing: the provider has answered."""
        return []

    def sound(self, pcm: bytes) -> list[Wire]:
        """Write 20 ms."""
        payload = base64.b64encode(MU_LAW.encode(samples_of(pcm))).decode()
        return [self._message("media", media={"payload": payload})]

    def clear(self) -> list[Wire]:
        """Have the provider drop what it holds."""
        return [self._message("clear")]

    def digits(self, digits: str) -> list[Wire] | None:
        """The format has keys from the provider only."""
        del digits
        return None

    def hang_up(self) -> list[Wire]:
        """Say nothing: the call goes on in TwiML, and ends there, when the connection closes."""
        return []

    def _message(self, event: str, **fields: object) -> str:
        return json.dumps({"event": event, "streamSid": self._stream, **fields})
