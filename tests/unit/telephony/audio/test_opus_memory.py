from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.audio.opus import OpusDecoder, OpusEncoder
from telephony.audio.opus_memory import PacketMemory, RememberingEncoder


def buzz(pitch_hz: float, frames: int) -> list[bytes]:
    """A voice-like sound."""
    at = np.arange(frames * 480) / 24_000
    sound = sum(np.sin(2 * np.pi * pitch_hz * n * at) / n for n in range(1, 20))
    samples = (2500 * sound * (1 + 0.5 * np.sin(2 * np.pi * 4 * at))).astype("<i2")
    return [samples[start : start + 480].tobytes() for start in range(0, len(samples), 480)]


GREETING, NAME, OTHER_NAME = buzz(120, 30), buzz(180, 20), buzz(240, 20)


def encoder(memory: PacketMemory | None = None) -> RememberingEncoder:
    return RememberingEncoder(24_000, PacketMemory(packets=1000) if memory is None else memory)


def said(made: RememberingEncoder, *talks: list[bytes]) -> list[bytes]:
    return [made.encode(frame) for talk in talks for frame in talk]


def heard(packets: list[bytes]) -> np.ndarray:
    decoder = OpusDecoder(16_000)
    return np.frombuffer(b"".join(decoder.decode(packet) for packet in packets), "<i2").astype(np.float64)


def test_packets_are_those_of_an_encoder_of_ones_own() -> None:
    alone = OpusEncoder(24_000)
    assert said(encoder(), GREETING, NAME) == [alone.encode(frame) for frame in [*GREETING, *NAME]]


def test_a_second_call_gets_the_same_packets_and_nothing_is_encoded() -> None:
    memory = PacketMemory(packets=1000)
    first = said(encoder(memory), GREETING)
    kept = len(memory)
    assert said(encoder(memory), GREETING) == first
    assert len(memory) == kept == len(GREETING)


def test_a_talk_after_another_is_the_same_as_one_at_the_beginning() -> None:
    memory = PacketMemory(packets=1000)
    made = encoder(memory)
    first = said(made, GREETING)
    said(made, NAME)
    made.begin()
    assert said(made, GREETING) == first
    assert len(memory) == len(GREETING) + len(NAME)


@given(st.integers(min_value=1, max_value=10))
def test_a_call_that_goes_on_otherwise_soon_after_the_beginning_is_encoded_as_if_alone(shared: int) -> None:
    memory = PacketMemory(packets=1000)
    said(encoder(memory), GREETING)
    alone = OpusEncoder(24_000)
    frames = [*GREETING[:shared], *NAME]
    assert said(encoder(memory), frames) == [alone.encode(frame) for frame in frames]


def test_a_call_that_goes_on_otherwise_later_sounds_as_if_alone() -> None:
    memory = PacketMemory(packets=1000)
    said(encoder(memory), GREETING, NAME)
    alone = OpusEncoder(24_000)
    frames = [*GREETING, *OTHER_NAME]
    mixed, whole = heard(said(encoder(memory), frames)), heard([alone.encode(frame) for frame in frames])
    joint = len(GREETING) * 320
    error = np.sqrt(np.mean((mixed - whole)[joint:] ** 2)) / np.sqrt(np.mean(whole[joint:] ** 2))
    assert np.array_equal(mixed[:joint], whole[:joint])
    assert error < 0.15


def test_what_one_call_hears_lost_changes_its_own_packets_alone() -> None:
    memory = PacketMemory(packets=1000)
    plain = said(encoder(memory), GREETING)
    careful = encoder(memory)
    careful.expect_loss(20)
    protected = said(careful, GREETING)
    assert protected != plain
    assert said(encoder(memory), GREETING) == plain
    another = encoder(memory)
    another.expect_loss(20)
    another.begin()
    kept = len(memory)
    assert len(said(another, GREETING)) == len(GREETING)
    assert len(memory) == kept + len(GREETING)  # told before it began: another name, once


def test_loss_that_is_told_in_mid_talk_counts_from_there() -> None:
    memory = PacketMemory(packets=1000)
    plain = said(encoder(memory), GREETING)
    made = encoder(memory)
    before = said(made, GREETING[:10])
    made.expect_loss(20)
    made.expect_loss(20)
    assert before == plain[:10]
    assert said(made, GREETING[10:]) != plain[10:]


def test_the_memory_is_bounded_and_what_is_used_stays() -> None:
    memory = PacketMemory(packets=3)
    for number in range(3):
        memory.keep(bytes([number]), b"packet %d" % number)
    assert memory.find(b"\x00") == b"packet 0"
    memory.keep(b"\x03", b"packet 3")
    assert len(memory) == 3
    assert memory.find(b"\x01") is None
    assert memory.find(b"\x00") == b"packet 0"


def test_a_closed_encoder_is_freed_once() -> None:
    made = encoder()
    made.close()
    made.close()
    with pytest.raises(AttributeError):
        made.encode(bytes(640))
