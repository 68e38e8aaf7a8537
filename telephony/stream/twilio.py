"""A telephony provider's media WebSocket in Twilio's format, read and written by Pipecat's `TwilioFrameSerializer`.

Source: twilio.com/docs/voice/media-streams/websocket-messages, for `<Connect><Stream>`. Others speak it too. Ours is
what the serializer leaves to its user: beginning and end of a call, and what may be handed to it (ADR 15).
"""

from __future__ import annotations

import binascii
from collections.abc import Coroutine
from contextlib import closing
from typing import Literal, TypeVar, cast

from pipecat.frames.frames import Frame, InputAudioRawFrame, InputDTMFFrame, InterruptionFrame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.serializers.twilio import TwilioFrameSerializer

from telephony.errors import LocalProtocolError
from telephony.stream.dialect import RATE_HZ, Broken, Key, Sound, Started, Stopped, StreamEvent, Wire
from telephony.stream.texts import KEYS, fields_of, object_in, text_of, texts_of

T = TypeVar("T")


class TwilioDialect:
    """One stream. The provider plays what it gets in order; `clear` has it drop what it holds."""

    name: Literal["twilio"] = "twilio"
    sends_silence = False

    def __init__(self) -> None:
        self._serializer: TwilioFrameSerializer | None = None

    def receive(self, data: Wire) -> list[StreamEvent]:
        """Take one message."""
        fields = fields_of(data) if isinstance(data, str) else None
        if fields is None:
            return [Broken("a message that is no JSON object")]
        match text_of(fields, "event"):
            case "start" if self._serializer is None:
                return [self._start(fields)]
            case "media" | "dtmf" if self._serializer is not None and _is_readable(fields):
                return self._read(self._serializer, cast("str", data))
            case "stop":
                return [Stopped()]
            case _:
                return []  # connected, mark, and what is to come

    def _start(self, fields: dict[str, object]) -> StreamEvent:
        start = object_in(fields, "start")
        layout = object_in(start, "mediaFormat")
        if text_of(layout, "encoding") not in ("audio/x-mulaw", "") or layout.get("sampleRate", RATE_HZ) != RATE_HZ:
            return Broken("sound in another format than mu-law at 8 kHz")
        stream = text_of(fields, "streamSid") or text_of(start, "streamSid")
        if not stream:
            return Broken("a start without a streamSid")
        self._serializer = _serializer_of(stream)
        # What the provider knows of the parties comes only as parameters of the <Stream>: name them caller and callee.
        given = texts_of(start.get("customParameters"))
        return Started(text_of(start, "callSid"), given.pop("caller", ""), given.pop("callee", ""), given)

    def _read(self, serializer: TwilioFrameSerializer, data: str) -> list[StreamEvent]:
        try:
            frame = _at_once(serializer.deserialize(data))
        except (binascii.Error, ValueError):
            return []
        match frame:
            case InputAudioRawFrame():
                return [Sound(frame.audio)]
            case InputDTMFFrame():
                return [Key(frame.button.value)]
            case _:
                return []

    def answer(self) -> list[Wire]:
        """Say nothing: the provider has answered."""
        return []

    def sound(self, pcm: bytes) -> list[Wire]:
        """Write 20 ms."""
        return self._write(OutputAudioRawFrame(pcm, RATE_HZ, 1))

    def clear(self) -> list[Wire]:
        """Have the provider drop what it holds."""
        return self._write(InterruptionFrame())

    def digits(self, digits: str) -> list[Wire] | None:
        """The format has keys from the provider only."""
        del digits
        return None

    def hang_up(self) -> list[Wire]:
        """Say nothing: the call goes on in TwiML, and ends there, when the connection closes."""
        return []

    def _write(self, frame: Frame) -> list[Wire]:
        assert self._serializer is not None, "a call has begun, so its stream has a name"
        message = _at_once(self._serializer.serialize(frame))
        return [] if message is None else [message]


def _serializer_of(stream: str) -> TwilioFrameSerializer:
    # At one rate both ways its resampler, which holds back 85 ms, has nothing to do: ours are in the leg.
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False, twilio_sample_rate=RATE_HZ, sample_rate=RATE_HZ)
    serializer = TwilioFrameSerializer(stream, params=params)
    # With a rate of its own it asks a pipeline's set-up nothing, and there is no pipeline here.
    _at_once(serializer.setup(cast("FrameProcessorSetup", None)))
    return serializer


def _is_readable(fields: dict[str, object]) -> bool:
    """Whether it may be handed on: the serializer raises for other types, and takes our own sound as theirs."""
    media, dtmf = object_in(fields, "media"), object_in(fields, "dtmf")
    if text_of(fields, "event") == "media":
        return isinstance(media.get("payload"), str) and text_of(media, "track") != "outbound"
    return text_of(dtmf, "digit") in KEYS


def _at_once(work: Coroutine[object, None, T]) -> T:
    """Run what is asynchronous by its signature alone: at equal rates the serializer waits for nothing."""
    with closing(work):
        try:
            work.send(None)
        except StopIteration as done:
            return cast("T", done.value)
        raise LocalProtocolError("Pipecat's serializer waits for something: it is given another rate than the stream's")
