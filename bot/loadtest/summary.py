"""From a stage's calls to its figures, verdicts and findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from bot.loadtest.behaviour import StepKind
from bot.loadtest.caveats import caveats
from bot.loadtest.diagnosis import HeardGap, Observations, diagnose
from bot.loadtest.percentiles import summarise
from bot.loadtest.plan import Network
from bot.loadtest.results import (
    CallRecord,
    FindingRecord,
    HealthRecord,
    StageRecord,
    SummaryRecord,
    TurnRecord,
    VerdictRecord,
)
from bot.loadtest.shapes import Stage
from bot.loadtest.slo import judge
from bot.loadtest.validity import GeneratorHealth, faults

_ANSWERED = {StepKind.SAY, StepKind.CUT_IN, StepKind.PRESS}


@dataclass(frozen=True, slots=True)
class StageFacts:
    """What is known of a stage beside its calls."""

    transport: Literal["sip", "webrtc"]
    failures: Counter[str]  # calls that did not come about, by status or cause
    signalling: Counter[str]
    health: Sequence[GeneratorHealth]
    server: Mapping[str, float]
    sockets: tuple[int | None, int | None]  # of the bot, before and after
    network: Network
    asked: Collection[StepKind] = ()  # what the plan's callers do
    scored: bool = True  # whether there is a signal score


def stage_record(
    stage: Stage, calls: Sequence[CallRecord], facts: StageFacts, *, promises: Mapping[str, float], rng: Generator
) -> StageRecord:
    """Put a stage together."""
    found = figures_of(calls, sum(facts.failures.values()))
    invalid = tuple(fault for one in facts.health for fault in faults(one))
    failures = facts.failures + Counter(call.detail for call in calls if call.outcome == "failed")
    observations = observations_of(calls, network=facts.network, sockets=facts.sockets)
    summaries: dict[str, SummaryRecord] = {}
    for name, groups in groups_of(calls).items():
        summary = summarise(groups, rng)
        if summary is not None:
            summaries[name] = SummaryRecord.model_validate(asdict(summary))
    return StageRecord(
        name=stage.name,
        calls=stage.calls,
        hold_s=stage.hold_s,
        transport=facts.transport,
        summaries=summaries,
        figures=found,
        verdicts=tuple(
            VerdictRecord(metric=one.metric, bound=one.bound, found=one.found, held=one.held)
            for one in judge(promises, found)
        ),
        findings=tuple(FindingRecord(name=one.name, sentence=one.sentence) for one in diagnose(observations)),
        invalid=invalid,
        caveats=caveats(calls, hold_s=stage.hold_s, asked=facts.asked, scored=facts.scored, valid=not invalid),
        failures=dict(failures),
        health=tuple(HealthRecord.model_validate(asdict(one)) for one in facts.health),
        server={**{f"status_{name}": float(count) for name, count in sorted(facts.signalling.items())}, **facts.server},
        records=tuple(calls),
    )


def samples_of(calls: Sequence[CallRecord]) -> dict[str, list[float]]:
    """The samples of a stage, by quantity; ms, but for mos and pesq."""
    turns = [turn for call in calls for turn in call.turns]

    def latencies(*kinds: StepKind) -> list[float]:
        return [turn.latency_ms for turn in turns if turn.latency_ms is not None and turn.kind in kinds]

    return {
        "latency_ms": latencies(StepKind.SAY, StepKind.CUT_IN),
        "key_latency_ms": latencies(StepKind.PRESS),
        "answer_ms": [call.answer_ms for call in calls if call.answer_ms is not None],
        "greeting_ms": [call.greeting_ms for call in calls if call.greeting_ms is not None],
        "barge_in_ms": [turn.stop_ms for turn in turns if turn.stop_ms is not None],
        "mos": [call.mos for call in calls if call.mos is not None],
        "pesq": [turn.pesq for turn in turns if turn.pesq is not None],
        "gap_ms": [gap.length_ms for call in calls for gap in call.gaps],
    }


def groups_of(calls: Sequence[CallRecord]) -> dict[str, list[list[float]]]:
    """The same by call, for intervals."""
    by_call = [samples_of([call]) for call in calls]
    return {name: [samples[name] for samples in by_call] for name in samples_of(())}


def figures_of(calls: Sequence[CallRecord], refused: int) -> dict[str, float | None]:
    """What promises are about."""
    samples = samples_of(calls)
    turns = [turn for call in calls for turn in call.turns]
    asked = [turn for turn in turns if turn.kind in _ANSWERED]
    words = sum(turn.words for turn in turns)
    failed = refused + sum(call.outcome == "failed" for call in calls)
    return {
        "latency_p50_ms": _rank(samples["latency_ms"], 50),
        "latency_p95_ms": _rank(samples["latency_ms"], 95),
        "latency_p99_ms": _rank(samples["latency_ms"], 99),
        "key_latency_p95_ms": _rank(samples["key_latency_ms"], 95),
        "greeting_p95_ms": _rank(samples["greeting_ms"], 95),
        "answer_p95_ms": _rank(samples["answer_ms"], 95),
        "barge_in_p95_ms": _rank(samples["barge_in_ms"], 95),
        "missed_turn_share": _share(asked, lambda turn: turn.missed),
        "false_turn_share": _share(turns, lambda turn: turn.early or turn.false_stop),
        "unexpected_turn_share": _share(
            [turn for turn in turns if turn.unmet is not None], lambda turn: bool(turn.unmet)
        ),
        "failed_call_share": failed / (len(calls) + refused) if calls or refused else None,
        "gaps_per_minute": gap_rate(calls),
        "mos_p5": _rank(samples["mos"], 5),
        "pesq_mean": float(np.mean(samples["pesq"])) if samples["pesq"] else None,
        "words_right_share": sum(turn.words_right for turn in turns) / words if words else None,
    }


def gap_rate(calls: Sequence[CallRecord]) -> float | None:
    """Gaps a minute: those that lines told of over all speech, the others over the speech that was examined."""
    speech_s = sum(call.speech_s for call in calls)
    if not speech_s:
        return None
    gaps = [gap for call in calls for gap in call.gaps]
    told = sum(gap.told for gap in gaps)
    examined_s = sum(call.examined_s for call in calls) or speech_s
    return 60 * (told / speech_s + (len(gaps) - told) / examined_s)


def observations_of(
    calls: Sequence[CallRecord], *, network: Network, sockets: tuple[int | None, int | None]
) -> Observations:
    """What the diagnosis looks at."""
    turns = [turn for call in calls for turn in call.turns]
    came = sum(call.received + call.lost for call in calls)
    aligned_s = sum(call.aligned_s for call in calls)
    return Observations(
        gaps=[
            HeardGap(call.call, call.began_s + gap.at_s, gap.length_ms)
            for call in calls
            for gap in (*call.gaps, *call.stalls)
        ],
        lost_share=sum(call.lost for call in calls) / came if came else 0.0,
        network_loss=network.loss,
        network_burst=network.loss_burst,
        packets=came,
        network_gap_ms=network.gap_ms,
        cut_share=sum(call.cut_ms for call in calls) / 1000 / aligned_s if aligned_s else 0.0,
        cut_ins=sum(turn.stop_ms is not None or turn.ignored for turn in turns if turn.kind is StepKind.CUT_IN),
        ignored=sum(turn.ignored for turn in turns),
        coughs=sum(turn.kind is StepKind.COUGH for turn in turns),
        false_stops=sum(turn.false_stop for turn in turns),
        calls=len(calls),
        sockets_before=sockets[0],
        sockets_after=sockets[1],
    )


def _rank(sample: Sequence[float], rank: float) -> float | None:
    return float(np.percentile(sample, rank)) if sample else None


def _share(turns: Sequence[TurnRecord], test: Callable[[TurnRecord], bool]) -> float | None:
    return sum(map(test, turns)) / len(turns) if turns else None
