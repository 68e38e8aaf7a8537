"""Twilio's format as Pipecat's serializer has it, a second reading of the same documentation, beside ours."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from numpy.typing import NDArray
from pipecat.frames.frames import InputAudioRawFrame, InputDTMFFrame, InterruptionFrame, OutputAudioRawFrame
from pipecat.serializers.twilio import TwilioFrameSerializer

from telephony.audio.g711 import MU_LAW
from telephony.stream.dialect import Key, Sound, StreamEvent
from telephony.stream.twilio import TwilioDialect

_RATE_HZ = 8_000
_SOUND = (12_000 * np.sin(2 * np.pi * 440 * np.arange(160) / _RATE_HZ)).astype("<i2")
_START = json.dumps({"event": "start", "streamSid": "MZ1", "start": {"streamSid": "MZ1", "callSid": "CA1"}})


@pytest.fixture
def pipecats() -> TwilioFrameSerializer:
    serializer = TwilioFrameSerializer("MZ1", params=TwilioFrameSerializer.InputParams(auto_hang_up=False))
    serializer._sample_rate = _RATE_HZ  # what `setup` takes from a pipeline
    return serializer


@pytest.fixture
def ours() -> TwilioDialect:
    dialect = TwilioDialect()
    dialect.receive(_START)
    return dialect


def off(payload: str) -> NDArray[np.int32]:
    """How far each sample is from the sound that was meant."""
    return np.abs(MU_LAW.decode(base64.b64decode(payload)).astype(np.int32) - _SOUND)


async def test_what_we_send_is_what_pipecat_sends(pipecats: TwilioFrameSerializer, ours: TwilioDialect) -> None:
    theirs = await pipecats.serialize(OutputAudioRawFrame(_SOUND.tobytes(), _RATE_HZ, 1))
    (sound,) = ours.sound(_SOUND.tobytes())
    assert isinstance(theirs, str)
    assert isinstance(sound, str)
    by_us, by_them = json.loads(sound), json.loads(theirs)
    ours_off, theirs_off = off(by_us["media"].pop("payload")), off(by_them["media"].pop("payload"))
    assert by_us == by_them
    assert (ours_off <= theirs_off).all()  # between two steps of the law the encoders choose apart, and equally well
    assert np.count_nonzero(ours_off != theirs_off) <= 8

    cleared = await pipecats.serialize(InterruptionFrame())
    (clear,) = ours.clear()
    assert isinstance(cleared, str)
    assert isinstance(clear, str)
    assert json.loads(clear) == json.loads(cleared)


def media(track: str = "inbound") -> str:
    payload = base64.b64encode(MU_LAW.encode(_SOUND)).decode()
    fields = {"track": track, "chunk": "1", "timestamp": "5", "payload": payload}
    return json.dumps({"event": "media", "sequenceNumber": "3", "media": fields, "streamSid": "MZ1"})


@pytest.mark.parametrize(
    "text",
    [
        media(),
        '{"event": "dtmf", "streamSid": "MZ1", "sequenceNumber": "5", "dtmf": {"track": "inbound", "digit": "7"}}',
        '{"event": "dtmf", "streamSid": "MZ1", "dtmf": {"digit": "#"}}',
        '{"event": "dtmf", "streamSid": "MZ1", "dtmf": {"digit": "w"}}',
        '{"event": "mark", "streamSid": "MZ1", "mark": {"name": "end"}}',
        '{"event": "connected", "protocol": "Call", "version": "1.0.0"}',
    ],
)
async def test_what_a_provider_sends_is_read_as_pipecat_reads_it(
    text: str, pipecats: TwilioFrameSerializer, ours: TwilioDialect
) -> None:
    frame = await pipecats.deserialize(text)
    expected: list[StreamEvent] = []
    if isinstance(frame, InputAudioRawFrame):
        expected = [Sound(frame.audio)]
    elif isinstance(frame, InputDTMFFrame):
        expected = [Key(frame.button.value)]

    assert ours.receive(text) == expected
