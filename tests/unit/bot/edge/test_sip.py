"""What the edge says of its SIP settings."""

from __future__ import annotations

import pytest

from bot.edge.sip import warning
from telephony.settings import SipSettings


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.9", "::"])
def test_a_port_that_is_open_to_a_network_of_which_nobody_is_named_is_worth_a_word(host: str) -> None:
    assert "[sip] allowed_sources" in (warning(SipSettings(host=host)) or "")


@pytest.mark.parametrize(
    "settings",
    [
        SipSettings(),
        SipSettings(host="::1"),
        SipSettings(host="localhost"),
        SipSettings(host="0.0.0.0", allowed_sources=("127.0.0.1", "192.0.2.0/24")),
    ],
)
def test_what_fits_together_is_not_spoken_of(settings: SipSettings) -> None:
    assert warning(settings) is None
