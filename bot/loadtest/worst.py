"""The turns that went worst, each as a card of the report: what was said, the wait, both waveforms, both sounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from bot.errors import SettingsError
from bot.loadtest.behaviour import StepKind
from bot.loadtest.clips import ClipLibrary
from bot.loadtest.plan import Plan
from bot.loadtest.results import CallRecord, StageRecord, TurnRecord
from bot.loadtest.sound import RATE_HZ, Samples
from bot.loadtest.waveforms import audio, clip_sound, lay, picture
from telephony.audio.g711 import RATE_HZ as G711_HZ
from telephony.audio.resample import Resampler

_COUNT = 20
_BEFORE_S = 2.5
_AFTER_S = 3.0
_LONGEST_S = 10.0


@dataclass(frozen=True, slots=True)
class WorstTurn:
    """A turn to look at."""

    stage: str
    call: CallRecord
    turn: TurnRecord
    badness: float


def worst_turns(stages: Sequence[StageRecord], count: int = _COUNT) -> tuple[WorstTurn, ...]:
    """The turns that went worst: missed and ignored ones, then the slowest, gaps adding their length."""
    found: list[WorstTurn] = []
    for stage in stages:
        for call in stage.records:
            for turn in call.turns:
                gaps_ms = sum(gap.length_ms for gap in call.gaps if turn.at_s <= gap.at_s < turn.until_s)
                wrong = 10_000 * (turn.missed + turn.ignored) + 3_000 * (turn.early + turn.false_stop)
                found.append(WorstTurn(stage.name, call, turn, wrong + (turn.latency_ms or 0.0) + 2 * gaps_ms))
    return tuple(sorted(found, key=lambda one: one.badness, reverse=True)[:count])


class CallerSounds:
    """What a turn's caller said, from the plan that the report holds; nothing where its clips are not here."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._turns: dict[tuple[str, int], str] = {}
        self._digits: dict[tuple[str, int], str] = {}
        try:
            made = Plan.model_validate(plan)
            self._clips = ClipLibrary(made.clips)
        except (ValidationError, SettingsError):
            return
        for scenario in made.scenarios:
            for index, turn in enumerate(scenario.turns):
                step = turn.step()
                self._turns[scenario.name, index] = step.clip
                self._digits[scenario.name, index] = step.digits

    def text(self, scenario: str, index: int) -> str:
        """What the plan has the caller do."""
        digits = self._digits.get((scenario, index), "")
        clip = self._turns.get((scenario, index), "")
        return f"key {digits}" if digits else f"“{clip}”" if clip else ""

    def sound(self, scenario: str, turn: TurnRecord) -> tuple[Samples, float] | None:
        """The words at 8 kHz, and when they begin in the call."""
        name = self._turns.get((scenario, turn.index), "")
        if not name or turn.kind is StepKind.PRESS:
            return None
        try:
            sound, voice_ends_s = clip_sound(self._clips.get(name))
        except SettingsError:
            return None
        return sound, turn.at_s - voice_ends_s


def turn_card(place: int, one: WorstTurn, folder: Path, sounds: CallerSounds) -> str:
    """Draw one turn; without its recording the figures alone."""
    turn, call = one.turn, one.call
    said = sounds.text(call.scenario, turn.index)
    title = f"{one.stage}, call {call.call}, {call.scenario}, step {turn.step} ({turn.kind.value})"
    head = (
        f"<p><b>{place}. {escape(_outcome(turn))}</b>{f' after {escape(said)}' if said else ''}"
        f"<small>{escape(title)}; {turn.at_s:.1f} s into the call</small></p>"
    )
    path = folder / f"{call.call}.pcm"
    begin_s = max(0.0, turn.at_s - _BEFORE_S)
    end_s = min(call.length_s, begin_s + _LONGEST_S, turn.at_s + (turn.latency_ms or _AFTER_S * 1000) / 1000 + _AFTER_S)
    if not path.is_file() or end_s <= begin_s:
        return f'<div class="turn">{head}</div>'
    count, offset = round((end_s - begin_s) * RATE_HZ), 2 * round(begin_s * RATE_HZ)
    heard = np.fromfile(path, np.int16, count=count, offset=offset)
    bot = Resampler(RATE_HZ, G711_HZ).feed(heard).astype(np.int16)
    length_s = len(bot) / G711_HZ
    spoken = [sounds.sound(call.scenario, other) for other in call.turns]
    caller = lay([(sound, at_s - begin_s) for sound, at_s in (one for one in spoken if one is not None)], length_s)
    drawn = picture(
        title, caller, bot, length_s=length_s,
        wait=None
        if turn.latency_ms is None
        else (turn.at_s - begin_s, turn.at_s - begin_s + turn.latency_ms / 1000),
        gaps=[
            (gap.at_s - begin_s, gap.at_s - begin_s + gap.length_ms / 1000)
            for gap in call.gaps
            if begin_s <= gap.at_s < end_s
        ],
        marks={"key": turn.at_s - begin_s} if turn.kind is StepKind.PRESS else {},
    )  # fmt: skip
    return f'<div class="turn">{head}{drawn}{audio(caller, bot)}</div>'


def _outcome(turn: TurnRecord) -> str:
    if turn.missed:
        return "missed: no answer"
    if turn.ignored:
        return "barge-in ignored"
    if turn.early:
        return "spoke into the caller's words"
    if turn.false_stop:
        return "stopped for a cough"
    return "no figure" if turn.latency_ms is None else f"{turn.latency_ms:.0f} ms"
