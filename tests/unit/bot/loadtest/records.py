"""Reports to test with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bot.loadtest.behaviour import StepKind
from bot.loadtest.plan import Network
from bot.loadtest.results import CallRecord, GapRecord, Report, StageRecord, TurnRecord
from bot.loadtest.shapes import Stage
from bot.loadtest.summary import StageFacts, stage_record
from bot.loadtest.validity import GeneratorHealth

WELL = GeneratorHealth(0.3, 2.0, 15.0, 60.0, 80.0, 0, 0, 500)


def call(
    latencies: Sequence[float | None],
    *,
    name: str = "g0-00001",
    gaps: Sequence[float] = (),
    kind: StepKind = StepKind.SAY,
    call_id: str = "",
) -> CallRecord:
    turns = tuple(
        TurnRecord(
            step=n, index=0, kind=kind, at_s=2.0 + 4 * n, until_s=6.0 + 4 * n, latency_ms=ms, missed=ms is None
        )
        for n, ms in enumerate(latencies)
    )  # fmt: skip
    return CallRecord(
        call=name, call_id=call_id, scenario="hours", began_s=100.0, outcome="completed", answer_ms=30.0,
        greeting_ms=60.0, length_s=60.0, speech_s=30.0, turns=turns, received=3000, mos=4.4,
        gaps=tuple(GapRecord(at_s=2.5, length_ms=ms) for ms in gaps),
    )  # fmt: skip


def stage(
    calls: Sequence[CallRecord],
    *,
    name: str = "2 calls",
    load: int = 2,
    failures: dict[str, int] | None = None,
    health: GeneratorHealth = WELL,
    promises: dict[str, float] | None = None,
) -> StageRecord:
    facts = StageFacts(
        transport="sip", failures=Counter(failures or {}), signalling=Counter({"200": 4}), health=[health],
        server={"cpu_all": 0.4, "recognition_ms": 300.0}, sockets=(None, None), network=Network(),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    return stage_record(Stage(name, load, 60.0), calls, facts, promises=promises or {}, rng=rng)


def report(*stages: StageRecord, knee: int | None = None, bounded: bool = True) -> Report:
    return Report(
        began="2026-11-30T00:00:00+00:00", target="sip:bot@127.0.0.1", environment={"cores": "2"}, plan={},
        stages=stages, knee=knee, knee_bounded=bounded,
    )  # fmt: skip
