"""What a run found: the versioned JSON. Times in ms unless named otherwise; shares are 0 to 1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.loadtest.behaviour import StepKind

SCHEMA_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TurnRecord(_Record):
    """One deed of a caller and the bot's answer; see `bot.loadtest.analysis.TurnFigures`."""

    step: int
    index: int
    kind: StepKind
    at_s: float
    until_s: float
    latency_ms: float | None = None
    stop_ms: float | None = None
    missed: bool = False
    early: bool = False
    ignored: bool = False
    false_stop: bool = False
    unmet: str | None = None  # the expectation that did not hold; "": all held; None: none, or the bot told nothing
    words: int = 0
    words_right: int = 0
    pesq: float | None = None  # MOS-LQO, narrow band (P.862.1)


class GapRecord(_Record):
    """A gap in the bot's speech."""

    at_s: float
    length_ms: float
    told: bool = False  # by the line: no packet came; else found by holding an answer against its source


class CallRecord(_Record):
    """One call from the caller's side."""

    call: str  # names the recording
    call_id: str = ""  # the bot's, or the SIP Call-ID: joins the bot's own record
    scenario: str
    began_s: float  # on the machine's monotonic clock
    outcome: Literal["completed", "cut", "refused", "failed"]  # cut: by the end of the stage
    detail: str = ""  # status or cause
    answer_ms: float | None = None
    greeting_ms: float | None = None
    length_s: float = 0.0
    speech_s: float = 0.0
    turns: tuple[TurnRecord, ...] = ()
    gaps: tuple[GapRecord, ...] = ()  # inside bot speech
    stalls: tuple[GapRecord, ...] = ()  # packets that did not come for 60 ms and more, in speech or not
    received: int = 0
    lost: int = 0
    late: int = 0
    concealed_ms: int = 0
    jitter_ms: float = 0.0
    playout_delay_ms: float = 0.0
    round_trip_ms: float | None = None
    frames_dropped: int = 0  # by the generator
    cut_ms: float = 0.0  # bot speech left out, by alignment
    aligned_s: float = 0.0
    examined_s: float = 0.0  # of the bot's speech, looked through for gaps of which the line does not tell
    mos: float | None = None
    server: dict[str, float] = Field(default_factory=dict[str, float])  # the bot's own figures of this call


class EstimateRecord(_Record):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


class SummaryRecord(_Record):
    """A sample."""

    count: int
    p50: EstimateRecord
    p90: EstimateRecord
    p95: EstimateRecord
    p99: EstimateRecord
    largest: float
    mean: float


class VerdictRecord(_Record):
    """A promise."""

    metric: str
    bound: float
    found: float | None
    held: bool


class FindingRecord(_Record):
    """A fault of the bot, named."""

    name: str
    sentence: str


class HealthRecord(_Record):
    """How one generator process did."""

    cpu_share: float
    loop_late_p99_ms: float
    paced_late_ms_max: float
    floor_ms: float | None
    floor_ms_max: float | None
    udp_drops: int
    frames_dropped: int
    ports_free: int


class StageRecord(_Record):
    """One load, held."""

    name: str
    calls: int
    hold_s: float
    transport: Literal["sip", "webrtc"]
    summaries: dict[str, SummaryRecord]  # latency_ms, key_latency_ms, answer_ms, greeting_ms, barge_in_ms, mos, pesq
    figures: dict[str, float | None]  # what promises are about
    verdicts: tuple[VerdictRecord, ...]
    findings: tuple[FindingRecord, ...]
    invalid: tuple[str, ...]  # empty: the figures may be believed
    caveats: tuple[str, ...] = ()  # what they cannot say, and what would make them
    failures: dict[str, int]  # by status or cause
    health: tuple[HealthRecord, ...]
    server: dict[str, float]  # the bot's own: stages, CPU, stalls, underruns
    records: tuple[CallRecord, ...]

    @property
    def held(self) -> bool:
        """Whether every promise held."""
        return all(verdict.held for verdict in self.verdicts)


class Report(_Record):
    """A run."""

    schema_version: Literal[1] = SCHEMA_VERSION
    began: str  # ISO 8601, UTC
    target: str
    environment: dict[str, str]
    plan: dict[str, object]
    stages: tuple[StageRecord, ...]
    knee: int | None = None  # the highest load at which every promise held
    knee_bounded: bool = False
    knee_stopped_at: int | None = None  # the load that the generator itself spoiled twice, which ended the search

    @property
    def invalid(self) -> tuple[str, ...]:
        """Why not to believe it; empty: nothing."""
        return tuple(f"{stage.name}: {fault}" for stage in self.stages for fault in stage.invalid)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What the figures cannot say; what holds for several stages is said once."""
        stages: dict[str, list[str]] = {}
        for stage in self.stages:
            for caveat in stage.caveats:
                stages.setdefault(caveat, []).append(stage.name)
        everywhere = len(self.stages)
        return tuple(
            caveat if len(names) == everywhere else f"{', '.join(names)}: {caveat}" for caveat, names in stages.items()
        )

    @property
    def broken(self) -> tuple[str, ...]:
        """Promises that did not hold."""
        return tuple(
            f"{stage.name}: {verdict.metric} {_shown(verdict.found)} (bound {verdict.bound:g})"
            for stage in self.stages
            for verdict in stage.verdicts
            if not verdict.held
        )


def _shown(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"
