"""`Plan`: what a load test does, as YAML; scenarios use the keys of flow tests (`bot/flows/testing.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from bot.errors import SettingsError
from bot.flows.testing import Expectation
from bot.flows.transfer_target import is_sip_address
from bot.loadtest.behaviour import Step, StepKind
from bot.loadtest.clips import ClipLibrary
from bot.loadtest.impairment import GilbertElliott, NetworkModel
from bot.loadtest.shapes import Stage, burst, ramp, soak, steps
from bot.loadtest.slo import METRICS
from bot.refusals import Location, refusals
from bot.urls import OptionalHttpUrl, http_url

_PACKET_MS = 20
_STRICT = ConfigDict(extra="forbid", frozen=True)


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


class CallerTurn(BaseModel):
    """One thing that the caller does. `user`, `dtmf` and `silence` as in flow tests; the others are ours."""

    model_config = _STRICT

    user: str | None = None  # said once the bot has finished; a clip's text or file name
    dtmf: Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^[0-9*#]+$")] | None = None
    silence: Literal[True] | None = None
    cough: Literal[True] | None = None
    hang_up: Literal[True] | None = None
    expect: tuple[Expectation, ...] = ()  # judged where a page is called: a telephone is not told the bot's texts
    into_ms: int | None = Field(default=None, ge=0)  # user, cough, hang_up: so long into the bot's speech

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        done = [self.user, self.dtmf, self.silence, self.cough, self.hang_up]
        if sum(thing is not None for thing in done) != 1:
            raise ValueError("a turn has exactly one of user, dtmf, silence, cough, hang_up: split it")
        if self.into_ms is not None and (self.dtmf or self.silence):
            raise ValueError("into_ms goes with user, cough or hang_up")
        return self

    def step(self) -> Step:
        """What the machine does."""
        after_s = None if self.into_ms is None else self.into_ms / 1000
        if self.user is not None:
            return Step(StepKind.SAY if after_s is None else StepKind.CUT_IN, clip=self.user, after_s=after_s)
        if self.dtmf is not None:
            return Step(StepKind.PRESS, digits=self.dtmf)
        if self.cough:
            return Step(StepKind.COUGH, clip=COUGH, after_s=after_s or 0.5)
        return Step(StepKind.HANG_UP, after_s=after_s) if self.hang_up else Step(StepKind.SILENCE)


COUGH = "cough"


class Scenario(BaseModel):
    """One kind of caller."""

    model_config = _STRICT

    name: str
    weight: float = Field(default=1.0, gt=0)
    repeat: bool = True  # start over until the stage ends
    turns: tuple[CallerTurn, ...] = Field(min_length=1)


class Shape(BaseModel):
    """How the load goes; exactly one of `steps`, `ramp`, `burst_per_s`, `soak_hours`, `find_knee`."""

    model_config = _STRICT

    steps: tuple[Annotated[int, Field(ge=1)], ...] = ()
    ramp: int | None = Field(default=None, ge=1)
    burst_per_s: float | None = Field(default=None, gt=0)
    soak_hours: float | None = Field(default=None, gt=0)
    calls: int = Field(default=1, ge=1)  # of a soak; the first load of a search
    find_knee: int | None = Field(default=None, ge=1)  # the highest load to try
    hold_s: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = [bool(self.steps), self.ramp, self.burst_per_s, self.soak_hours, self.find_knee]
        if sum(bool(one) for one in given) != 1:
            raise ValueError("give exactly one of steps, ramp, burst_per_s, soak_hours, find_knee")
        if self.soak_hours and "calls" not in self.model_fields_set:
            raise ValueError("soak_hours goes with calls: say how many are held")
        if self.calls > 1 and not (self.soak_hours or self.find_knee):
            raise ValueError("calls goes with soak_hours or find_knee: write steps: [5] to hold five calls")
        return self

    def stages(self) -> tuple[Stage, ...]:
        """The stages that are known before; none for a search."""
        if self.steps:
            return steps(self.steps, self.hold_s)
        if self.ramp:
            return ramp(self.ramp, self.hold_s)
        if self.burst_per_s:
            return burst(self.burst_per_s, self.hold_s)
        return soak(self.calls, self.soak_hours) if self.soak_hours else ()


class Network(BaseModel):
    """What lies between callers and bot, each way."""

    model_config = _STRICT

    loss: float = Field(default=0.0, ge=0, lt=1)
    loss_burst: float = Field(default=1.0, ge=1)  # packets lost at a time on average (Gilbert-Elliott)
    delay_ms: float = Field(default=0.0, ge=0, le=2000)
    jitter_ms: float = Field(default=0.0, ge=0, le=1000)
    reorder: float = Field(default=0.0, ge=0, lt=1)

    @property
    def clear(self) -> bool:
        """Whether there is nothing to build."""
        return not (self.loss or self.delay_ms or self.jitter_ms or self.reorder)

    @property
    def gap_ms(self) -> float:
        """How long a gap it makes by itself: bursts four times the mean are one in fifty."""
        return 2 * self.jitter_ms + (4 * _PACKET_MS * self.loss_burst if self.loss else 0.0)

    def model(self) -> NetworkModel:
        """One direction of it."""
        loss = GilbertElliott.of(self.loss, self.loss_burst)
        return NetworkModel(loss, self.delay_ms / 1000, self.jitter_ms / 1000, self.reorder)


_DEFAULT_SLO = {"latency_p95_ms": 1500.0, "failed_call_share": 0.01, "missed_turn_share": 0.02, "gaps_per_minute": 0.5}


class Plan(BaseModel):
    """A whole load test."""

    model_config = _STRICT

    version: Literal[1] = 1
    target: str  # a SIP URI, or the page's address for WebRTC
    shape: Shape
    scenarios: tuple[Scenario, ...] = Field(min_length=1)
    slo: dict[str, float] = Field(default_factory=lambda: dict(_DEFAULT_SLO))
    network: Network = Network()
    clips: tuple[Path, ...] = ()  # folders with WAVs and a manifest.yaml, before those that ship
    references: Path | None = None  # WAVs of what the bot may say; NAME.txt beside holds the words
    recogniser_url: OptionalHttpUrl = (
        ""  # OpenAI-compatible, ends in /v1: hears the words of answers whose source has a text
    )
    recogniser_model: str = "whisper-base"
    processes: int = Field(default=1, ge=1, le=64)
    patience_ms: int = Field(default=1200, ge=100)
    linger_ms: int = Field(
        default=2000, ge=0
    )  # a caller thinks for up to so long before each turn, lest all speak at once
    rtp_port_min: int = Field(default=40_000, ge=1024)
    rtp_port_max: int = Field(default=59_999, le=65_535)
    metrics_url: OptionalHttpUrl = ""  # of the bot; empty: the target's, where it is a page
    seed: int = 1

    @field_validator("target")
    @classmethod
    def _can_be_called(cls, target: str) -> str:
        if target.startswith(("http://", "https://")):
            return http_url(target)
        if not is_sip_address(target):
            raise ValueError(f"{target!r} cannot be called: write sip:bot@127.0.0.1:5060, or http://127.0.0.1:7860")
        return target

    @field_validator("slo")
    @classmethod
    def _can_be_kept(cls, promises: dict[str, float]) -> dict[str, float]:
        for name, bound in promises.items():
            if name not in METRICS:
                raise ValueError(f"no such promise: {name}; known: {', '.join(METRICS)}")
            if name.endswith("_share") and not 0 <= bound <= 1:
                raise ValueError(f"{name} is {bound:g}: a share is between 0 and 1, such as 0.02 for 2 %")
            if not 0 <= bound < float("inf"):
                raise ValueError(f"{name} is {bound:g}: a promise is a number above 0")
        return promises

    @field_validator("clips")
    @classmethod
    def _are_there(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        for folder in folders:
            if not folder.is_dir():
                raise ValueError(f"there is no folder {folder}: paths are from where the command is run")
        return folders

    @field_validator("references")
    @classmethod
    def _is_there(cls, folder: Path | None) -> Path | None:
        return folder if folder is None else cls._are_there((folder,))[0]

    @model_validator(mode="after")
    def _has_ports(self) -> Self:
        if self.rtp_port_min >= self.rtp_port_max:
            raise ValueError("rtp_port_min is not below rtp_port_max: exchange them")
        return self

    @property
    def expectations(self) -> dict[tuple[str, int], tuple[Expectation, ...]]:
        """What is expected after each turn, by scenario and index."""
        return {
            (scenario.name, index): turn.expect
            for scenario in self.scenarios
            for index, turn in enumerate(scenario.turns)
            if turn.expect
        }

    @property
    def kinds(self) -> frozenset[StepKind]:
        """What callers do."""
        return frozenset(turn.step().kind for scenario in self.scenarios for turn in scenario.turns)

    @property
    def transport(self) -> Literal["sip", "webrtc"]:
        """What carries the calls."""
        return "sip" if self.target.startswith("sip") else "webrtc"


def load_plan(path: Path | None, overrides: dict[str, object]) -> Plan:
    """Read a plan and lay options over it; `SettingsError` names what is wrong."""
    try:
        data = {} if path is None else yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise SettingsError(f"{path}: a plan is a mapping of keys")
        plan = Plan.model_validate(_laid_over(data, overrides))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"cannot read the plan: {error}") from error
    except ValidationError as error:
        lines = refusals(error, Plan, place=_place, unknown="there is no such key", names="")
        raise SettingsError("plan: " + "; ".join(lines)) from error
    clips = ClipLibrary(plan.clips)
    for name in {turn.step().clip for scenario in plan.scenarios for turn in scenario.turns} - {""}:
        clips.get(name)  # before anybody is called
    return plan


def _laid_over(plan: dict[str, object], options: dict[str, object]) -> dict[str, object]:
    """Lay options over a plan, within its network and its promises too; another shape keeps how long to hold."""
    merged = {**plan, **options}
    for name in ("network", "slo", "shape"):
        below, above = plan.get(name), options.get(name)
        if isinstance(below, dict) and isinstance(above, dict):
            kept = cast("dict[str, object]", below)
            if name == "shape" and above.keys() - {"hold_s"}:
                kept = {key: value for key, value in kept.items() if key == "hold_s"}
            merged[name] = {**kept, **above}
    return merged


def _place(location: Location) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""
