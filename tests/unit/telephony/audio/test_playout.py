from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.audio.playout import Conceal, Decode, Noise, Playout, PlayoutAction, Silence

FRAME_S = 0.020
STEP = 160


@dataclass
class Line:
    """A sender of numbered 20 ms frames, a path that may be bad, and the ticks of the listener."""

    playout: Playout = field(default_factory=lambda: Playout(clock_hz=8_000))
    phase_s: float = 0.007
    first_sequence: int = 65_500  # wraps early
    first_timestamp: int = 2**32 - 3_000
    now: float = 100.0
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    played: list[PlayoutAction] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def send(self, numbers: range, *, delay_s: float = 0.03) -> None:
        for number in numbers:
            self.arrive(number, number * FRAME_S + delay_s)

    def arrive(self, number: int, at_s: float) -> None:
        self.arrivals.append((100.0 + at_s, number))

    def insert(self, number: int, at: float, *, payload: bytes | None = None) -> None:
        self.playout.insert(
            (self.first_sequence + number) & 0xFFFF,
            (self.first_timestamp + number * STEP) & 0xFFFFFFFF,
            payload if payload is not None else b"%d" % number,
            now=at,
        )

    def run(self, seconds: float, *, quiet: bool = False) -> list[PlayoutAction]:
        """Play on for so long; returns what was played."""
        start = len(self.played)
        self.arrivals.sort()
        for _ in range(round(seconds / FRAME_S)):
            at = self.now + self.phase_s
            while self.arrivals and self.arrivals[0][0] <= at:
                arrived, number = self.arrivals.pop(0)
                self.insert(number, arrived)
            self.played.append(self.playout.get(now=at, quiet=quiet))
            self.delays.append(self.playout.stats().delay_ms)
            self.now += FRAME_S
        return self.played[start:]


def numbers(actions: list[PlayoutAction]) -> list[int]:
    heard: list[int] = []
    for action in actions:
        if isinstance(action, Decode):
            heard += [int(action.merge)] if action.merge is not None else []
            heard.append(int(action.payload))
    return heard


def count(actions: list[PlayoutAction], kind: type) -> int:
    return sum(isinstance(action, kind) for action in actions)


def test_frames_come_out_in_order_after_the_least_delay() -> None:
    line = Line()
    line.send(range(100))

    actions = line.run(1.5)

    assert numbers(actions) == list(range(72))
    first = next(i for i, action in enumerate(actions) if isinstance(action, Decode))
    assert 0.030 + 0.020 <= first * FRAME_S + line.phase_s <= 0.030 + 0.040


def test_before_the_first_packet_there_is_silence() -> None:
    assert Line().run(0.1) == [Silence()] * 5


@pytest.mark.parametrize("lost", [20, 35, 36, 37])
def test_one_lost_packet_is_one_concealed_frame_and_no_lasting_delay(lost: int) -> None:
    line = Line()
    line.send(range(lost))
    line.send(range(lost + 1, 100))

    actions = line.run(1.8)

    assert numbers(actions) == [n for n in range(87) if n != lost]
    at = actions.index(Decode(b"%d" % (lost - 1)))
    assert isinstance(actions[at + 1], Conceal)
    assert actions[at + 2] == Decode(b"%d" % (lost + 1))
    assert line.delays[at] == pytest.approx(line.delays[at + 10])
    assert line.playout.stats().concealed_ms == 20


def test_concealment_names_the_following_packet_for_its_redundant_copy() -> None:
    line = Line(playout=Playout(clock_hz=8_000, min_ms=60))
    line.send(range(20))
    line.send(range(21, 40))

    actions = line.run(0.9)

    assert Conceal(following=b"21") in actions


def test_first_frames_of_a_long_loss_name_no_following_packet() -> None:
    line = Line(playout=Playout(clock_hz=8_000, min_ms=100))
    line.send(range(20))
    line.send(range(23, 40))

    actions = line.run(0.9)

    at = actions.index(Decode(b"19"))
    assert actions[at + 1 : at + 5] == [Conceal(), Conceal(), Conceal(following=b"23"), Decode(b"23")]


