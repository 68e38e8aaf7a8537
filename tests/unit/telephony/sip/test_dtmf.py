"""Key presses in INFO, and presses that come twice."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.leg import DigitReceived
from telephony.sip.dtmf import DTMF, DTMF_RELAY, PAIR_WINDOW_S, DigitMerger, read_digit


@pytest.mark.parametrize(
    ("kind", "body", "digit", "duration_ms"),
    [
        (DTMF_RELAY, b"Signal=5\r\nDuration=160\r\n", "5", 160),
        (DTMF_RELAY, b"signal = *\nduration = 99999", "*", 10_000),
        (DTMF_RELAY, b"Duration=200\rSignal=d\r", "D", 200),
        (DTMF_RELAY, b"Signal=11\r\n", "#", 160),
        (DTMF, b"7", "7", 160),
        (DTMF, b" a\r\n", "A", 160),
        (DTMF, b"10", "*", 160),
    ],
)
def test_a_key_is_read(kind: str, body: bytes, digit: str, duration_ms: int) -> None:
    assert read_digit(kind, body) == DigitReceived(digit, duration_ms)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (DTMF_RELAY, b""),
        (DTMF_RELAY, b"Signal=E\r\n"),
        (DTMF_RELAY, b"5"),
        (DTMF, b"16"),
        (DTMF, b"\xff"),
        (DTMF, b""),
    ],
)
def test_what_is_no_key_is_an_error(kind: str, body: bytes) -> None:
    with pytest.raises(SipParseError):
        read_digit(kind, body)


def test_a_press_that_comes_both_ways_is_one_press() -> None:
    merger = DigitMerger()

    assert merger.accept("1", "rtp", now=0.0)
    assert not merger.accept("1", "info", now=0.6)


def test_the_same_key_twice_is_two_presses_however_they_interleave() -> None:
    merger = DigitMerger()

    reports = [("1", "rtp", 0.0), ("1", "rtp", 0.3), ("1", "info", 0.4), ("1", "info", 0.5), ("1", "info", 0.9)]

    assert [merger.accept(d, s, now=at) for d, s, at in reports] == [True, True, False, False, True]  # type: ignore[arg-type] - literals


def test_other_keys_and_old_presses_are_presses_of_their_own() -> None:
    merger = DigitMerger()

    assert merger.accept("1", "rtp", now=0.0)
    assert merger.accept("2", "info", now=0.1)
    assert merger.accept("1", "info", now=PAIR_WINDOW_S + 0.1)


def test_a_press_that_comes_three_ways_is_one_press() -> None:
    merger = DigitMerger()

    assert merger.accept("1", "rtp", now=0.0)
    assert not merger.accept("1", "inband", now=0.1)
    assert not merger.accept("1", "info", now=0.6)
    assert merger.accept("1", "rtp", now=0.7)
