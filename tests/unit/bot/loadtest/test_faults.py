"""Bots with the faults of docs/loadtest.md on a virtual clock, through all that measures a stage: each is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.loadtest.alignment import Reference
from bot.loadtest.behaviour import Step, StepKind
from bot.loadtest.caller import CallTaken
from bot.loadtest.clips import clip_of
from bot.loadtest.measuring import Measurer
from bot.loadtest.plan import Network
from bot.loadtest.references import References
from bot.loadtest.results import StageRecord
from bot.loadtest.shapes import Stage
from bot.loadtest.summary import StageFacts, stage_record
from telephony.leg import LegStats
from tests.fakes.talking_bot import TalkingBot, speech, wire
from tests.unit.bot.loadtest.records import WELL

PROMPTS = [speech(seconds, seed=40 + n) for n, seconds in enumerate((4.0, 6.0, 5.0, 7.0))]
CLIPS = {"salam": clip_of(np.concatenate([speech(1.0, seed=50), np.zeros(1600, np.int16)]))}
SAY = Step(StepKind.SAY, clip="salam")
CUT_IN = Step(StepKind.CUT_IN, clip="salam", after_s=1.5)
SECONDS = 80.0


def hold(folder: Path, *script: Step, greetings_s: Sequence[float] = (0.2,), **faults: Any) -> StageRecord:
    """Hold calls that began together, with greetings that did not, and measure them as the tool does."""
    measurer = Measurer(
        References([Reference(f"prompt-{n}", prompt) for n, prompt in enumerate(PROMPTS)]),
        learn=False, pesq=None,
    )  # fmt: skip
    measurer.begin_stage()
    records = []
    for number, greeting_s in enumerate(greetings_s):
        bot = TalkingBot(PROMPTS, answer_s=0.4, greeting_s=greeting_s, **faults)
        heard, deeds, machine = wire(bot, script, CLIPS, seconds=SECONDS, repeat=True)
        path = folder / f"{number}.pcm"
        heard.tofile(path)
        taken = CallTaken(
            call=str(number), call_id="", scenario="a", began_s=0.0, media_began_s=100.0, answer_ms=10.0,
            length_s=len(heard) / 16_000, path=path, deeds=deeds, unanswered=tuple(machine.unanswered), concealed=(),
            stats=LegStats(received=len(heard) // 320), frames_dropped=0, told=(), ended="", cut=False,
        )  # fmt: skip
        records.append(measurer.measure(taken))
    facts = StageFacts(
        transport="sip", failures=Counter(), signalling=Counter(), health=[WELL], server={}, sockets=(None, None),
        network=Network(),
    )  # fmt: skip
    stage = Stage("calls", len(greetings_s), SECONDS)
    return stage_record(stage, records, facts, promises={}, rng=np.random.default_rng(1))


def test_a_well_bot_is_accused_of_nothing_and_its_answer_time_is_found(tmp_path: Path) -> None:
    stage = hold(tmp_path, SAY, CUT_IN)

    assert stage.findings == ()
    assert stage.figures["gaps_per_minute"] == 0.0
    assert stage.summaries["latency_ms"].count > 8
    assert stage.summaries["latency_ms"].p50.value == pytest.approx(440, abs=10)  # two frames on the way


def test_a_stall_of_300_ms_every_10_s_is_named_with_both_figures(tmp_path: Path) -> None:
    (found,) = hold(tmp_path, SAY, greetings_s=(0.2, 2.7), stall_every_s=10.0).findings

    assert found.name == "periodic_stalls"
    assert "about 300 ms every 10.0 s" in found.sentence


def test_two_frames_of_a_hundred_left_out_are_named_with_their_share(tmp_path: Path) -> None:
    (found,) = hold(tmp_path, SAY, drop_every=50).findings

    assert found.name == "frames_dropped"
    share = float(found.sentence.split(" %")[0])
    assert share == pytest.approx(2.0, abs=0.3)


def test_a_bot_that_does_not_stop_is_named(tmp_path: Path) -> None:
    stage = hold(tmp_path, SAY, CUT_IN, hears_barge_in=False)

    assert [one.name for one in stage.findings] == ["barge_in_ignored"]


def test_a_bot_that_stops_for_noise_is_named(tmp_path: Path) -> None:
    cough = Step(StepKind.COUGH, clip="salam", after_s=1.0)
    stage = hold(tmp_path, SAY, cough)

    assert "stops_for_coughs" in [one.name for one in stage.findings]
