"""Asterisk's AudioSocket."""

from __future__ import annotations

import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.stream.audiosocket import AudioSocketDialect
from telephony.stream.dialect import Broken, Key, Sound, Started, Stopped, StreamEvent

CALL = uuid.UUID("0f2f7a0e-6c1c-4c1e-9d0d-3f9a5a4f8f11")


def frame(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack("!BH", kind, len(payload)) + payload


BEGIN = frame(0x01, CALL.bytes)


def test_a_call_begins_with_its_uuid_and_brings_sound_keys_and_an_end() -> None:
    stream = BEGIN + frame(0x10, b"\1\2" * 160) + frame(0x03, b"5") + frame(0x00)

    assert AudioSocketDialect().receive(stream) == [Started(str(CALL)), Sound(b"\1\2" * 160), Key("5"), Stopped()]


@given(st.lists(st.integers(0, 400), max_size=20))
def test_a_stream_cut_anywhere_equals_the_whole(cuts: list[int]) -> None:
    stream = BEGIN + frame(0x10, bytes(range(200))) + frame(0x03, b"#") + frame(0x10, b"") + frame(0x00)
    ours, events, last = AudioSocketDialect(), list[StreamEvent](), 0
    for cut in [*sorted(cuts), len(stream)]:
        events += ours.receive(stream[last : max(last, cut)])
        last = max(last, cut)

    assert events == AudioSocketDialect().receive(stream)


def test_half_a_sample_is_left_out() -> None:
    assert AudioSocketDialect().receive(BEGIN + frame(0x10, b"123"))[1:] == [Sound(b"12")]


@pytest.mark.parametrize("data", [frame(0x10, b"12"), frame(0x01, b"short"), frame(0x00)])
def test_what_begins_otherwise_is_no_call(data: bytes) -> None:
    assert isinstance(AudioSocketDialect().receive(data)[0], Broken)


def test_a_rate_that_we_have_not_is_told() -> None:
    (_, broken) = AudioSocketDialect().receive(BEGIN + frame(0x12, b"1234"))

    assert isinstance(broken, Broken)
    assert "c(slin)" in broken.reason


def test_an_error_ends_the_call_and_what_is_unknown_is_passed_over() -> None:
    events = AudioSocketDialect().receive(BEGIN + frame(0x77, b"x") + frame(0x03, b"x") + frame(0xFF, b"\1"))

    assert events[1:] == [Stopped("Asterisk's error 01")]


def test_what_we_say_is_framed() -> None:
    ours = AudioSocketDialect()

    assert ours.sound(b"\1\2") == [frame(0x10, b"\1\2")]
    assert (ours.answer(), ours.clear(), ours.digits("1")) == ([], [], None)
    assert ours.hang_up() == [b"\0\0\0"]


@given(st.lists(st.binary(max_size=600), max_size=10))
def test_no_bytes_make_it_raise_or_keep_much(chunks: list[bytes]) -> None:
    ours = AudioSocketDialect()
    for chunk in chunks:
        ours.receive(chunk)

    assert len(ours._buffer) <= 65_538
