"""A report for people, as Markdown; texts of the terminal too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bot.loadtest.results import Report, StageRecord, SummaryRecord
from bot.loadtest.shapes import named

_COLUMNS = (
    "load", "turns", "p50 ms", "p90", "p95", "p99", "max", "keys p95", "barge-in p95", "greeting p95", "answer p95",
    "missed", "gaps/min", "MOS p5", "PESQ", "failed", "bot CPU", "promises",
)  # fmt: skip


def markdown(report: Report) -> str:
    """Write the report."""
    parts = [f"# Load test of {report.target}", "", f"{report.began}; " + _environment(report), ""]
    if report.invalid:
        parts += ["**INVALID: do not believe these figures.**", "", *(f"- {fault}" for fault in report.invalid), ""]
    if report.knee is not None:
        parts += [knee_line(report), ""]
    parts += [table(report.stages), "", "95 % intervals of p50 and p95: " + _intervals(report.stages), ""]
    parts += _section("Found", [f"{s.name}: {one.sentence}" for s in report.stages for one in s.findings])
    parts += _section("Promises broken", report.broken)
    parts += _section("To know", report.caveats)
    parts += _section("Calls that failed", failure_lines(report))
    unmet = Counter(
        f"{stage.name}: {call.scenario}, turn {turn.index}: {turn.unmet}"
        for stage in report.stages
        for call in stage.records
        for turn in call.turns
        if turn.unmet
    )
    parts += _section("Expectations not met", [f"{count} × {what}" for what, count in unmet.items()])
    parts += ["## The bot's own side", "", server_table(report.stages), ""]
    parts += ["## The generator", "", health_table(report.stages), ""]
    return "\n".join(parts)


def knee_line(report: Report) -> str:
    """Say where the knee is, as far as it is known."""
    if report.knee_stopped_at is not None:
        found = f"**{named(report.knee)}** or more" if report.knee else "not found"
        return (
            f"Knee: {found}; the search stopped at {named(report.knee_stopped_at)}, which this generator could not"
            " measure (INVALID twice): give it more --processes, or a machine of its own."
        )
    if not report.knee:
        return "Knee: none; the promises do not hold at the first load."
    beyond = "" if report.knee_bounded else " or more: no load that was tried broke a promise"
    return f"Knee: **{named(report.knee)}**{beyond}."


def failure_lines(report: Report) -> list[str]:
    """Say why calls failed, and how many."""
    return [f"{stage.name}: {count} × {what}" for stage in report.stages for what, count in stage.failures.items()]


def row(stage: StageRecord) -> tuple[str, ...]:
    """One stage as the cells of `table`."""
    voice, figures = stage.summaries.get("latency_ms"), stage.figures
    pesq, cpu = figures.get("pesq_mean"), stage.server.get("cpu_all")
    return (
        stage.name,
        str(voice.count if voice else 0),
        *_percentiles(voice),
        number(figures.get("key_latency_p95_ms")),
        number(figures.get("barge_in_p95_ms")),
        number(figures.get("greeting_p95_ms")),
        number(figures.get("answer_p95_ms")),
        _percent(figures.get("missed_turn_share")),
        number(figures.get("gaps_per_minute"), 2),
        number(figures.get("mos_p5"), 2),
        number(pesq, 2),
        _percent(figures.get("failed_call_share")),
        _percent(cpu),
        "INVALID" if stage.invalid else "held" if stage.held else "broken",
    )


def table(stages: Sequence[StageRecord]) -> str:
    """The table of loads."""
    return _table(_COLUMNS, [row(stage) for stage in stages])


def server_table(stages: Sequence[StageRecord]) -> str:
    """What the bot says of itself, and what its processes cost: a row a figure, a column a load."""
    names = sorted({name for stage in stages for name in stage.server})
    if not names:
        return "Nothing could be seen: give `--metrics-url`, or run beside the bot."
    rows = [(_named(name), *(number(stage.server.get(name), 2) for stage in stages)) for name in names]
    return _table(("", *(stage.name for stage in stages)), [row for row in rows if not _idle(row)])


def _named(name: str) -> str:
    kind, _, what = name.partition(" ")
    if kind == "cpu":
        return f"CPU of {what}, cores"
    if name == "cpu_all":
        return "CPU of all its processes, cores"
    if name.startswith("status_"):
        return f"SIP or HTTP responses {name.removeprefix('status_')}"
    return name.replace("_ms", ", ms").replace("_", " ") if name.endswith("_ms") else name.replace("_", " ")


def _idle(row: Sequence[str]) -> bool:
    return row[0].startswith("CPU of ") and all(cell in {"0.00", "–"} for cell in row[1:])


def health_table(stages: Sequence[StageRecord]) -> str:
    """How each generator process did."""
    columns = ("load", "CPU", "timers late p99 ms", "sound late max ms", "floor ms", "floor max", "UDP drops", "frames")
    rows = [
        (
            stage.name, _percent(one.cpu_share), number(one.loop_late_p99_ms, 1), number(one.paced_late_ms_max),
            number(one.floor_ms), number(one.floor_ms_max), str(one.udp_drops), str(one.frames_dropped),
        )
        for stage in stages
        for one in stage.health
    ]  # fmt: skip
    return _table(columns, rows)


def _percentiles(summary: SummaryRecord | None) -> tuple[str, ...]:
    if summary is None:
        return ("–",) * 5
    ranks = (summary.p50, summary.p90, summary.p95, summary.p99)
    return (*(number(rank.value) for rank in ranks), number(summary.largest))


def _intervals(stages: Sequence[StageRecord]) -> str:
    found: list[str] = []
    for stage in stages:
        voice = stage.summaries.get("latency_ms")
        if voice is not None:
            p50, p95 = voice.p50, voice.p95
            found.append(f"{stage.name} {p50.low:.0f}–{p50.high:.0f}, {p95.low:.0f}–{p95.high:.0f}")
    return "; ".join(found) or "none"


def _environment(report: Report) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in report.environment.items())


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {line}" for line in lines), ""] if lines else []


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|--:" * (len(columns) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(cells) + " |" for cells in rows)])


def number(value: float | None, digits: int = 0) -> str:
    """Write a figure, or a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