def test_concealment_ends_after_60_ms() -> None:
    line = Line(playout=Playout(clock_hz=8_000, min_ms=140))
    line.send(range(20))
    line.send(range(25, 40))

    actions = line.run(1.2)

    at = actions.index(Decode(b"19"))
    assert [type(action) for action in actions[at + 1 : at + 6]] == [Conceal, Conceal, Conceal, Silence, Silence]
    assert actions[at + 6] == Decode(b"25")


def test_reordered_packets_are_played_in_order() -> None:
    line = Line(playout=Playout(clock_hz=8_000, min_ms=60))
    for number in range(100):
        line.arrive(number ^ 1, number * FRAME_S)

    assert numbers(line.run(2.2)) == list(range(100))


def test_duplicates_are_played_once() -> None:
    line = Line()
    line.send(range(50))
    line.send(range(50), delay_s=0.031)
    line.send(range(50), delay_s=0.300)

    assert numbers(line.run(1.5)) == list(range(50))
    assert line.playout.stats().late == 0


def test_packet_out_of_order_after_its_slot_is_late() -> None:
    line = Line()
    line.send(range(20))
    line.arrive(20, 0.6)
    line.send(range(21, 60))

    assert numbers(line.run(1.4)) == [n for n in range(60) if n != 20]
    assert line.playout.stats().late == 1


def test_late_speech_is_kept_when_nothing_newer_was_played() -> None:
    line = Line()
    line.send(range(50))
    for number in range(50, 58):
        line.arrive(number, 58 * FRAME_S + 0.030)
    line.send(range(58, 400))

    actions = line.run(8.5, quiet=False)

    assert numbers(actions) == list(range(400))


@pytest.mark.parametrize("quiet", [False, True])
def test_delay_returns_to_the_target_after_a_spike(quiet: bool) -> None:
    line = Line()
    line.send(range(100))
    for number in range(100, 107):
        line.arrive(number, 107 * FRAME_S + 0.030)
    line.send(range(107, 500))

    line.run(2.0)
    before = line.delays[-1]
    line.run(0.5)
    assert max(line.delays[-20:]) > before + 60
    line.run(7.0, quiet=quiet)

    assert line.playout.stats().target_ms == 20
    assert line.delays[-1] <= 20 + 20 + 5
    assert numbers(line.played) == list(range(len(numbers(line.played))))
    assert line.playout.stats().merged_ms >= 60


def stalled_once() -> Line:
    """200 packets, of which seven come together and late."""
    line = Line()
    line.send(range(100))
    for number in range(100, 107):
        line.arrive(number, 107 * FRAME_S + 0.030)
    line.send(range(107, 200))
    return line


def test_quiet_places_are_used_at_once() -> None:
    line = stalled_once()

    line.run(2.3)
    line.run(0.4, quiet=True)

    assert line.delays[-1] <= 45


def test_it_says_that_the_delay_is_to_be_changed_only_until_it_is_right() -> None:
    line = stalled_once()

    line.run(1.9)
    assert not line.playout.is_off_target
    line.run(0.4)
    assert line.playout.is_off_target
    line.run(0.4, quiet=True)
    assert not line.playout.is_off_target


def test_target_grows_with_jitter_and_keeps_the_loss_small() -> None:
    dice = random.Random(1)
    line = Line()
    for number in range(3_000):
        line.arrive(number, number * FRAME_S + 0.02 + dice.uniform(0, 0.08))

    line.run(20.0)
    actions = line.run(35.0)

    assert 70 <= line.playout.stats().target_ms <= 90
    assert count(actions, Conceal) <= 0.03 * len(actions)


def test_target_stays_between_its_bounds() -> None:
    dice = random.Random(2)
    line = Line(playout=Playout(clock_hz=8_000, min_ms=40, max_ms=100))
    for number in range(1_000):
        line.arrive(number, number * FRAME_S + dice.uniform(0, 0.4))
    line.run(20.0)
    assert line.playout.stats().target_ms == 100
    assert max(line.delays) <= 100 + 20 + 5

    calm = Line(playout=Playout(clock_hz=8_000, min_ms=40, max_ms=100))
    calm.send(range(100))
    calm.run(2.0)
    assert calm.playout.stats().target_ms == 40


