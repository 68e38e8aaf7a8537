from __future__ import annotations

from bot.loadtest.behaviour import StepKind
from bot.loadtest.charts import charts
from tests.unit.bot.loadtest.records import call, stage


def test_one_load_has_its_turns_over_time_and_their_distribution() -> None:
    drawn = charts([stage([call([400, None], gaps=[80])])])

    assert drawn.count("<svg") == 2
    assert "Voice to voice: share" in drawn
    assert "g0-00001, step 1: missed" in drawn
    assert "g0-00001: gap of 80 ms" in drawn


def test_several_loads_are_drawn_over_load_in_its_order() -> None:
    stages = [stage([call([700])], name="4 calls", load=4), stage([call([400])], name="2 calls", load=2)]

    drawn = charts(stages)

    assert drawn.count("<svg") == 7
    assert "Gaps inside bot speech" in drawn


def test_keys_alone_have_their_own_distribution() -> None:
    assert "Keys: share" in charts([stage([call([60, 80], kind=StepKind.PRESS)])])


def test_a_promise_is_drawn_where_it_was_made() -> None:
    def made(promises: dict[str, float]) -> str:
        return charts([stage([call([400])], load=n, name=f"{n} calls", promises=promises) for n in (1, 2)])

    assert "promise for p95" in made({"latency_p95_ms": 500})
    assert "promise for p95" not in made({})


def test_a_run_without_calls_draws_nothing() -> None:
    assert charts([stage([])]) == ""
