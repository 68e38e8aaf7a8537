"""The report as one page that needs nothing else: verdict, tables, charts, and the worst turns to see and to hear."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from bot.loadtest.charts import charts
from bot.loadtest.markdown import health_table, knee_line, number, server_table, table
from bot.loadtest.results import EstimateRecord, Report, StageRecord
from bot.loadtest.slo import METRICS
from bot.loadtest.worst import CallerSounds, turn_card, worst_turns

_STYLE = Path(__file__).parent / "report.css"


def html(report: Report, folder: Path) -> str:
    """Write the page; recordings are looked for in `folder`."""
    sounds = CallerSounds(report.plan)
    worst = worst_turns(report.stages)
    body = [
        f"<h1>Load test of {escape(report.target)}</h1>",
        f'<p class="about">{escape(_described(report))}</p>',
        _verdict(report),
        _tiles(report),
        _section(
            "Found wrong", _list(f"{stage.name}: {one.sentence}" for stage in report.stages for one in stage.findings)
        ),
        _section("To know before reading on", _list(report.caveats)),
        _section("Promises", _promises(report.stages)),
        _section("Loads", _rows(table(report.stages))),
        f'<div class="charts">{charts(report.stages)}</div>',
        _section(
            f"The {len(worst)} worst turns",
            "<p>Caller above, bot below, as the caller heard it. In the player the caller is left, the bot right.</p>"
            + "".join(turn_card(place, one, folder, sounds) for place, one in enumerate(worst, 1))
            if worst
            else "",
        ),
        _section("The bot's own side", _rows(server_table(report.stages))),
        _section("The generator", _rows(health_table(report.stages))),
        _footer(report),
    ]
    style = _STYLE.read_text(encoding="utf-8")
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f"<title>Load test of {escape(report.target)}</title><style>{style}</style></head>"
    )
    return f"{head}<body>{''.join(body)}</body></html>\n"


def _footer(report: Report) -> str:
    made_by = escape(f"zeng loadtest {report.environment.get('zeng', '')}")
    return f"<footer>{made_by}; every call and turn is in report.json, schema {report.schema_version}.</footer>"


def _described(report: Report) -> str:
    return ", ".join((report.began, *(f"{k.replace('_', ' ')} {v}" for k, v in report.environment.items())))


def _verdict(report: Report) -> str:
    knee = "" if report.knee is None else f" {knee_line(report).replace('**', '')}"
    if report.invalid:
        return _box("INVALID: do not believe these figures." + knee, _list(report.invalid), bad=True)
    if report.broken and report.knee is None:
        return _box(f"{len(report.broken)} of the promises broken.", _list(report.broken), bad=True)
    return _box(knee.strip() or "Every promise held.", "", bad=report.knee == 0)


def _box(said: str, details: str, *, bad: bool) -> str:
    return f'<div class="verdict{" bad" * bad}"><b>{escape(said)}</b>{details}</div>'


def _tiles(report: Report) -> str:
    """The figures of the load that counts: the knee's, or the last."""
    stages = [stage for stage in report.stages if stage.calls == report.knee] or list(report.stages)
    if not stages:
        return ""
    stage = stages[-1]
    voice, keys = stage.summaries.get("latency_ms"), stage.summaries.get("key_latency_ms")
    greeting, barge_in = stage.summaries.get("greeting_ms"), stage.summaries.get("barge_in_ms")
    figures = stage.figures
    tiles = (
        ("voice to voice, p50", *_estimate(voice and voice.p50), f"{voice.count} turns" if voice else "no turn"),
        ("voice to voice, p95", *_estimate(voice and voice.p95), f"max {voice.largest:.0f} ms" if voice else ""),
        ("keys, p95", *_estimate(keys and keys.p95), f"{keys.count} presses" if keys else "none pressed"),
        ("greeting, p95", *_estimate(greeting and greeting.p95), ""),
        (
            "barge-in stop, p95",
            *_estimate(barge_in and barge_in.p95),
            f"{barge_in.count} times" if barge_in else "none",
        ),
        ("MOS (E-model), 5th percentile", number(figures.get("mos_p5"), 2), "", "of 4.5"),
        ("PESQ, mean", number(figures.get("pesq_mean"), 2), "", "MOS-LQO, of 4.55"),
        ("gaps in speech, a minute", number(figures.get("gaps_per_minute"), 2), "", ""),
    )
    cells = "".join(
        f'<div class="tile"><small>{escape(name)}</small><b>{escape(value)}</b>'
        f"<small>{escape(', '.join(filter(None, (interval, more))))}</small></div>"
        for name, value, interval, more in tiles
    )
    return f'<p class="about">At {escape(stage.name)}:</p><div class="tiles">{cells}</div>'


def _estimate(estimate: EstimateRecord | None) -> tuple[str, str]:
    if estimate is None:
        return "–", ""
    return f"{estimate.value:.0f} ms", f"95 %: {estimate.low:.0f} to {estimate.high:.0f}"


def _promises(stages: Sequence[StageRecord]) -> str:
    """Promises by load."""
    names = [verdict.metric for verdict in stages[0].verdicts] if stages else []
    if not names:
        return ""
    rows = ""
    for place, name in enumerate(names):
        verdicts = [stage.verdicts[place] for stage in stages]
        sign = "≤" if METRICS.get(name, True) else "≥"
        cells = "".join(
            f'<td class="{"good" if one.held else "bad"}">{"✓" if one.held else "✗"} '
            f"{'not measured' if one.found is None else f'{one.found:.4g}'}</td>"
            for one in verdicts
        )
        rows += f"<tr><td>{escape(name)} {sign} {verdicts[0].bound:g}</td>{cells}</tr>"
    head = "".join(f"<th>{escape(stage.name)}</th>" for stage in stages)
    return f"<table><tr><th>promise</th>{head}</tr>{rows}</table>"


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>{content}" if content else ""


def _list(items: Iterable[str]) -> str:
    lines = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul>{lines}</ul>" if lines else ""


def _rows(markdown_table: str) -> str:
    """A Markdown table of ours as HTML."""
    if not markdown_table.startswith("|"):
        return f"<p>{escape(markdown_table)}</p>"
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in markdown_table.splitlines())
    header = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(_cell(cell) for cell in cells) + "</tr>" for cells in rows)
    return f"<table><tr>{header}</tr>{body}</table>"


def _cell(text: str) -> str:
    mood = {"broken": "bad", "INVALID": "bad", "held": "good"}.get(text)
    return f'<td class="{mood}">{escape(text)}</td>' if mood else f"<td>{escape(text)}</td>"
