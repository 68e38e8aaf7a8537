"""`Player`: pieces of any length become whole frames, in order, with the leg's lead and not more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from bot.player import Player
from telephony.leg import FRAME_MS, OUTPUT_FRAME_BYTES
from tests.fakes.leg import LEAD_MS, FakeLeg

SECOND = bytes(range(1, 241)) * 200  # 48,000 bytes


@dataclass
class Bench:
    leg: FakeLeg
    player: Player
    started: list[str] = field(default_factory=list)
    reached: list[object] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def settled(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)


@asynccontextmanager
async def bench(*, paced: bool = False) -> AsyncIterator[Bench]:
    started: list[str] = []
    reached: list[object] = []
    leg = FakeLeg(paced=paced)
    made = Bench(leg, Player(leg, on_first_audio=started.append, on_reached=reached.append), started, reached)
    made.task = asyncio.create_task(made.player.run())
    try:
        yield made
    finally:
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)


async def test_a_turn_is_padded_to_whole_frames_and_a_mark_is_reached_after_it() -> None:
    async with bench() as b:
        b.player.sound("t1", SECOND[:1000])
        b.player.mark(1)
        await b.settled()

        assert bytes(b.leg.sent) == SECOND[:1000].ljust(2 * OUTPUT_FRAME_BYTES, b"\0")
        assert b.started == ["t1"]
        assert b.reached == [1]


async def test_pieces_of_one_turn_join_without_a_seam_and_turns_do_not_share_a_frame() -> None:
    async with bench() as b:
        for piece in (SECOND[:700], SECOND[700:1000], SECOND[1000:1920]):
            b.player.sound("t1", piece)
        b.player.sound("t2", SECOND[:960])
        b.player.close_turn()
        await b.settled()

        assert bytes(b.leg.sent) == SECOND[:1920] + SECOND[:960]
        assert b.started == ["t1", "t2"]


@given(st.lists(st.integers(1, 5000), max_size=12))
async def test_streamed_equals_whole(cuts: list[int]) -> None:
    async with bench() as b:
        start = 0
        for cut in (*cuts, len(SECOND)):
            b.player.sound("t", SECOND[start : start + cut])
            start += cut
        await asyncio.wait_for(b.player.finish(), 1)

        assert bytes(b.leg.sent) == SECOND


async def test_the_leg_is_given_its_lead_and_not_more() -> None:
    async with bench(paced=True) as b:
        b.player.sound("t", SECOND)
        await b.settled()

        assert b.leg.queued_ms == LEAD_MS


async def test_a_flush_drops_what_waits_and_its_marks_and_what_follows_is_played_at_once() -> None:
    async with bench(paced=True) as b:
        b.player.sound("t1", SECOND)
        b.player.mark(1)
        await b.settled()
        b.player.flush()
        b.player.sound("t2", SECOND[:960])
        b.player.mark(2)
        await b.settled()

        assert b.leg.queued_ms == FRAME_MS
        await b.leg.advance(FRAME_MS)
        await b.settled()
        assert bytes(b.leg.sent) == SECOND[:960]
        assert b.reached == [2]


async def test_a_mark_that_a_flush_overtakes_while_it_is_waited_for_is_not_reached() -> None:
    async with bench(paced=True) as b:
        b.player.sound("t1", SECOND[:960])
        b.player.mark(1)
        await b.settled()
        b.player.flush()
        await b.leg.advance(FRAME_MS)
        await b.settled()

        assert b.reached == []


async def test_to_finish_is_to_wait_until_all_was_sent() -> None:
    async with bench(paced=True) as b:
        b.player.sound("t1", SECOND[:1000])
        finishing = asyncio.create_task(b.player.finish())
        await b.settled()
        assert not finishing.done()

        await b.leg.advance(2 * FRAME_MS)
        await asyncio.wait_for(finishing, 1)

        assert len(b.leg.sent) == 2 * OUTPUT_FRAME_BYTES


async def test_once_the_leg_has_ended_nothing_is_waited_for() -> None:
    async with bench(paced=True) as b:
        b.leg.over()
        b.player.sound("t1", SECOND)
        await b.settled()
        b.player.sound("t2", SECOND)

        assert b.task is not None
        assert b.task.done()
        await asyncio.wait_for(b.player.finish(), 1)