def test_target_falls_again_when_the_line_calms_down() -> None:
    dice = random.Random(3)
    line = Line()
    for number in range(1_000):
        line.arrive(number, number * FRAME_S + 0.02 + dice.uniform(0, 0.08))
    line.send(range(1_000, 4_000), delay_s=0.02)

    line.run(20.0)
    noisy = line.playout.stats().target_ms
    line.run(60.0)

    assert noisy >= 70
    assert line.playout.stats().target_ms == 20
    assert line.delays[-1] <= 45


def test_delay_too_short_for_the_target_is_lengthened_in_a_quiet_place() -> None:
    line = Line(playout=Playout(clock_hz=8_000, max_ms=200))
    line.send(range(50))
    for number in range(50, 500):
        line.arrive(number, number * FRAME_S + (0.110 if number % 4 == 0 else 0.030))

    line.run(1.0)
    line.run(8.0, quiet=True)

    assert line.delays[-1] >= line.playout.stats().target_ms - 5 >= 75


@pytest.mark.parametrize("ppm", [-300, 300])
def test_clock_drift_is_followed_without_loss_of_order_or_growing_delay(ppm: int) -> None:
    line = Line()
    total = 10_000
    for number in range(total):
        line.arrive(number, number * FRAME_S * (1 + ppm / 1e6) + 0.03)

    actions = line.run(190.0)

    heard = numbers(actions)
    assert heard == list(range(len(heard)))
    assert len(heard) > 9_400
    assert max(line.delays[10:]) <= 50
    assert 2 <= count(actions, Conceal) + line.playout.stats().merged_ms // 20 <= 5


def test_pause_of_the_sender_is_silence_not_loss() -> None:
    line = Line(playout=Playout(clock_hz=8_000, min_ms=60))
    line.send(range(20))
    for number in range(20, 40):  # two frames of time pass, no sequence number is missing
        line.arrivals.append((100.0 + (number + 2) * FRAME_S + 0.03, number))
    line.arrivals.sort()
    played: list[PlayoutAction] = []
    for tick in range(60):
        at = 100.0 + tick * FRAME_S + line.phase_s
        while line.arrivals and line.arrivals[0][0] <= at:
            arrived, number = line.arrivals.pop(0)
            skew = 2 * STEP if number >= 20 else 0
            line.playout.insert(
                (65_500 + number) & 0xFFFF,
                (2**32 - 3_000 + number * STEP + skew) & 0xFFFFFFFF,
                b"%d" % number,
                now=arrived,
            )
        played.append(line.playout.get(now=at))

    at = played.index(Decode(b"19"))
    assert played[at + 1 : at + 4] == [Silence(), Silence(), Decode(b"20")]
    assert not any(isinstance(action, Conceal) for action in played[: at + 20])


def test_pause_is_shortened_when_the_delay_is_too_long() -> None:
    playout = Playout(clock_hz=8_000)
    for number in range(6):
        playout.insert(number, number * STEP, b"%d" % number, now=0.0 if number < 1 else 0.100)
    for number in range(6, 9):
        playout.insert(number, (number + 2) * STEP, b"%d" % number, now=0.110)

    actions = [playout.get(now=0.115 + tick * FRAME_S) for tick in range(10)]

    assert numbers(actions) == list(range(9))
    assert count(actions, Silence) == 1


@pytest.mark.parametrize("frozen", [False, True])
def test_long_pause_with_or_without_running_timestamps_begins_anew_at_the_target(frozen: bool) -> None:
    playout = Playout(clock_hz=8_000)
    played: list[PlayoutAction] = []
    for tick in range(150):
        if tick < 50 or tick >= 100:
            number = tick if tick < 50 else tick - 50
            playout.insert(number, STEP * (number if frozen else tick), b"%d" % number, now=tick * FRAME_S)
        played.append(playout.get(now=tick * FRAME_S + 0.005))

    heard = numbers(played)
    assert heard == list(range(len(heard)))
    assert len(heard) >= 97
    assert playout.stats().delay_ms <= 45


