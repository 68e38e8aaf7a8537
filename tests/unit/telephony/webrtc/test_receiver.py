from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from telephony.audio.opus import OpusEncoder
from telephony.leg import INPUT_FRAME_BYTES
from telephony.webrtc.receiver import OpusReceiver


def tone(count: int, *, packet_ms: int = 20, hertz: float = 440) -> list[bytes]:
    """Opus packets of a tone of level 8000."""
    encoder = OpusEncoder(24_000)
    size = 24 * packet_ms
    samples = (8000 * np.sin(2 * np.pi * hertz * np.arange(count * size) / 24_000)).astype("<i2")
    return [encoder.encode(samples[start : start + size].tobytes()) for start in range(0, len(samples), size)]


class Line:
    """A receiver driven as the session drives it: packets as they arrive, a frame every 20 ms."""

    def __init__(self) -> None:
        self.receiver = OpusReceiver()
        self.now = 100.0
        self.frames: list[bytes] = []

    def run(
        self,
        packets: list[bytes],
        *,
        packet_ms: int = 20,
        ssrc: int = 7,
        first: int = 0,
        lost: frozenset[int] = frozenset(),
        delay_ms: float = 5,
    ) -> None:
        """Send each packet `delay_ms` after its time and take frames meanwhile."""
        began = self.now
        arrivals = [(began + (n * packet_ms + delay_ms) / 1000, n) for n in range(len(packets)) if n not in lost]
        for tick in range(len(packets) * packet_ms // 20):
            self.now = began + (tick + 1) * 0.02
            while arrivals and arrivals[0][0] <= self.now:
                at, n = arrivals.pop(0)
                number = first + n
                self.receiver.insert(
                    ssrc=ssrc, sequence=number & 0xFFFF, timestamp=number * packet_ms * 48, payload=packets[n], now=at
                )
            self.frames.append(self.receiver.frame(now=self.now))

    @property
    def heard(self) -> NDArray[np.int16]:
        return np.frombuffer(b"".join(self.frames), "<i2")

    def silent_frames(self, *, after: int = 0) -> int:
        return sum(int(np.abs(np.frombuffer(frame, "<i2").astype(int)).max()) < 500 for frame in self.frames[after:])

    def delay_ms(self) -> float:
        return self.receiver.stats().playout_delay_ms


def pitch(samples: NDArray[np.int16]) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 16))
    return float(np.argmax(spectrum) * 16_000 / (1 << 16))


def test_before_the_first_packet_there_is_silence_of_the_right_size() -> None:
    receiver = OpusReceiver()
    assert [receiver.frame(now=n * 0.02) for n in range(3)] == [bytes(INPUT_FRAME_BYTES)] * 3


def test_a_tone_comes_through_whole_within_60_ms() -> None:
    line = Line()
    line.run(tone(100))
    assert all(len(frame) == INPUT_FRAME_BYTES for frame in line.frames)
    assert line.silent_frames() <= 3
    assert pitch(line.heard[8000:]) == pytest.approx(440, abs=1)
    assert line.delay_ms() <= 45


def test_one_lost_packet_costs_one_concealed_frame_and_no_delay() -> None:
    line, whole = Line(), Line()
    line.run(tone(200), lost=frozenset({100}))
    whole.run(tone(200))
    assert line.receiver.stats().concealed_ms - whole.receiver.stats().concealed_ms == 20
    assert line.silent_frames(after=5) == 0
    assert line.delay_ms() == pytest.approx(whole.delay_ms(), abs=5)


def test_five_percent_of_loss_is_concealed_frame_by_frame_without_lasting_delay() -> None:
    lost = frozenset(n for n in range(20, 500) if random.Random(n).random() < 0.05)
    line = Line()
    line.run(tone(500), lost=lost)
    stats = line.receiver.stats()
    assert len(lost) > 15
    assert stats.concealed_ms <= 20 * (len(lost) + 2)
    assert line.silent_frames(after=5) <= 2
    assert stats.playout_delay_ms <= 65


