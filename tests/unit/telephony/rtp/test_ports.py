from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import CapacityError, LocalProtocolError
from telephony.rtp.ports import PortPool


def pool(port_min: int = 20_000, port_max: int = 20_007) -> PortPool:
    return PortPool(port_min=port_min, port_max=port_max, shuffle=lambda ports: None, quarantine_s=5.0)


def test_pairs_begin_on_even_ports_and_lie_in_the_range() -> None:
    ours = pool(20_001, 20_006)

    assert [ours.take(now=0.0) for _ in range(2)] == [20_002, 20_004]
    with pytest.raises(CapacityError, match="all RTP ports are in use"):
        ours.take(now=0.0)


def test_ports_are_handed_out_in_shuffled_order() -> None:
    ours = PortPool(port_min=20_000, port_max=20_007, shuffle=lambda ports: ports.reverse())

    assert ours.take(now=0.0) == 20_006


def test_port_given_back_rests() -> None:
    ours = pool(20_000, 20_001)
    ours.give_back(ours.take(now=0.0), now=10.0)

    with pytest.raises(CapacityError, match="still rest") as refused:
        ours.take(now=12.5)
    assert refused.value.retry_after_s == 3
    assert ours.take(now=15.0) == 20_000


def test_port_that_was_not_taken_cannot_be_given_back() -> None:
    ours = pool()
    port = ours.take(now=0.0)
    ours.give_back(port, now=0.0)

    with pytest.raises(LocalProtocolError, match=f"port {port} was not taken"):
        ours.give_back(port, now=0.0)


@pytest.mark.parametrize(("port_min", "port_max"), [(20_000, 20_000), (20_001, 20_002), (20_010, 20_000)])
def test_range_without_a_pair_is_refused(port_min: int, port_max: int) -> None:
    with pytest.raises(ValueError, match="no pair of ports"):
        pool(port_min, port_max)


@given(st.lists(st.booleans(), max_size=60))
def test_no_port_is_lost_or_doubled(steps: list[bool]) -> None:
    ours, held, now = pool(20_000, 20_019), [], 0.0
    for is_take in steps:
        now += 1.0
        if is_take and len(held) < 10:
            try:
                held.append(ours.take(now=now))
            except CapacityError:
                now += 5.0
                held.append(ours.take(now=now))
        elif held:
            ours.give_back(held.pop(0), now=now)
        assert len(set(held)) == len(held) == ours.taken
    for port in held:
        ours.give_back(port, now=now)

    assert sorted(ours.take(now=now + 6.0) for _ in range(10)) == list(range(20_000, 20_020, 2))