def test_short_pause_with_frozen_timestamps_leaves_no_long_delay() -> None:
    playout = Playout(clock_hz=8_000)
    for tick in range(400):
        if not 50 <= tick < 58:
            number = tick if tick < 50 else tick - 8
            playout.insert(number, STEP * number, b"%d" % number, now=tick * FRAME_S)
        playout.get(now=tick * FRAME_S + 0.005)

    assert playout.stats().target_ms == 20
    assert playout.stats().delay_ms <= 45


def test_backward_jump_of_the_timestamp_is_believed_at_the_second_packet() -> None:
    playout = Playout(clock_hz=8_000)
    played: list[PlayoutAction] = []
    for tick in range(100):
        timestamp = tick * STEP + (10_000_000 if tick < 50 else 0)
        playout.insert(tick, timestamp, b"%d" % tick, now=tick * FRAME_S)
        played.append(playout.get(now=tick * FRAME_S + 0.005))

    assert numbers(played) == list(range(99))


@pytest.mark.parametrize(
    ("second", "timestamp"),
    [(300, 2**31), (12_346, 2**31), (300, 259), (12_346, 99)],
    ids=["wild twice", "of the next number", "of the next time", "of the same time"],
)
def test_wild_packets_that_do_not_continue_each_other_are_ignored(second: int, timestamp: int) -> None:
    line = Line()
    line.send(range(50))
    line.run(0.5)
    line.playout.insert(12_345, 99, b"wild", now=line.now)
    line.playout.insert(second, timestamp, b"wild", now=line.now)

    line.run(0.8)

    assert numbers(line.played) == list(range(50))


def test_old_sequence_number_with_another_time_is_no_late_packet() -> None:
    line = Line()
    line.send(range(50))
    line.run(0.6)
    line.playout.insert((65_500 + 10) & 0xFFFF, 7, b"wild", now=line.now)

    line.run(0.8)

    assert numbers(line.played) == list(range(50))


def test_forward_jump_within_a_second_goes_on_at_the_target() -> None:
    playout = Playout(clock_hz=8_000)
    played: list[PlayoutAction] = []
    for tick in range(200):
        timestamp = tick * STEP + (6_400 if tick >= 50 else 0)
        playout.insert(tick, timestamp, b"%d" % tick, now=tick * FRAME_S)
        played.append(playout.get(now=tick * FRAME_S + 0.005))

    assert numbers(played)[-100:] == list(range(numbers(played)[-1] - 99, numbers(played)[-1] + 1))
    assert numbers(played)[-1] >= 197
    assert playout.stats().delay_ms <= 45


def test_restart_begins_another_stream_at_once() -> None:
    line = Line()
    line.send(range(50))
    line.run(0.6)

    line.arrivals.clear()
    line.playout.restart()
    line.playout.insert(7, 7, b"1000", now=line.now)
    line.playout.insert(8, 167, b"1001", now=line.now + 0.02)
    line.now += 0.02

    assert numbers(line.run(0.08)) == [1000, 1001]


def test_flood_is_bounded() -> None:
    playout = Playout(clock_hz=8_000, max_ms=200)
    for number in range(5_000):
        playout.insert(number, number * STEP, b"x", now=0.0 if number < 50 else number * FRAME_S)

    actions = [playout.get(now=(5_000 + tick) * FRAME_S) for tick in range(5_000)]
    assert 1 <= count(actions, Decode) <= 2 * 200 // 20 + 16


def test_a_sender_that_says_it_falls_silent_has_lost_nothing() -> None:
    line = Line()
    line.send(range(10))
    line.run(0.2)
    sequence, timestamp = line.first_sequence + 10, (line.first_timestamp + 10 * STEP) & 0xFFFFFFFF
    line.playout.insert(sequence, timestamp, b"cn", now=line.now, is_noise=True)

    actions = line.run(0.4)

    at = actions.index(Noise(b"cn"))
    assert actions[at + 1 :] == [Silence()] * (len(actions) - at - 1)
    assert line.playout.stats().concealed_ms == 0


