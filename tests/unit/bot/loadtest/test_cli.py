from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.flows.flow import Flow
from bot.loadtest import cli
from bot.loadtest.cli import app, write_report
from bot.loadtest.plan import Plan
from bot.loadtest.results import Report
from bot.loadtest.speech_load import SpeechLoad
from tests.unit.bot.loadtest.records import call, report, stage


def saved(folder: Path, mean_ms: float) -> str:
    folder.mkdir()
    latencies: list[float | None] = [mean_ms + 3 * (n % 7) for n in range(60)]
    write_report(report(stage([call(latencies)])), folder)
    return str(folder / "report.json")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--target", "tel:1"], "target"),
        (["--target", "sip:a@b", "--slo", "speed=1"], "no such promise"),
        (["none.yaml"], "cannot read the plan"),
        (["plans[red].yaml"], "plans[red].yaml"),
        (["plans[/red].yaml"], "plans[/red].yaml"),
        ([sys.executable], "cannot read the plan"),  # no text at all
        (["--target", "sip:a@b", "--slo", "latency_p95_ms"], "NAME=NUMBER"),
        (["--target", "sip:a@b", "--steps", "a,b"], "write whole numbers, such as 1,2,4,8"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_named_and_nothing_is_called(options: list[str], word: str) -> None:
    result = CliRunner().invoke(app, ["run", *options])

    assert result.exit_code == 2
    assert word in result.output


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["tts", "127.0.0.1:8100"], "is no URL"),
        (["tts", "http://127.0.0.1:1", "--texts", "none.txt"], "does not exist"),
        (["sources", "klinika", "127.0.0.1:8100", "OUT"], "is no URL"),
        (["sources", "klinikaa", "http://127.0.0.1:1", "OUT"], "one that ships: bank, klinika"),
    ],
)
def test_a_speech_server_is_named_by_its_url_before_anything_is_asked(
    arguments: list[str], word: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, [str(tmp_path) if one == "OUT" else one for one in arguments])

    assert result.exit_code == 2
    assert word in result.output


def test_the_prompts_of_a_flow_that_ships_are_rendered_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def render(flow: Flow, load: SpeechLoad, folder: Path) -> list[Path]:
        return [folder / f"{flow.id}.wav"]

    monkeypatch.setattr(cli, "render_sources", render)
    result = CliRunner().invoke(app, ["sources", "klinika", "http://127.0.0.1:1", str(tmp_path)])

    assert (result.exit_code, result.output.split()[:2]) == (0, ["1", "prompts"])


@pytest.mark.parametrize(
    ("options", "seed", "stages"),
    [([], 7, [1, 2]), (["--seed", "3", "--hold", "5"], 3, [1, 2]), (["--calls", "4"], 7, [4])],
)
def test_a_plan_is_run_as_it_is_written_but_for_what_options_name(
    options: list[str], seed: int, stages: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Plan] = []

    class Conducted:
        def __init__(self, plan: Plan, *_: object, **__: object) -> None:
            plans.append(plan)

        async def run(self) -> Report:
            return report(stage([call([None])]))

    monkeypatch.setattr(cli, "Conductor", Conducted)
    path = tmp_path / "mine.plan.yaml"
    path.write_text(
        "target: sip:bot@127.0.0.1\nseed: 7\nshape: {steps: [1, 2]}\nscenarios: [{name: a, turns: [{dtmf: 1}]}]\n"
    )

    CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "out"), *options])

    assert [(plan.seed, list(plan.shape.steps)) for plan in plans] == [(seed, stages)]


def test_the_terminal_says_why_calls_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Conducted:
        def __init__(self, *_: object, **__: object) -> None: ...

        async def run(self) -> Report:
            return report(stage([call([None])]).model_copy(update={"failures": {"no answer [408]": 3}}))

    monkeypatch.setattr(cli, "Conductor", Conducted)
    result = CliRunner().invoke(app, ["run", "--target", "sip:a@b", "--out", str(tmp_path)])

    assert "3 × no answer [408]" in result.output


def test_a_report_is_written_three_times_and_can_be_read_again(tmp_path: Path) -> None:
    path = Path(saved(tmp_path / "a", 500))

    assert Report.model_validate_json(path.read_text(encoding="utf-8")).stages[0].figures["latency_p50_ms"] == 509
    assert {file.name for file in path.parent.iterdir()} == {"report.json", "report.md", "report.html"}


@pytest.mark.parametrize(
    ("second_ms", "code", "word"), [(500, 0, "no significant"), (600, 1, "worse"), (400, 0, "better")]
)
def test_compare_fails_where_something_got_worse(tmp_path: Path, second_ms: float, code: int, word: str) -> None:
    first, second = saved(tmp_path / "a", 500), saved(tmp_path / "b", second_ms)

    result = CliRunner().invoke(app, ["compare", first, second])

    assert result.exit_code == code
    assert word in result.output


def test_compare_has_an_end_of_its_own_for_an_invalid_run(tmp_path: Path) -> None:
    first, second = Path(saved(tmp_path / "a", 500)), saved(tmp_path / "b", 900)
    text = first.read_text(encoding="utf-8").replace('"invalid": []', '"invalid": ["too slow"]')
    first.write_text(text, encoding="utf-8")

    result = CliRunner().invoke(app, ["compare", str(first), second])

    assert (result.exit_code, "worse" in result.output) == (3, False)


def test_compare_says_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"schema_version": 0}', encoding="utf-8")

    result = CliRunner().invoke(app, ["compare", str(tmp_path / "old.json"), str(tmp_path / "old.json")])

    assert result.exit_code == 2
    assert "cannot read a report" in result.output
