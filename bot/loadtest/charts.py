"""Which charts a report has: over load where there are several, and over time always."""

from __future__ import annotations

from collections.abc import Sequence

from bot.loadtest.behaviour import StepKind
from bot.loadtest.results import StageRecord, SummaryRecord
from bot.loadtest.svg import Dot, Value, over_load, over_time, shares

_MOST_DOTS = 3000
_KINDS = ("voice", "key", "missed", "gap")
_BEST_MOS = 4.5


def charts(stages: Sequence[StageRecord]) -> str:
    """Draw what there is to draw."""
    drawn = [_timeline(stages), _distribution(stages)]
    if len({stage.calls for stage in stages}) > 1:
        drawn += _over_loads(stages)
    return "".join(drawn)


def _over_loads(stages: Sequence[StageRecord]) -> list[str]:
    stages = sorted(stages, key=lambda stage: stage.calls)
    loads = [float(stage.calls) for stage in stages]
    promised = {verdict.metric: verdict.bound for verdict in stages[0].verdicts}

    def ranked(name: str, rank: str) -> list[Value | None]:
        return [_value(stage.summaries.get(name), rank) for stage in stages]

    def figure(name: str) -> list[Value | None]:
        return [_plain(stage.figures.get(name)) for stage in stages]

    def bound(name: str, said: str) -> dict[str, float]:
        return {said: promised[name]} if name in promised else {}

    cpu = [_plain(stage.server.get("cpu_all")) for stage in stages]
    return [
        over_load(
            "Voice to voice", loads, {rank: ranked("latency_ms", rank) for rank in ("p50", "p95", "p99")}, unit="ms",
            bounds=bound("latency_p95_ms", "promise for p95"),
        ),
        over_load(
            "Keys, greeting and answer (p95)", loads,
            {
                "key": ranked("key_latency_ms", "p95"),
                "greeting": ranked("greeting_ms", "p95"),
                "answer": ranked("answer_ms", "p95"),
            },
            unit="ms", bounds=bound("key_latency_p95_ms", "promise for keys"),
        ),
        over_load(
            "Quality: E-model and signal", loads,
            {"MOS (E-model), 5th percentile": figure("mos_p5"), "PESQ, mean": figure("pesq_mean")},
            unit="MOS", bounds=bound("mos_p5", "promise for MOS"), least_top=_BEST_MOS,
        ),
        over_load(
            "Gaps inside bot speech", loads, {"gaps": figure("gaps_per_minute")}, unit="a minute",
            bounds=bound("gaps_per_minute", "promise"), least_top=1.0,
        ),
        over_load("CPU of the bot's processes", loads, {"all": cpu}, unit="cores"),
    ]  # fmt: skip


def _value(summary: SummaryRecord | None, rank: str) -> Value | None:
    if summary is None:
        return None
    estimate = {"p50": summary.p50, "p95": summary.p95, "p99": summary.p99}[rank]
    return estimate.value, estimate.low, estimate.high


def _plain(value: float | None) -> Value | None:
    return None if value is None else (value, value, value)


def _distribution(stages: Sequence[StageRecord]) -> str:
    def latencies(stage: StageRecord, *, keys: bool) -> list[float]:
        turns = (turn for call in stage.records for turn in call.turns)
        return [t.latency_ms for t in turns if t.latency_ms is not None and (t.kind is StepKind.PRESS) is keys]

    title = "share of turns answered within"
    voice = {stage.name: latencies(stage, keys=False) for stage in stages}
    if any(voice.values()):
        return shares(f"Voice to voice: {title}", voice, unit="ms")
    return shares(f"Keys: {title}", {stage.name: latencies(stage, keys=True) for stage in stages}, unit="ms")


def _timeline(stages: Sequence[StageRecord]) -> str:
    """Every turn, and every gap by its length: what comes and goes, or grows, is seen here."""
    began = [min((call.began_s for call in stage.records), default=None) for stage in stages]
    first = min((at for at in began if at is not None), default=0.0)
    dots: list[Dot] = []
    for stage in stages:
        for call in stage.records:
            base = call.began_s - first
            for turn in call.turns:
                at_s, said = base + turn.at_s, f"{call.call}, step {turn.step}"
                if turn.missed:
                    dots.append(Dot(at_s, 0.0, "missed", f"{said}: missed"))
                elif turn.latency_ms is not None:
                    kind = "key" if turn.kind is StepKind.PRESS else "voice"
                    dots.append(Dot(at_s, turn.latency_ms, kind, f"{said}: {turn.latency_ms:.0f} ms"))
            dots += [
                Dot(base + gap.at_s, gap.length_ms, "gap", f"{call.call}: gap of {gap.length_ms:.0f} ms")
                for gap in call.gaps
            ]
    dots = sorted(dots, key=lambda dot: dot.at_s)
    thin = -(-len(dots) // _MOST_DOTS) or 1
    length_s = max((call.began_s - first + call.length_s for stage in stages for call in stage.records), default=1.0)
    edges = {stage.name: at - first for stage, at in zip(stages, began, strict=True) if at is not None}
    kinds = [kind for kind in _KINDS if any(dot.kind == kind for dot in dots)]
    return over_time("Every turn over the run", dots[::thin], edges, kinds=kinds, unit="ms", length_s=length_s)
