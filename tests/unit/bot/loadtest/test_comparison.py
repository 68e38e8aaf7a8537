from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bot.loadtest.comparison import compare, comparison_table
from tests.unit.bot.loadtest.records import WELL, call, report, stage


def sample(mean: float, seed: int) -> list[float | None]:
    return [*np.random.default_rng(seed).normal(mean, 40, 150).tolist()]


def verdicts(first: float, second: float) -> dict[str, str]:
    found = compare(
        report(stage([call(sample(first, 1))])), report(stage([call(sample(second, 2))])), np.random.default_rng(1)
    )
    return {change.name: change.verdict for change in found}


def test_slower_is_worse_faster_is_better_and_chance_is_neither() -> None:
    assert verdicts(500, 560)["latency_ms p50"] == "worse"
    assert verdicts(500, 440)["latency_ms p50"] == "better"
    assert verdicts(500, 500)["latency_ms p50"] == "no significant change"


def test_only_loads_that_both_have_are_compared() -> None:
    first, second = report(stage([call([1.0])])), report(stage([call([1.0])], name="4 calls"))

    changes = compare(first, second, np.random.default_rng(1))

    assert changes == ()
    assert comparison_table(changes).startswith("Nothing to compare")


def test_the_table_names_load_figure_and_verdict() -> None:
    first, second = report(stage([call(sample(500, 1))])), report(stage([call(sample(700, 2))]))

    table = comparison_table(compare(first, second, np.random.default_rng(1)))

    assert "| 2 calls | latency_ms p50 |" in table
    assert "worse" in table


def test_a_handful_of_turns_proves_nothing_however_far_apart() -> None:
    few, many = report(stage([call([400.0] * 3)])), report(stage([call([900.0] * 19)]))

    changes = {one.name: one.verdict for one in compare(few, many, np.random.default_rng(1))}

    assert changes["latency_ms p50"] == "too few to say (3 and 19; 8 are needed)"
    assert changes["latency_ms p95"] == "too few to say (3 and 19; 20 are needed)"


@pytest.mark.parametrize("first_is_invalid", [True, False])
def test_a_load_that_is_not_to_be_believed_is_neither_better_nor_worse(first_is_invalid: bool) -> None:
    ill = replace(WELL, udp_drops=1)
    first = report(stage([call(sample(500, 1))], health=ill if first_is_invalid else WELL))
    second = report(stage([call(sample(900, 2))], health=WELL if first_is_invalid else ill))

    changes = compare(first, second, np.random.default_rng(1))

    assert {one.verdict for one in changes} == {"INVALID"}


def test_missed_turns_and_gaps_are_compared_by_their_means() -> None:
    well = report(stage([call(sample(500, 1), name=f"g0-{n}") for n in range(10)]))
    worse = report(
        stage(
            [call([*sample(500, n)[:100], *([None] * 20)], name=f"g0-{n}", gaps=[80] * (2 + n % 2)) for n in range(10)]
        )
    )

    changes = {one.name: one for one in compare(well, worse, np.random.default_rng(1))}

    assert changes["missed turns, share"].verdict == "worse"
    assert changes["missed turns, share"].second == 20 / 120
    assert changes["gaps a minute of speech, by call"].verdict == "worse"
