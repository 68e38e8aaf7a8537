from __future__ import annotations

from dataclasses import replace

from bot.loadtest.markdown import markdown
from tests.unit.bot.loadtest.records import WELL, call, report, stage


def test_the_report_has_the_table_of_loads_and_the_bots_own_side() -> None:
    text = markdown(report(stage([call([400, 600], gaps=[80])]), stage([call([900])], name="4 calls", load=4)))

    assert "| 2 calls | 2 | 500 |" in text
    assert "| recognition, ms | 300.00 | 300.00 |" in text
    assert "INVALID" not in text


def test_an_invalid_run_says_so_first_and_why() -> None:
    text = markdown(report(stage([call([400])], health=replace(WELL, cpu_share=1.0))))

    assert text.index("**INVALID") < text.index("| load |")
    assert "100 % of its core" in text


def test_broken_promises_and_failures_are_listed() -> None:
    text = markdown(report(stage([call([900])], promises={"latency_p95_ms": 500}, failures={"486 Busy Here": 3})))

    assert "latency_p95_ms 900" in text
    assert "3 × 486 Busy Here" in text


def test_the_knee_is_told_with_what_is_known_of_it() -> None:
    well = stage([call([400])])

    assert "Knee: **40 calls**." in markdown(report(well, knee=40))
    assert "no load that was tried broke a promise" in markdown(report(well, knee=40, bounded=False))
    assert "Knee: none" in markdown(report(well, knee=0))
    assert "Knee: **1 call**." in markdown(report(well, knee=1))
    stopped = report(well, knee=40, bounded=False).model_copy(update={"knee_stopped_at": 80})
    assert "Knee: **40 calls** or more; the search stopped at 80 calls" in markdown(stopped)
    assert "Knee: not found; the search stopped" in markdown(stopped.model_copy(update={"knee": 0}))
