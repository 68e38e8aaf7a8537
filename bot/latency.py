"""`TurnClock`: how long the caller waited for one answer, split by stage."""

from __future__ import annotations

from dataclasses import dataclass

from bot.events import StageLatency, TurnLatency


@dataclass(slots=True)
class TurnClock:
    """Marks of one turn on the bot's monotonic clock, in the order in which they fall."""

    turn_id: str  # the caller's, then the answer's
    speech_ended_at: float  # or the key press
    recognised_at: float | None  # None: no recognition was needed
    recognition_began_at: float
    turn_ended_at: float
    answered_at: float | None = None  # the flow knew what to say
    sounded_at: float | None = None  # the first audio came

    def latency(self, *, played_at: float) -> TurnLatency:
        """The first frame went to the leg at `played_at`."""
        answered = self.answered_at if self.answered_at is not None else self.turn_ended_at
        sounded = self.sounded_at if self.sounded_at is not None else played_at
        recognition = (
            0.0
            if self.recognised_at is None
            else min(self.recognised_at, self.turn_ended_at) - self.recognition_began_at
        )
        stages = StageLatency(
            endpoint=_ms(self.turn_ended_at - self.speech_ended_at - recognition),
            recognition=_ms(recognition),
            flow=_ms(answered - self.turn_ended_at),
            speech=_ms(sounded - answered),
            playout=_ms(played_at - sounded),
        )
        return TurnLatency(turn_id=self.turn_id, total_ms=_ms(played_at - self.speech_ended_at), stages=stages)


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
