"""The tool's figures against an echo of known delay, loss and jitter, over real SIP and RTP."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from bot.loadtest.clips import ClipLibrary
from bot.loadtest.echo import echo_target
from bot.loadtest.floor import measure_floor
from bot.loadtest.impairment import GilbertElliott, NetworkModel
from bot.loadtest.lines import open_line
from bot.loadtest.plan import Network
from telephony.leg import LegEnded
from tests.waiting import eventually, machine_watched

pytestmark = pytest.mark.integration

CLEAR = Network()
BOUND_MS = 25.0  # of a latency's median, beside the floor: a frame and a window
LEAST_MS, MOST_MS = 40.0, 100.0  # of the floor itself: a packet and the playout of 20 to 60 ms


async def floor(delay_s: float, port: int, network: Network = CLEAR) -> float:
    async with (
        echo_target(NetworkModel(delay_s=delay_s)) as (uri, _),
        open_line(uri, network=network, seed=1, port_min=port, port_max=port + 9) as line,
    ):
        return float(np.median(await measure_floor(line, ClipLibrary(), 3.5)))


async def test_latencies_are_the_echos_delay_above_the_floor_and_the_network_delays_both_ways() -> None:
    with machine_watched() as held_up:
        none, short, long, between = await asyncio.gather(
            floor(0.0, 27_000), floor(0.1, 27_010), floor(0.35, 27_020), floor(0.0, 27_040, Network(delay_ms=60))
        )

    bound_ms = BOUND_MS + held_up.worst_ms
    assert LEAST_MS <= none <= MOST_MS + bound_ms
    assert short - none == pytest.approx(100, abs=bound_ms)
    assert long - none == pytest.approx(350, abs=bound_ms)
    assert between - none == pytest.approx(120, abs=bound_ms)


async def test_loss_and_jitter_are_the_echos_own() -> None:
    model = NetworkModel(GilbertElliott.of(0.05, 2), delay_s=0.03, jitter_s=0.03)
    async with (
        echo_target(model, seed=4) as (uri, echo),
        open_line(uri, network=CLEAR, seed=1, port_min=27_030, port_max=27_039) as line,
    ):
        leg = (await line.call()).leg
        hearing = asyncio.create_task(_hear(leg))
        with machine_watched() as held_up:
            await asyncio.sleep(4)
            stats = leg.stats()
        truth = echo.impairment.lost / (echo.impairment.lost + echo.impairment.passed)
        await leg.hang_up()
        await hearing

    assert truth == pytest.approx(0.05, abs=0.04)
    assert stats.lost / (stats.lost + stats.received) == pytest.approx(truth, abs=0.01)
    # RFC 3550's estimate of transit differences: of uniform jitter a third of its width on average.
    assert 6 <= stats.jitter_ms <= 14 + held_up.worst_ms  # a packet that the machine holds up has jittered


async def test_the_caller_has_the_address_that_its_target_can_answer_to() -> None:
    async with (
        echo_target(NetworkModel(), host="::1") as (uri, echo),
        open_line(uri, network=CLEAR, seed=1, port_min=27_050, port_max=27_059) as line,
    ):
        leg = (await line.call()).leg
        await eventually(lambda: echo.impairment.passed >= 10)
        await leg.hang_up()

    assert uri.startswith("sip:echo@[::1]:")


async def _hear(leg: object) -> None:
    while not isinstance(await leg.receive(), LegEnded):  # type: ignore[attr-defined]
        pass