def test_packets_are_cut_into_frames() -> None:
    playout = Playout(clock_hz=8_000, frame_ms=10, frame_bytes=80)
    thirty = [bytes([number]) * 80 for number in range(6)]
    playout.insert(0, 0, b"".join(thirty[:3]), now=0.0)
    playout.insert(1, 240, b"".join(thirty[3:]), now=0.030)

    actions = [playout.get(now=0.031 + 0.01 * tick) for tick in range(6)]

    assert actions == [Decode(frame) for frame in thirty]


@pytest.mark.parametrize("payload", [b"", b"x" * 79, b"x" * 80 * 9])
def test_packet_of_no_or_too_many_frames_is_discarded(payload: bytes) -> None:
    playout = Playout(clock_hz=8_000, frame_ms=10, frame_bytes=80)
    playout.insert(0, 0, payload, now=0.0)

    assert playout.get(now=0.5) == Silence()


def test_frames_off_the_grid_are_played_in_their_nearest_slot() -> None:
    playout = Playout(clock_hz=8_000, min_ms=60)
    for number in range(20):
        playout.insert(number, number * STEP + (50 if number % 3 else 0), b"%d" % number, now=number * FRAME_S)
    actions = [playout.get(now=0.4 + tick * FRAME_S) for tick in range(30)]

    heard = numbers(actions)
    assert heard == list(range(heard[0], 20))


def test_early_part_of_an_outage_that_the_bound_cannot_hold_is_discarded() -> None:
    line = Line(playout=Playout(clock_hz=8_000, max_ms=100))
    line.send(range(50))
    for number in range(50, 80):
        line.arrive(number, 80 * FRAME_S + 0.030)
    line.send(range(80, 120))

    heard = numbers(line.run(2.6))

    assert heard == sorted(heard)
    assert max(line.delays) <= 125
    assert heard[-1] == 119


@given(
    seed=st.integers(0, 2**32 - 1),
    loss=st.floats(0, 0.3),
    jitter_s=st.floats(0, 0.2),
    duplication=st.floats(0, 0.2),
    quiet=st.booleans(),
)
def test_no_network_makes_it_lose_order_or_bound(
    seed: int, loss: float, jitter_s: float, duplication: float, quiet: bool
) -> None:
    dice = random.Random(seed)
    line = Line()
    for number in range(400):
        for _ in range(2 if dice.random() < duplication else 1):
            if dice.random() >= loss:
                line.arrive(number, number * FRAME_S + dice.uniform(0, jitter_s))

    heard = numbers(line.run(9.0, quiet=quiet))

    assert heard == sorted(set(heard))
    assert max(line.delays) <= 200 + 20 + 5
    assert len(heard) >= 0.5 * 400 * (1 - loss) - 20


@given(seed=st.integers(0, 2**32 - 1), lost=st.sets(st.integers(10, 180), max_size=12))
def test_losses_on_a_steady_line_cost_their_own_frames_only(seed: int, lost: set[int]) -> None:
    dice = random.Random(seed)
    line = Line(phase_s=dice.uniform(0, 0.0199))
    for number in range(200):
        if number not in lost:
            line.arrive(number, number * FRAME_S + 0.03)

    actions = line.run(4.6)

    assert numbers(actions) == [number for number in range(200) if number not in lost]
    spread = [delay for delay in line.delays[10:190] if delay]
    assert max(spread) <= 45


@given(
    packets=st.lists(
        st.tuples(st.integers(0, 65_535), st.integers(0, 2**32 - 1), st.binary(max_size=800), st.floats(0, 0.05)),
        max_size=60,
    )
)
def test_garbage_is_survived(packets: list[tuple[int, int, bytes, float]]) -> None:
    playout = Playout(clock_hz=8_000, frame_ms=10, frame_bytes=80)
    now = 0.0
    came = {payload[at : at + 80] for _, _, payload, _ in packets for at in range(0, len(payload), 80)}
    for sequence, timestamp, payload, later in packets:
        now += later
        playout.insert(sequence, timestamp, payload, now=now)
        action = playout.get(now=now)

        assert not isinstance(action, Decode) or {action.payload, action.merge} <= {*came, None}
