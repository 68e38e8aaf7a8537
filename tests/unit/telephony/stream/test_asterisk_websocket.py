"""Asterisk's WebSocket channel."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.audio.frame import pcm_of, samples_of
from telephony.audio.g711 import A_LAW, MU_LAW
from telephony.stream.asterisk_websocket import AsteriskDialect
from telephony.stream.dialect import Broken, Key, Sound, Started, Stopped

TONE = pcm_of((8000 * np.sin(np.arange(160) / 3)).astype(np.int16))


def start(name: str = "slin", **more: object) -> str:
    return json.dumps({"event": "MEDIA_START", "connection_id": "c1", "format": name, "ptime": 20, **more})


def begun(name: str = "slin") -> AsteriskDialect:
    ours = AsteriskDialect()
    assert isinstance(ours.receive(start(name))[0], Started)
    return ours


def test_a_call_begins_with_what_the_dial_plan_knows() -> None:
    variables = {"CALLERID(num)": "1001", "EXTEN": "500", "X": "y"}

    assert AsteriskDialect().receive(start(channel_variables=variables)) == [Started("c1", "1001", "500", variables)]


@pytest.mark.parametrize(("name", "law"), [("ulaw", MU_LAW), ("alaw", A_LAW)])
def test_sound_goes_both_ways_in_the_law_of_the_channel(name: str, law: object) -> None:
    ours = begun(name)
    assert law in (MU_LAW, A_LAW)
    coded = (MU_LAW if name == "ulaw" else A_LAW).encode(samples_of(TONE))

    assert ours.sound(TONE) == [coded]
    (sound,) = ours.receive(coded)
    assert isinstance(sound, Sound)
    assert np.abs(samples_of(sound.pcm).astype(int) - samples_of(TONE)).max() < 400


def test_linear_sound_goes_both_ways_as_it_is() -> None:
    assert begun().sound(TONE) == [TONE]
    assert begun().receive(TONE + b"x") == [Sound(TONE)]


def test_keys_and_the_end_are_told() -> None:
    ours = begun()

    assert ours.receive('{"event": "DTMF_END", "digit": "7", "duration_ms": 120}') == [Key("7", 120)]
    assert ours.receive('{"event": "DTMF_END", "digit": "8", "duration_ms": "x"}') == [Key("8", 0)]
    assert ours.receive('{"event": "DTMF_END", "digit": "77"}') == []
    assert ours.receive('{"event": "MEDIA_XOFF"}') == []
    assert ours.receive(start()) == []  # a second start
    assert ours.receive('{"event": "HANGUP"}') == [Stopped()]


def test_commands_are_json() -> None:
    ours = begun()

    assert [json.loads(str(each)) for each in (*ours.answer(), *ours.clear(), *ours.hang_up())] == [
        {"command": "ANSWER"},
        {"command": "FLUSH_MEDIA"},
        {"command": "HANGUP"},
    ]
    assert ours.digits("1") is None


def test_an_asterisk_that_speaks_plain_text_is_answered_in_it() -> None:
    ours = AsteriskDialect()

    assert ours.receive("MEDIA_START connection_id:c2 channel:x format:ulaw optimal_frame_size:160") == [Started("c2")]
    assert ours.receive("DTMF_END digit:5 duration_ms:80") == [Key("5", 0)]
    assert ours.clear() == ["FLUSH_MEDIA"]


def test_sound_before_the_start_and_formats_that_we_have_not_are_refused() -> None:
    assert isinstance(AsteriskDialect().receive(b"12")[0], Broken)
    assert isinstance(AsteriskDialect().receive(start("opus"))[0], Broken)
    assert AsteriskDialect().receive("") == []


@given(st.lists(st.one_of(st.binary(max_size=400), st.text(max_size=200), st.just(start("ulaw"))), max_size=10))
def test_no_message_makes_it_raise(messages: list[bytes | str]) -> None:
    ours = AsteriskDialect()
    events = [event for message in messages for event in ours.receive(message)]

    sounds = [at for at, event in enumerate(events) if isinstance(event, Sound)]
    starts = [at for at, event in enumerate(events) if isinstance(event, Started)]
    assert not sounds or starts[0] < sounds[0]
