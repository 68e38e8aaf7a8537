"""A provider's media WebSocket in Twilio's format, through Pipecat's serializer."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.serializers.twilio import TwilioFrameSerializer

from telephony.audio.frame import pcm_of, samples_of
from telephony.audio.g711 import MU_LAW
from telephony.errors import LocalProtocolError
from telephony.stream.dialect import Broken, Key, Sound, Started, Stopped
from telephony.stream.twilio import TwilioDialect

TONE = pcm_of((8000 * np.sin(np.arange(160) / 3)).astype(np.int16))
CODED = base64.b64encode(MU_LAW.encode(samples_of(TONE))).decode()
# As in the provider's documentation.
START = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC0",
        "streamSid": "MZ0",
        "callSid": "CA0",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"caller": "+994501234567", "callee": "+994121234567", "queue": "a"},
    },
    "streamSid": "MZ0",
}


def begun() -> TwilioDialect:
    ours = TwilioDialect()
    ours.receive('{"event": "connected", "protocol": "Call", "version": "1.0.0"}')
    ours.receive(json.dumps(START))
    return ours


def media(payload: object, **more: object) -> str:
    return json.dumps({"event": "media", "streamSid": "MZ0", "media": {"track": "inbound", "payload": payload, **more}})


def test_a_call_begins_with_the_parameters_of_its_stream() -> None:
    assert TwilioDialect().receive(json.dumps(START)) == [
        Started("CA0", "+994501234567", "+994121234567", {"queue": "a"})
    ]


def test_sound_goes_both_ways() -> None:
    ours = begun()
    (sound,) = ours.receive(media(CODED))

    assert isinstance(sound, Sound)
    assert sound.pcm == pcm_of(MU_LAW.decode(MU_LAW.encode(samples_of(TONE))))
    (said,) = ours.sound(TONE)
    message = json.loads(str(said))
    payload = message["media"].pop("payload")
    assert message == {"event": "media", "streamSid": "MZ0", "media": {}}
    heard = MU_LAW.decode(base64.b64decode(payload))
    assert len(heard) == len(samples_of(TONE))
    assert np.abs(heard.astype(int) - samples_of(TONE)).max() < 400


def test_keys_marks_and_the_end_are_read() -> None:
    ours = begun()

    assert ours.receive('{"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "1"}}') == [Key("1")]
    assert ours.receive('{"event": "dtmf", "dtmf": 5}') == []
    assert ours.receive('{"event": "mark", "mark": {"name": "a"}}') == []
    assert ours.receive('{"event": "stop"}') == [Stopped()]


def test_a_flush_has_the_provider_drop_what_it_holds_and_the_rest_needs_no_word() -> None:
    ours = begun()

    assert [json.loads(str(each)) for each in ours.clear()] == [{"event": "clear", "streamSid": "MZ0"}]
    assert (ours.answer(), ours.hang_up(), ours.digits("1")) == ([], [], None)


@pytest.mark.parametrize("digit", ["w", "", "12", 1, None, ["1"], {"digit": "1"}])
def test_what_is_no_key_is_passed_over(digit: object) -> None:
    assert begun().receive(json.dumps({"event": "dtmf", "dtmf": {"digit": digit}})) == []


@pytest.mark.parametrize("payload", ["", "!", 5, None, "YQ=", "é"])
def test_sound_that_is_no_base64_is_passed_over(payload: object) -> None:
    assert begun().receive(media(payload)) == []


def test_our_own_sound_and_sound_before_the_start_are_passed_over() -> None:
    assert begun().receive(media(CODED, track="outbound")) == []
    assert TwilioDialect().receive(media(CODED)) == []


@pytest.mark.parametrize(
    "message",
    [
        b"binary",
        "[]",
        "nonsense",
        "[" * 100_000,
        json.dumps({**START, "streamSid": "", "start": {}}),
        json.dumps({**START, "start": {"mediaFormat": {"encoding": "audio/x-l16"}}}),
        json.dumps({**START, "start": {"mediaFormat": {"sampleRate": 16_000}}}),
    ],
)
def test_what_cannot_be_followed_is_told(message: bytes | str) -> None:
    assert isinstance(TwilioDialect().receive(message)[0], Broken)


def test_what_a_stranger_writes_is_kept_within_bounds() -> None:
    many = {f"p{n}": "x" * 1000 for n in range(100)}
    (started,) = TwilioDialect().receive(json.dumps({**START, "start": {"customParameters": many}}))

    assert isinstance(started, Started)
    assert len(started.variables) == 32
    assert max(map(len, started.variables.values())) == 200


@given(st.lists(st.one_of(st.binary(max_size=50), st.text(max_size=200), st.just(json.dumps(START))), max_size=10))
def test_no_message_makes_it_raise(messages: list[bytes | str]) -> None:
    ours = TwilioDialect()
    events = [event for message in messages for event in ours.receive(message)]

    sounds = [at for at, event in enumerate(events) if isinstance(event, Sound)]
    starts = [at for at, event in enumerate(events) if isinstance(event, Started)]
    assert not sounds or starts[0] < sounds[0]


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=9), st.sampled_from(["inbound", CODED, "1"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["media", "dtmf", "payload", "digit", "track", "start"]), inner, max_size=4),
    ),
    max_leaves=8,
)


@given(st.sampled_from(["media", "dtmf", "start", "stop"]), ANYTHING, ANYTHING)
def test_no_type_of_value_makes_it_raise(event: str, media: object, dtmf: object) -> None:
    events = begun().receive(json.dumps({"event": event, "media": media, "dtmf": dtmf}))
    assert len(events) <= 1


def test_a_serializer_that_would_wait_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting:
        def __await__(self) -> Generator[None, None, None]:
            yield

    async def waits(*_: object) -> None:
        await Waiting()

    ours = begun()
    monkeypatch.setattr(TwilioFrameSerializer, "serialize", waits)

    with pytest.raises(LocalProtocolError, match="waits"):
        ours.sound(TONE)
