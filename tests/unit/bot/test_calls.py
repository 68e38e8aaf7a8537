from __future__ import annotations

import asyncio

from bot.calls import Calls
from telephony.leg import CallLeg, EndCause, LegEnded, RejectReason
from tests.fakes.leg import FakeLeg


class Line:
    """A call that lasts until it is released."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def run(self, leg: CallLeg) -> LegEnded:
        await self.release.wait()
        return LegEnded(EndCause.CALLER_HUNG_UP)


async def test_a_call_over_capacity_is_refused_and_the_others_go_on() -> None:
    line = Line()
    calls = Calls(capacity=1, limit_s=3600, run=line.run)
    first, second = FakeLeg(call_id="1"), FakeLeg(call_id="2")

    calls.take(first)
    calls.take(second)
    await asyncio.sleep(0)

    assert second.rejected is RejectReason.AT_CAPACITY
    assert first.rejected is None
    assert (calls.active, calls.free) == (1, 0)
    line.release.set()
    assert await calls.wait(timeout_s=1) == 0
    assert (calls.active, calls.free) == (0, 1)


async def test_a_draining_worker_has_no_places() -> None:
    line = Line()
    calls = Calls(capacity=3, limit_s=3600, run=line.run)
    calls.take(FakeLeg(call_id="1"))

    calls.drain()
    late = FakeLeg(call_id="2")
    calls.take(late)
    await asyncio.sleep(0)

    assert (calls.capacity, calls.free) == (1, 0)
    assert late.rejected is RejectReason.AT_CAPACITY
    assert await calls.wait(timeout_s=0.01) == 1
    assert calls.active == 0


async def test_a_call_that_breaks_frees_its_place() -> None:
    async def broken(leg: CallLeg) -> LegEnded:
        raise RuntimeError("bug")

    calls = Calls(capacity=1, limit_s=3600, run=broken)
    calls.take(FakeLeg())
    await calls.wait(timeout_s=1)
    await asyncio.sleep(0)

    assert calls.free == 1
    assert await calls.wait(timeout_s=0) == 0


async def test_a_call_that_never_ends_is_hung_up_at_its_limit() -> None:
    ended: list[LegEnded] = []

    async def listen(leg: CallLeg) -> LegEnded:
        while not isinstance(event := await leg.receive(), LegEnded):
            pass
        ended.append(event)
        return event

    calls = Calls(capacity=1, limit_s=0.01, run=listen)
    calls.take(FakeLeg())
    assert await calls.wait(timeout_s=5) == 0

    assert [event.cause for event in ended] == [EndCause.BOT_HUNG_UP]