@pytest.mark.parametrize("packet_ms", [5, 10, 40, 60])
def test_packets_of_another_duration_are_followed_from_the_second_on(packet_ms: int) -> None:
    line = Line()
    line.run(tone(2000 // packet_ms, packet_ms=packet_ms), packet_ms=packet_ms)
    assert pitch(line.heard[8000:]) == pytest.approx(440, abs=1)
    assert line.silent_frames(after=15) == 0


def test_a_change_of_packet_time_in_a_call_is_heard_for_a_moment_only() -> None:
    line = Line()
    line.run(tone(50), lost=frozenset({20}))
    concealed_ms = line.receiver.stats().concealed_ms
    line.run(tone(30, packet_ms=60), packet_ms=60, first=50)
    assert line.silent_frames(after=60) == 0
    assert line.receiver.stats().concealed_ms >= concealed_ms > 0


def test_another_source_is_a_new_stream() -> None:
    line = Line()
    line.run(tone(50))
    line.run(tone(50, hertz=700), ssrc=8, first=40_000)
    assert pitch(line.heard[-8000:]) == pytest.approx(700, abs=2)
    assert line.silent_frames(after=5) <= 4


def test_what_is_no_opus_is_counted_and_nothing_else() -> None:
    line = Line()
    for payload in (b"", b"\xff", b"\xff\xff\xff"):
        line.receiver.insert(ssrc=7, sequence=1, timestamp=0, payload=payload, now=line.now)
    assert line.receiver.stats().malformed == 3
    line.run(tone(20))
    assert line.silent_frames(after=5) == 0


def test_a_packet_of_no_whole_number_of_ms_is_counted_for_its_loss_could_not_be_concealed() -> None:
    line = Line()
    packet = bytes([16 << 3 | 3, 3, *bytes(60)])  # three frames of 2.5 ms
    for number in (0, 1, 2, 4, 5, 6):
        line.receiver.insert(ssrc=7, sequence=number, timestamp=number * 360, payload=packet, now=number * 0.0075)
    frames = [line.receiver.frame(now=0.06 + tick * 0.02) for tick in range(5)]
    assert (line.receiver.stats().malformed, {len(frame) for frame in frames}) == (6, {INPUT_FRAME_BYTES})


def test_a_packet_that_breaks_while_it_is_decoded_is_concealed() -> None:
    packets = tone(50)
    packets[25] = bytes([packets[24][0] | 3, 0x41, 0xFF, 0xFF])  # one frame, and more padding than there are bytes
    line = Line()
    line.run(packets)
    assert line.receiver.stats().malformed == 1
    assert all(len(frame) == INPUT_FRAME_BYTES for frame in line.frames)
    assert line.silent_frames(after=5) == 0
    assert pitch(line.heard[-8000:]) == pytest.approx(440, abs=2)


def test_a_delay_that_falls_is_followed_by_merging_frames() -> None:
    line = Line()
    line.run(tone(100), delay_ms=150)
    line.run(tone(300), delay_ms=5, first=100)
    assert line.delay_ms() <= 65
    assert pitch(line.heard[-16000:]) == pytest.approx(440, abs=1)


def test_closing_twice_is_closing_once() -> None:
    line = Line()
    line.run(tone(5))
    line.receiver.close()
    line.receiver.close()
    with pytest.raises(AttributeError):  # nothing decodes with what was freed
        line.run(tone(5))


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=30), st.integers(0, 2**16 - 1)), max_size=40))
def test_no_packet_breaks_the_receiver(packets: list[tuple[int, bytes, int]]) -> None:
    receiver = OpusReceiver()
    for tick, (ssrc, payload, number) in enumerate(packets):
        receiver.insert(ssrc=ssrc, sequence=number, timestamp=number * 960, payload=payload, now=tick * 0.02)
        assert len(receiver.frame(now=tick * 0.02 + 0.01)) == INPUT_FRAME_BYTES
