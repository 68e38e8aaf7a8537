"""What a stage's figures cannot say, and what would make them say it: an empty column is to explain itself."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from bot.loadtest.behaviour import StepKind
from bot.loadtest.results import CallRecord

_VOICE = {StepKind.SAY, StepKind.CUT_IN}
_ENOUGH = 20  # values of which p95 is not simply the largest
_ROUND_S = 10
_LONGEST_ADVISED_S = 3600
NO_PESQ = "no signal score: PESQ is not installed (pip install 'zeng[loadtest]'; it needs a C compiler)"
_NO_SOURCE = (
    "no signal score, and no gaps but where packets did not come: no answer came a second time to be held against the"
    " first; hold longer, or give --references"
)


def caveats(
    calls: Sequence[CallRecord], *, hold_s: float, asked: Collection[StepKind], scored: bool, valid: bool = True
) -> tuple[str, ...]:
    """Say what is not to be read from a stage; `asked` are the plan's steps, `scored` whether there is PESQ."""
    if not calls:
        return ()
    turns = [turn for call in calls for turn in call.turns]
    voice = sum(turn.kind in _VOICE and turn.latency_ms is not None for turn in turns)
    found: list[str] = []
    if not turns:
        heard_s = max(call.speech_s for call in calls)
        found.append(
            f"no turns were measured: a hold of {hold_s:g} s is over before the bot has finished its first prompt"
            f" (callers heard up to {heard_s:.0f} s of speech) and answered; hold {_longer(hold_s, 2)}"
        )
    elif _VOICE & set(asked) and not voice:
        found.append(f"no spoken turn was measured: hold {_longer(hold_s, 2)}")
    elif 0 < voice < _ENOUGH:
        found.append(
            f"p95 of {voice} spoken turn{'s' * (voice > 1)} is close to the slowest: for {_ENOUGH} hold"
            f" {_longer(hold_s, _ENOUGH / voice)}, or more calls"
        )
    if not scored:
        found.append(NO_PESQ)
    elif valid and turns and not any(turn.pesq is not None for turn in turns):
        found.append(_NO_SOURCE)
    return tuple(found)


def _longer(hold_s: float, times: float) -> str:
    seconds = math.ceil(hold_s * times / _ROUND_S) * _ROUND_S
    return f"{seconds} s" if seconds <= _LONGEST_ADVISED_S else "much longer"
