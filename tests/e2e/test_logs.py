"""What the service writes about a call: that there was one, and nothing that the caller said or pressed."""

from __future__ import annotations

import asyncio
import re

from tests.e2e.conftest import Phones
from tests.e2e.raw_sip import GOOD_SDP, RawCall
from tests.e2e.service import RunningService

_DIGITS = "48297315"
_NUMBER = "994507654321"


async def test_no_key_and_no_number_of_a_caller_is_written(
    service: RunningService, phones: Phones, nothing_left: None
) -> None:
    caller = await phones.call(caller=_NUMBER)
    await caller.leg.send_digits(_DIGITS)
    await asyncio.sleep(2.0)
    await caller.leg.hang_up()
    await service.idle()

    written = service.log.read_text(errors="replace")
    assert _NUMBER not in written
    assert _DIGITS not in written
    assert not re.search(r"(?i)(digit|key|pressed|dtmf)\W{1,4}[0-9]\b", written)


async def test_a_flood_of_nonsense_writes_a_line_a_second_and_no_more(
    service: RunningService, nothing_left: None
) -> None:
    call = RawCall(service.sip)
    before = len(service.log.read_bytes())
    for number in range(600):
        call._socket.sendto(f"INVITE sip:{_NUMBER} SIP/2.0 {number}\r\n\r\n".encode(), call._service)
    call.send("INVITE", sdp=GOOD_SDP)
    assert await call.final("INVITE") == 200
    call.send("ACK", new_transaction=True)
    call.send("BYE", cseq=2, new_transaction=True)
    assert await call.final("BYE") == 200
    call.close()

    written = service.log.read_bytes()[before:]
    assert written.count(b"refused a message") <= 12
    assert _NUMBER.encode() not in written
