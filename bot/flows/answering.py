"""Who answered, and the tones of machines: where they lead."""

from __future__ import annotations

from bot.flows.actions import Answerer, FlowTone
from bot.flows.run import Phase, Run, Step
from bot.flows.states import AnsweredState

LIMIT_S = 90.0
"""After which whoever was to tell who answered is given up on: a human is not kept waiting for it."""


def judged(run: Run, state: AnsweredState) -> Step | None:
    """Go on from `answered` as far as it is known who did; None to wait.

    A caller is told what the flow discloses once somebody is there to hear it: a human, or a recorder.
    """
    answered, who = state.answered, run.answerer
    if who is None or (who is Answerer.MACHINE and answered.machine is None):
        return None
    target = {
        Answerer.HUMAN: answered.human,
        Answerer.MACHINE: answered.machine,
        Answerer.RECORDING: answered.machine or answered.recording,
        Answerer.FAX: answered.fax,
    }[who]
    assert target is not None  # a model without either way with machines is refused
    if run.flow.disclosure is not None and (who is Answerer.HUMAN or target == answered.recording):
        run.say(run.flow.disclosure, interruptible=False)
    return Step(target, f"answered by {who.value}")


def heard_tone(run: Run, tone: FlowTone) -> Step | None:
    """Follow a tone the first time that it is heard; what tells who answered is that state's business."""
    target = run.flow.tones.to(tone)
    if target is None or tone in run.tones or run.phase in {Phase.NEW, Phase.TRANSFERRING, Phase.ENDED}:
        return None
    if run.phase is Phase.ANSWERED and tone in {"fax", "beep"}:
        return None
    run.tones.add(tone)
    return Step(target, f"tone {tone}")
