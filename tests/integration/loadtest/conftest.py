"""One stage against one target, in the test's own loop."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np

from bot.loadtest.alignment import Reference
from bot.loadtest.clips import ClipLibrary
from bot.loadtest.generator import Generator
from bot.loadtest.lines import open_line
from bot.loadtest.measuring import Measurer
from bot.loadtest.plan import Plan
from bot.loadtest.procfs import inodes_of, udp_sockets
from bot.loadtest.references import References
from bot.loadtest.results import StageRecord
from bot.loadtest.summary import StageFacts, stage_record
from tests.integration.loadtest.faulty_bot import PROMPTS


def sources() -> References:
    """What the faulty bot says."""
    return References([Reference(f"prompt-{n}", samples) for n, samples in enumerate(PROMPTS)])


def own_sockets() -> int:
    mine = inodes_of(os.getpid())
    return sum(socket.inode in mine for socket in udp_sockets())


async def run_stage(plan: Plan, folder: Path, *, alone: bool = False) -> StageRecord:
    """Hold the plan's first stage from this loop, and measure it; sockets are counted where it is `alone`."""
    (stage,) = plan.shape.stages()
    folder.mkdir()
    async with open_line(
        plan.target, network=plan.network, seed=plan.seed, port_min=plan.rtp_port_min, port_max=plan.rtp_port_max
    ) as line:
        before = own_sockets()
        taken = await Generator(plan, line, None, index=0, folder=folder, clips=ClipLibrary()).run(stage)
        after = own_sockets()
    measurer = Measurer(sources(), learn=False, pesq=None)
    measurer.begin_stage()
    facts = StageFacts(
        transport=plan.transport,
        failures=taken.failures,
        signalling=Counter(taken.signalling),
        health=[taken.health],
        server={},
        sockets=(before, after) if alone else (None, None),
        network=plan.network,
    )
    calls = [measurer.measure(call) for call in taken.calls]
    return stage_record(stage, calls, facts, promises=plan.slo, rng=np.random.default_rng(1))
