"""Where messages come from and go to."""

from __future__ import annotations

from telephony.sip.flow import Flow


def test_only_a_stream_delivers_by_itself() -> None:
    assert (Flow("tcp", "192.0.2.1", 5060, 1).reliable, Flow("udp", "192.0.2.1", 5060).reliable) == (True, False)


def test_a_connection_is_part_of_the_name() -> None:
    assert Flow("tcp", "192.0.2.1", 5060, 1) != Flow("tcp", "192.0.2.1", 5060)
