"""Frames between the edge and a worker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import LocalProtocolError
from telephony.sip.carrier_frame import (
    CarrierFrame,
    EndFrame,
    FlowLostFrame,
    KeepFrame,
    MessageFrame,
    ReleaseFrame,
    pack,
    unpack,
)
from telephony.sip.flow import Flow

FLOWS = st.builds(
    Flow,
    st.sampled_from(["udp", "tcp", "tls"]),
    st.sampled_from(["127.0.0.1", "2001:db8::1", ""]),
    st.integers(0, 65_535),
    st.integers(0, 2**64 - 1),
    st.sampled_from(["", "sip.example.com"]),
)
CALL_IDS = st.binary(max_size=50).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
FRAMES = st.one_of(
    st.builds(MessageFrame, st.binary(max_size=100), FLOWS),
    st.builds(FlowLostFrame, FLOWS),
    st.builds(KeepFrame, CALL_IDS),
    st.builds(ReleaseFrame, CALL_IDS),
    st.builds(EndFrame, CALL_IDS),
)


@given(FRAMES)
def test_what_is_packed_is_unpacked(frame: CarrierFrame) -> None:
    assert unpack(pack(frame)) == frame


@pytest.mark.parametrize("datagram", [b"", b"X", b"M", b"L\x00\x00"])
def test_what_is_no_frame_is_an_error(datagram: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        unpack(datagram)
