"""Who may talk to us."""

from __future__ import annotations

import pytest

from telephony.errors import LocalProtocolError
from telephony.source_list import LOOPBACK, SourceList


@pytest.mark.parametrize("host", ["127.0.0.1", "127.200.0.1", "::1", "::ffff:127.0.0.1", "::1%lo"])
def test_this_machine_is_on_the_list_that_everybody_starts_with(host: str) -> None:
    assert SourceList(LOOPBACK).allows(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "example.com", ""])
def test_nobody_else_is(host: str) -> None:
    assert not SourceList(LOOPBACK).allows(host)


def test_networks_and_single_addresses_are_named() -> None:
    ours = SourceList(("192.0.2.0/24", "203.0.113.7", "2001:db8::/32"))

    assert [ours.allows(host) for host in ("192.0.2.255", "203.0.113.7", "2001:db8:1::5")] == [True] * 3
    assert [ours.allows(host) for host in ("192.0.3.1", "203.0.113.8", "127.0.0.1")] == [False] * 3


@pytest.mark.parametrize("text", ["192.0.2.1/24", "sip.example.com", ""])
def test_what_is_no_network_is_an_error_that_says_what_to_write(text: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"203\.0\.113"):
        SourceList((text,))
