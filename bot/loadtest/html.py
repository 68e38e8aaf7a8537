"""The report as one page that needs nothing else: tables, charts, and the worst turns to look at and to listen to."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from bot.loadtest.behaviour import StepKind
from bot.loadtest.markdown import knee_line, server_table, table
from bot.loadtest.results import CallRecord, Report, StageRecord, TurnRecord
from bot.loadtest.sound import RATE_HZ, Samples
from bot.loadtest.svg import lines, steps, waveform
from telephony.audio.resample import Resampler

_WORST = 20
_BEFORE_S = 1.0
_AFTER_S = 3.0
_LONGEST_S = 8.0
_RATE = 8_000
_STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;font-size:13px;display:block;overflow-x:auto}td,th{padding:.2rem .5rem;text-align:right;
border-bottom:1px solid #8884;white-space:nowrap}td:first-child,th:first-child{text-align:left}figure{margin:1rem 0}
svg{width:100%;max-width:42rem;height:auto}svg text{font:10px system-ui,sans-serif;fill:currentColor}
.bad{color:#dc2626;font-weight:600}.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(24rem,1fr))}
audio{width:100%;max-width:42rem;height:2rem}
"""


@dataclass(frozen=True, slots=True)
class WorstTurn:
    """A turn to look at, with the sound around it; `caller` is empty where its sound was not kept."""

    stage: str
    call: CallRecord
    turn: TurnRecord
    badness: float


def worst_turns(stages: Sequence[StageRecord], count: int = _WORST) -> tuple[WorstTurn, ...]:
    """The turns that went worst: missed and ignored ones, then the slowest, gaps adding their length."""
    found: list[WorstTurn] = []
    for stage in stages:
        for call in stage.records:
            for turn in call.turns:
                gaps_ms = sum(gap.length_ms for gap in call.gaps if turn.at_s <= gap.at_s < turn.until_s)
                wrong = 10_000 * (turn.missed + turn.ignored) + 3_000 * (turn.early + turn.false_stop)
                found.append(WorstTurn(stage.name, call, turn, wrong + (turn.latency_ms or 0.0) + 2 * gaps_ms))
    return tuple(sorted(found, key=lambda one: one.badness, reverse=True)[:count])


def html(report: Report, folder: Path) -> str:
    """Write the page; recordings are looked for in `folder`."""
    body = [f"<h1>Load test of {escape(report.target)}</h1>", f"<p>{escape(_described(report))}</p>"]
    if report.invalid:
        body.append('<p class="bad">INVALID: do not believe these figures.</p>' + _list(report.invalid))
    if report.knee is not None:
        body.append(f"<p>{escape(knee_line(report).replace('**', ''))}</p>")
    body.append(_rows(table(report.stages)))
    findings = [f"{stage.name}: {one.sentence}" for stage in report.stages for one in stage.findings]
    if findings:
        body.append("<h2>Found</h2>" + _list(findings))
    if report.broken:
        body.append("<h2>Promises broken</h2>" + _list(report.broken))
    body.append(f'<div class="grid">{_charts(report.stages)}</div>')
    body.append("<h2>The bot's own side</h2>" + _rows(server_table(report.stages)))
    body.append(f"<h2>The {_WORST} worst turns</h2><p>Caller above (drawn from its clip's times), bot below.</p>")
    body += [_worst(one, folder) for one in worst_turns(report.stages)]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>zeng loadtest</title><style>{_STYLE}</style>'
    return head + "".join(body) + "</html>\n"


def _described(report: Report) -> str:
    return f"{report.began}; " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in report.environment.items())


def _charts(stages: Sequence[StageRecord]) -> str:
    loads = [float(stage.calls) for stage in stages]

    def figure(name: str) -> list[float | None]:
        return [stage.figures.get(name) for stage in stages]

    latency = {"p50": figure("latency_p50_ms"), "p95": figure("latency_p95_ms"), "p99": figure("latency_p99_ms")}
    distribution = {
        stage.name: [
            t.latency_ms for c in stage.records for t in c.turns if t.latency_ms and t.kind is not StepKind.PRESS
        ]
        for stage in stages
    }
    return "".join(
        (
            lines("Voice to voice", loads, latency, "ms"),
            steps("Voice to voice: share of turns answered within", distribution, "ms"),
            lines(
                "MOS (E-model, 5th percentile) and PESQ",
                loads,
                {"MOS": figure("mos_p5"), "PESQ": figure("pesq_mean")},
                "",
            ),
            lines("Gaps inside bot speech, a minute", loads, {"gaps": figure("gaps_per_minute")}, ""),
            lines("CPU of the bot, cores", loads, {"all": [stage.server.get("cpu_all") for stage in stages]}, ""),
            lines(
                "Answer", loads, {"answer": figure("answer_p95_ms"), "greeting": figure("greeting_p95_ms")}, "ms, p95"
            ),
        )
    )


def _worst(one: WorstTurn, folder: Path) -> str:
    turn, call = one.turn, one.call
    begin_s = max(0.0, turn.at_s - _BEFORE_S)
    end_s = min(call.length_s, begin_s + _LONGEST_S, turn.at_s + (turn.latency_ms or 0.0) / 1000 + _AFTER_S)
    path = folder / f"{call.call}.pcm"
    said = "missed" if turn.missed else "barge-in ignored" if turn.ignored else f"{turn.latency_ms or 0:.0f} ms"
    title = f"{one.stage}, {call.call}, {call.scenario}, step {turn.step} ({turn.kind.value}): {said}"
    if not path.is_file() or end_s <= begin_s:
        return f"<p>{escape(title)}</p>"
    count = round((end_s - begin_s) * RATE_HZ)
    bot = np.fromfile(path, np.int16, count=count, offset=2 * round(begin_s * RATE_HZ))
    marks = {"caller ends": turn.at_s - begin_s}
    if turn.latency_ms is not None:
        marks["bot"] = turn.at_s - begin_s + turn.latency_ms / 1000
    marks |= {f"gap {gap.length_ms:.0f} ms": gap.at_s - begin_s for gap in call.gaps if begin_s <= gap.at_s < end_s}
    caller = np.zeros(len(bot), np.int16)
    caller[: round((turn.at_s - begin_s) * RATE_HZ)] = 6000 if turn.kind is not StepKind.PRESS else 0
    picture = waveform(title, caller, bot, marks, end_s - begin_s)
    return picture + f'<audio controls preload="none" src="{_data_url(bot)}"></audio>'


def _data_url(samples: Samples) -> str:
    narrow = Resampler(RATE_HZ, _RATE).feed(samples).astype("<i2")
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(narrow.tobytes())
    return "data:audio/wav;base64," + base64.b64encode(memory.getvalue()).decode()


def _list(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _rows(markdown_table: str) -> str:
    """A Markdown table of ours as HTML."""
    if not markdown_table.startswith("|"):
        return f"<p>{escape(markdown_table)}</p>"
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in markdown_table.splitlines())
    header = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>" for cells in rows)
    return f"<table><tr>{header}</tr>{body}</table>"
