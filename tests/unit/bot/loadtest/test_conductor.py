"""What a search for the knee makes of stages; whole runs are in tests/integration/loadtest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bot.loadtest.conductor import Conductor
from bot.loadtest.knee import KneeSearch
from bot.loadtest.plan import Plan
from bot.loadtest.results import StageRecord
from bot.loadtest.shapes import Stage
from tests.unit.bot.loadtest.records import WELL, call, stage

LATE = replace(WELL, loop_late_p99_ms=64.0)
SLOW, FAST = [call([900])], [call([400])]
PROMISES = {"latency_p95_ms": 800.0}


async def searched(folder: Path, outcomes: Iterable[str]) -> tuple[KneeSearch, list[StageRecord], list[int]]:
    """Run a search over stages that are "held", "broken", or "late": broken too, by the generator's own fault."""
    plan = Plan.model_validate(
        {
            "target": "sip:bot@127.0.0.1",
            "shape": {"find_knee": 64},
            "scenarios": [{"name": "a", "turns": [{"user": "Salam"}]}],
        }
    )
    conductor = Conductor(plan, folder, on_progress=lambda *_: None, on_stage=lambda _: None)
    following, tried = iter(outcomes), []

    async def run(asked: Stage, _: object) -> StageRecord:
        tried.append(asked.calls)
        outcome = next(following)
        return stage(
            FAST if outcome == "held" else SLOW,
            name=asked.name,
            load=asked.calls,
            health=LATE if outcome == "late" else WELL,
            promises=PROMISES,
        )

    conductor._stage = run
    search = KneeSearch(first=2, limit=64)
    return search, await conductor._search(search, []), tried


async def test_an_invalid_stage_is_run_again_and_the_second_time_counts(tmp_path: Path) -> None:
    search, stages, tried = await searched(tmp_path, ["held", "late", "held", "broken", "held", "broken"])

    assert tried == [2, 4, 4, 8, 6, 7]
    assert (search.knee, search.bounded) == (6, True)
    assert [one.calls for one in stages] == [2, 4, 8, 6, 7]
    assert not any(one.invalid for one in stages)
    assert "INVALID: the generator's timers came 64 ms late" in stages[1].caveats[0]
    assert not any("INVALID" in caveat for one in stages[2:] for caveat in one.caveats)


async def test_a_stage_that_is_invalid_twice_ends_the_search_and_stands_in_the_report(tmp_path: Path) -> None:
    search, stages, tried = await searched(tmp_path, ["held", "held", "late", "late"])

    assert tried == [2, 4, 8, 8]
    assert (search.knee, search.stopped_at) == (4, 8)
    assert [bool(one.invalid) for one in stages] == [False, False, True]
