from __future__ import annotations

import pytest

from bot.loadtest.diagnosis import HeardGap, Observations, diagnose


def names(seen: Observations) -> list[str]:
    return [finding.name for finding in diagnose(seen)]


def test_a_well_bot_has_nothing_found() -> None:
    seen = Observations(
        gaps=[HeardGap("a", 3.0, 80)], lost_share=0.001, cut_ins=10, ignored=1, coughs=4, false_stops=1, calls=50,
        sockets_before=4, sockets_after=5,
    )  # fmt: skip

    assert names(seen) == []


def test_a_stall_every_10_s_is_named_with_its_length_and_period() -> None:
    gaps = [HeardGap(call, 100 + 10 * n + 0.1 * i, 290 + i) for n in (0, 1, 3, 4, 6) for i, call in enumerate("abc")]

    (found,) = diagnose(Observations(gaps=gaps))

    assert found.name == "periodic_stalls"
    assert "about 292 ms every 10.0 s (5 times, 3 calls)" in found.sentence


def test_stalls_without_a_rhythm_are_named_too() -> None:
    (found,) = diagnose(Observations(gaps=[HeardGap("a", at, 100) for at in (0, 7, 9, 30, 31.7, 80, 93)]))

    assert found.name == "stalls"
    assert "7 times" in found.sentence


def test_three_stalls_make_no_rhythm_and_neither_do_many_at_random() -> None:
    for times in ([0, 10, 20], [0, 3.1, 4.6, 9.9, 12.2, 18.8, 21.0], [0, 0.8, 1.6, 2.4, 3.2]):
        (found,) = diagnose(Observations(gaps=[HeardGap("a", at, 300) for at in times]))

        assert found.name == "stalls"


def test_gaps_as_long_as_the_network_was_told_to_make_are_not_the_bots() -> None:
    gaps = [HeardGap("a", 10.0 * n, 180) for n in range(6)]

    assert names(Observations(gaps=gaps, network_loss=0.02, network_gap_ms=240)) == []
    assert names(Observations(gaps=gaps, network_loss=0.02, network_gap_ms=80)) == ["periodic_stalls"]


def test_two_gaps_are_chance() -> None:
    assert names(Observations(gaps=[HeardGap("a", 0, 100), HeardGap("a", 10, 100)])) == []


def test_packets_that_never_came_are_named_unless_the_network_was_told_to_lose_them() -> None:
    (found,) = diagnose(Observations(lost_share=0.02))

    assert (found.name, found.sentence) == ("frames_dropped", "2.0 % of the bot's packets never came")
    assert names(Observations(lost_share=0.021, network_loss=0.02, packets=3000)) == []
    assert names(Observations(lost_share=0.04, network_loss=0.02, packets=30_000)) == ["frames_dropped"]


def test_losses_in_bursts_may_be_more_by_chance() -> None:
    def seen(packets: int) -> Observations:
        return Observations(lost_share=0.028, network_loss=0.02, network_burst=3, packets=packets)

    assert names(seen(3500)) == []
    assert names(seen(350_000)) == ["frames_dropped"]


def test_speech_that_was_left_out_is_named() -> None:
    (found,) = diagnose(Observations(cut_share=0.02))

    assert found.sentence == "2.0 % of the bot's speech was left out"


@pytest.mark.parametrize(("ignored", "expected"), [(5, []), (6, ["barge_in_ignored"])])
def test_barge_in_is_ignored_where_most_are(ignored: int, expected: list[str]) -> None:
    assert names(Observations(cut_ins=10, ignored=ignored)) == expected


def test_a_bot_that_stops_for_coughs_is_named() -> None:
    assert names(Observations(coughs=4, false_stops=3)) == ["stops_for_coughs"]


def test_a_port_a_call_is_a_leak_and_a_few_sockets_are_not() -> None:
    (found,) = diagnose(Observations(calls=20, sockets_before=4, sockets_after=24))

    assert (found.name, found.sentence) == ("ports_leaked", "20 UDP sockets are left of 20 calls (1.0 a call)")
    assert names(Observations(calls=20, sockets_before=4, sockets_after=8)) == []
    assert names(Observations(calls=3, sockets_before=0, sockets_after=9)) == []
