"""`CallRecords`: figures of a worker's last calls, for whoever measures the bot from outside; no speech, no names."""

from __future__ import annotations

from collections import deque

from pydantic import BaseModel, ConfigDict

from bot.events import TurnLatency
from telephony.leg import CallInfo, LegEnded, LegStats

_KEPT = 1000


class CallFigures(BaseModel):
    """One call; milliseconds are means over its turns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call_id: str
    transport: str
    sip_call_id: str = ""
    cause: str
    duration_s: float
    turns: int
    total_ms: float
    endpoint_ms: float
    recognition_ms: float
    flow_ms: float
    speech_ms: float
    playout_ms: float
    underruns: int
    lost: int
    late: int
    concealed_ms: int
    jitter_ms: float
    playout_delay_ms: float
    round_trip_ms: float | None
    lost_there_percent: float
    jitter_there_ms: float
    mos: float | None  # by the E-model, of what the bot heard
    mos_there: float | None  # of what the caller heard, as far as its side reports
    codec: str
    encrypted: bool


class CallRecords:
    """The last thousand calls."""

    def __init__(self) -> None:
        self._latest: deque[CallFigures] = deque(maxlen=_KEPT)

    def latest(self) -> list[CallFigures]:
        """The oldest first."""
        return list(self._latest)

    def add(self, info: CallInfo, ended: LegEnded, seconds: float, stats: LegStats, turns: list[TurnLatency]) -> None:
        """A call is over."""
        count = max(1, len(turns))

        def mean(stage: str) -> float:
            return sum(getattr(turn.stages, stage) for turn in turns) / count

        self._latest.append(
            CallFigures(
                call_id=info.call_id,
                transport=info.transport,
                sip_call_id=info.variables.get("sip_call_id", ""),
                cause=ended.cause.value,
                duration_s=seconds,
                turns=len(turns),
                total_ms=sum(turn.total_ms for turn in turns) / count,
                endpoint_ms=mean("endpoint"),
                recognition_ms=mean("recognition"),
                flow_ms=mean("flow"),
                speech_ms=mean("speech"),
                playout_ms=mean("playout"),
                underruns=stats.underruns,
                lost=stats.lost,
                late=stats.late,
                concealed_ms=stats.concealed_ms,
                jitter_ms=stats.jitter_ms,
                playout_delay_ms=stats.playout_delay_ms,
                round_trip_ms=stats.round_trip_ms,
                lost_there_percent=stats.lost_there_percent,
                jitter_there_ms=stats.jitter_there_ms,
                mos=stats.mos,
                mos_there=stats.mos_there,
                codec=stats.codec,
                encrypted=stats.encrypted,
            )
        )
