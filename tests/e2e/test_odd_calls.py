"""Callers who do it wrong: each call ends rightly and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.raw_sip import GOOD_SDP, RawCall
from tests.e2e.service import RunningService

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def call(service: RunningService) -> Iterator[RawCall]:
    made = RawCall(service.sip)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("sdp", "statuses"),
    [
        ("this is no description\r\n", {400, 488}),
        (GOOD_SDP.replace("RTP/AVP 0 101", "RTP/AVP 18"), {488}),  # G.729 only
        (GOOD_SDP.replace("m=audio", "m=video"), {488}),
        (GOOD_SDP.replace("IN IP4 127.0.0.1", "IN IP4 not-an-address"), {400, 488}),
    ],
)
async def test_a_description_that_cannot_be_met_is_refused(call: RawCall, sdp: str, statuses: set[int]) -> None:
    call.send("INVITE", sdp=sdp)

    assert await call.final("INVITE") in statuses
    call.send("ACK")


async def test_a_caller_who_gives_up_at_once_is_let_go(call: RawCall) -> None:
    call.send("INVITE", sdp=GOOD_SDP)
    call.send("CANCEL")

    status = await call.final("INVITE")

    assert status in {200, 487}
    call.send("ACK", new_transaction=status == 200)
    if status == 200:  # the answer was faster than the change of mind (RFC 3261 section 9.1)
        call.send("BYE", cseq=2, new_transaction=True)
        assert await call.final("BYE") == 200
