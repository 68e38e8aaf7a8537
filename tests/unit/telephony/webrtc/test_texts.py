from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.leg import DigitReceived, MessageReceived
from telephony.webrtc.texts import DIGITS, digit_text, event_of


@pytest.mark.parametrize("digit", DIGITS)
def test_a_key_press_is_read_as_it_is_written(digit: str) -> None:
    assert event_of(digit_text(digit)) == DigitReceived(digit, 100)


def test_a_key_press_may_have_fields_that_nobody_knows() -> None:
    assert event_of('{"type":"digit","digit":"7","at":3}') == DigitReceived("7", 100)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[" * 100_000,
        '"digit"',
        '{"type":"digit"}',
        '{"type":"digit","digit":""}',
        '{"type":"digit","digit":"12"}',
        '{"type":"digit","digit":"a"}',
        '{"type":"digit","digit":7}',
        '{"type":"hello","digit":"7"}',
    ],
)
def test_any_other_text_is_passed_on_as_it_is(text: str) -> None:
    assert event_of(text) == MessageReceived(text)


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    assert event_of(text) == MessageReceived(text)
