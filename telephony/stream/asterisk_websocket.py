"""Asterisk's WebSocket channel (`chan_websocket`): sound in binary messages, events and commands as JSON texts.

Source: docs.asterisk.org, Configuration, Channel Drivers, WebSocket; JSON is asked for by `f(json)` in the dial string
(20.18, 22.8, 23.2 and later). Plain-text events of earlier releases are read too, and answered in kind.
"""

from __future__ import annotations

import json
from typing import Literal

from telephony.audio.frame import pcm_of, samples_of
from telephony.audio.g711 import A_LAW, G711, MU_LAW
from telephony.stream.dialect import Broken, Key, Sound, Started, Stopped, StreamEvent, Wire
from telephony.stream.texts import KEYS, fields_of, text_of, texts_of

_LAWS: dict[str, G711 | None] = {"ulaw": MU_LAW, "alaw": A_LAW, "slin": None}


class AsteriskDialect:
    """One connection. Asterisk's wish to wait (MEDIA_XOFF) asks nothing of us: frames leave at the pace of speech."""

    name: Literal["asterisk"] = "asterisk"
    sends_silence = False

    def __init__(self) -> None:
        self._json = True
        self._law: G711 | None = None
        self._started = False

    def receive(self, data: Wire) -> list[StreamEvent]:
        """Take one message."""
        if isinstance(data, bytes):
            if not self._started:
                return [Broken("sound before MEDIA_START")]
            return [Sound(self._decode(data))]
        fields = fields_of(data)
        if fields is None:
            fields = _plain(data)
            self._json = self._json and self._started
        return self._event(text_of(fields, "event").upper(), fields)

    def _event(self, event: str, fields: dict[str, object]) -> list[StreamEvent]:
        match event:
            case "MEDIA_START" if not self._started:
                return [self._start(fields)]
            case "DTMF_END":
                digit, duration = text_of(fields, "digit").upper(), fields.get("duration_ms")
                return [Key(digit, duration if isinstance(duration, int) else 0)] if digit in KEYS else []
            case "HANGUP":
                return [Stopped()]
            case _:
                return []

    def _start(self, fields: dict[str, object]) -> StreamEvent:
        name = text_of(fields, "format") or "slin"
        if name not in _LAWS:
            return Broken("sound in another format: use c(slin), c(ulaw) or c(alaw) in the dial string")
        self._law = _LAWS[name]
        self._started = True
        variables = texts_of(fields.get("channel_variables"))
        caller, callee = variables.get("CALLERID(num)", ""), variables.get("EXTEN", "")
        return Started(text_of(fields, "connection_id"), caller, callee, variables)

    def _decode(self, data: bytes) -> bytes:
        return data[: len(data) // 2 * 2] if self._law is None else pcm_of(self._law.decode(data))

    def answer(self) -> list[Wire]:
        """Answer the channel; where it is answered already Asterisk lets that be."""
        return [self._command("ANSWER")]

    def sound(self, pcm: bytes) -> list[Wire]:
        """Write 20 ms."""
        if self._law is None:
            return [pcm]
        return [self._law.encode(samples_of(pcm))]

    def clear(self) -> list[Wire]:
        """Have Asterisk drop what it holds."""
        return [self._command("FLUSH_MEDIA")]

    def digits(self, digits: str) -> list[Wire] | None:
        """Asterisk has no command for keys."""
        del digits
        return None

    def hang_up(self) -> list[Wire]:
        """End the call."""
        return [self._command("HANGUP")]

    def _command(self, command: str) -> str:
        return json.dumps({"command": command}) if self._json else command


def _plain(text: str) -> dict[str, object]:
    """Read `EVENT name:value name:value`."""
    event, *pairs = text.split() or [""]
    fields: dict[str, object] = {name: value for name, _, value in (pair.partition(":") for pair in pairs)}
    return {**fields, "event": event}
