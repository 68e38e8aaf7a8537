from __future__ import annotations

from telephony.rtp.source import Address, SourceLock

NAMED: Address = ("192.0.2.1", 4000)
NAT: Address = ("198.51.100.7", 31_000)
STRANGER: Address = ("203.0.113.9", 666)


def admitted(lock: SourceLock, source: Address, numbers: range, *, now: float) -> list[bool]:
    return [lock.admits(source, sequence=number & 0xFFFF, now=now + 0.02 * n) for n, number in enumerate(numbers)]


def lock_to(named: Address | None) -> SourceLock:
    lock = SourceLock()
    lock.expect(named)
    return lock


def test_the_address_in_sdp_is_believed_at_once() -> None:
    lock = lock_to(NAMED)

    assert lock.admits(NAMED, sequence=7, now=0.0)
    assert lock.locked == NAMED


def test_another_address_is_believed_at_its_third_packet_in_a_row() -> None:
    lock = lock_to(NAMED)

    assert admitted(lock, NAT, range(65_534, 65_538), now=0.0) == [False, False, True, True]
    assert lock.locked == NAT
    assert lock.refused == 2


def test_packets_out_of_order_are_no_proof() -> None:
    lock = lock_to(NAMED)

    assert not any(lock.admits(NAT, sequence=number, now=0.0) for number in (5, 9, 2, 3, 8))


def test_two_strangers_in_turn_prove_nothing() -> None:
    lock = lock_to(NAMED)

    assert not any(lock.admits(source, sequence=number, now=0.0) for number in range(10) for source in (NAT, STRANGER))


def test_once_locked_a_stranger_is_refused_for_as_long_as_the_known_source_speaks() -> None:
    lock = lock_to(NAMED)
    heard: list[bool] = []
    for number in range(1_000):
        assert lock.admits(NAMED, sequence=number, now=number * 0.02)
        heard.append(lock.admits(STRANGER, sequence=number, now=number * 0.02))

    assert not any(heard)
    assert lock.refused == 1_000


def test_after_seconds_of_silence_another_source_may_take_over() -> None:
    lock = lock_to(NAMED)
    lock.admits(NAMED, sequence=1, now=0.0)

    assert not any(admitted(lock, NAT, range(10), now=4.0))
    assert admitted(lock, NAT, range(10, 14), now=5.1) == [False, False, True, True]
    assert not lock.admits(STRANGER, sequence=1, now=5.2)


def test_the_address_in_sdp_takes_over_from_a_learnt_one() -> None:
    lock = lock_to(NAMED)
    admitted(lock, STRANGER, range(3), now=0.0)

    assert lock.admits(NAMED, sequence=1, now=0.1)
    assert not lock.admits(STRANGER, sequence=3, now=0.2)


def test_the_same_sdp_again_changes_nothing() -> None:
    lock = lock_to(NAMED)
    admitted(lock, NAT, range(3), now=0.0)

    lock.expect(NAMED)

    assert lock.locked == NAT


def test_after_another_sdp_the_former_source_needs_a_second_of_proof() -> None:
    lock = lock_to(NAMED)
    lock.admits(NAMED, sequence=0, now=0.0)

    lock.expect(NAT)
    former = admitted(lock, NAMED, range(1, 60), now=0.1)

    assert former.index(True) == 49
    assert lock.admits(NAT, sequence=0, now=1.5)
    assert lock.locked == NAT


def test_without_an_address_in_sdp_the_first_proven_source_is_taken() -> None:
    lock = lock_to(None)

    assert admitted(lock, NAT, range(3), now=0.0) == [False, False, True]


def held(lock: SourceLock, *, until: float) -> SourceLock:
    lock.hold()
    lock.resume(now=until)
    return lock


def test_a_hold_is_no_silence_that_lets_a_stranger_in_while_it_lasts_or_after_it() -> None:
    lock = lock_to(NAMED)
    admitted(lock, NAT, range(3), now=0.0)
    lock.hold()

    assert not any(admitted(lock, STRANGER, range(1_000), now=10.0))
    lock.resume(now=60.0)
    assert not any(admitted(lock, STRANGER, range(1_000, 1_200), now=60.0))
    assert lock.admits(NAT, sequence=9, now=64.0)
    assert not any(admitted(lock, STRANGER, range(1_200, 1_400), now=64.0))


def test_a_source_that_never_comes_back_from_a_hold_is_waited_for_for_seconds() -> None:
    lock = lock_to(NAMED)
    admitted(lock, NAT, range(3), now=0.0)
    held(lock, until=60.0)

    assert admitted(lock, STRANGER, range(4), now=65.1) == [False, False, True, True]


def test_a_nat_that_gave_another_port_during_a_hold_is_followed_at_once() -> None:
    lock = lock_to(NAMED)
    admitted(lock, NAT, range(3), now=0.0)
    held(lock, until=60.0)
    moved = (NAT[0], NAT[1] + 2)

    assert admitted(lock, moved, range(4), now=60.1) == [False, False, True, True]
    assert not any(admitted(lock, (NAT[0], 9), range(10), now=60.3))


def test_another_port_of_a_host_that_was_followed_after_a_hold_is_a_stranger_again() -> None:
    lock = lock_to(NAMED)
    admitted(lock, NAT, range(3), now=0.0)
    held(lock, until=60.0)
    moved, neighbour = (NAT[0], NAT[1] + 2), (NAT[0], NAT[1] + 4)
    admitted(lock, moved, range(3), now=60.0)

    assert not any(admitted(lock, neighbour, range(200), now=60.1))
    assert lock.locked == moved


def test_what_began_during_a_hold_proves_nothing_after_it() -> None:
    lock = lock_to(None)
    lock.hold()
    admitted(lock, STRANGER, range(2), now=1.0)
    lock.resume(now=2.0)

    assert not lock.admits(STRANGER, sequence=2, now=2.0)


def test_a_hold_by_the_unspecified_address_forgets_nobody() -> None:
    lock = lock_to(NAMED)
    admitted(lock, NAT, range(3), now=0.0)

    lock.expect(None)
    lock.hold()
    lock.expect(NAMED)
    lock.resume(now=60.0)

    assert lock.locked == NAT
    assert not any(admitted(lock, STRANGER, range(10), now=60.0))


def test_resuming_what_was_not_held_changes_nothing() -> None:
    lock = lock_to(NAMED)
    lock.admits(NAMED, sequence=1, now=0.0)

    lock.resume(now=4.0)

    assert admitted(lock, NAT, range(4), now=5.1) == [False, False, True, True]
