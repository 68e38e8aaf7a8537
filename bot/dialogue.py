"""`Dialogue`: the Pipecat processor in which turns meet the flow.

It feeds the turn machine and the flow engine (both sans-I/O), carries out what they ask for, and
sleeps until the earlier of their timers. What happens is told as `CallEvent`s.
"""

from __future__ import annotations

import asyncio
import itertools
import traceback
from collections.abc import Awaitable, Callable
from typing import assert_never

import structlog
from pipecat.frames.frames import (
    EndWorkerFrame,
    Frame,
    InputDTMFFrame,
    OutputTransportMessageFrame,
    STTMuteFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bot.answerer import FLOW_TONES, AnswererJudge, AnswererPolicy
from bot.asking import Asking
from bot.events import (
    AnsweredBy,
    BotSpeaking,
    BotTurn,
    BotTurnHeard,
    CallerSpeaking,
    CallerTurn,
    CallEvent,
    FlowSlot,
    FlowState,
)
from bot.flow_ports import Flow, FlowServices
from bot.flows.actions import (
    Answerer,
    AskLlm,
    CallTool,
    FlowAction,
    HangUp,
    Say,
    SlotFilled,
    StateEntered,
    Transfer,
    Understand,
)
from bot.flows.sufficiency import Sufficiency
from bot.flows.templates import MASK
from bot.latency import TurnClock
from bot.playout import PlayoutLedger
from bot.protection import Protection
from bot.sound_trail import SoundFaded, TrailEvent
from bot.turns import (
    CallerPaused,
    CallerStarted,
    Interrupt,
    TurnEnded,
    TurnEvent,
    TurnMachine,
    TurnState,
)
from bot.voice_activity import VoiceEvent, VoiceStarted
from telephony.leg import Tone

_log = structlog.get_logger("zeng.call")


class Dialogue(FrameProcessor):
    """One call's conversation."""

    def __init__(  # noqa: PLR0913 - what one conversation stands on
        self,
        *,
        flow: Flow,
        turns: TurnMachine,
        services: FlowServices,
        ledger: PlayoutLedger,
        played_ms: Callable[[], int],
        on_event: Callable[[CallEvent], None],
        transfer: Callable[[str], Awaitable[bool]],
        judge: Callable[[], Awaitable[bool]] | None = None,
        texts_add_up: bool = False,
        answerer: AnswererPolicy | None = None,
    ) -> None:
        """`judge` tells whether the turn so far sounds finished, `transfer` whether the caller was handed over.

        `answerer`: how to tell who answered a call that we placed; None for one that came to us.
        `texts_add_up`: a text is of the stretch since the last one (Pipecat's services), not of the whole turn.
        """
        super().__init__(name="Dialogue")
        self._flow = flow
        self._turns = turns
        self._wake = asyncio.Event()
        self._asking = Asking(flow, services, spawn=self.create_task, answered=self._wake.set, now=self._now)
        self._ledger = ledger
        self._played_ms = played_ms
        self._on_event = on_event
        self._transfer = transfer
        self._quiet = asyncio.Event()  # nothing said is still to be heard
        self._quiet.set()
        self._judge = judge
        self._texts_add_up = texts_add_up
        self._answerer_policy = answerer
        self._answerer: AnswererJudge | None = None
        self._turn_text = ""
        self._ids = itertools.count(1)
        self._marks = itertools.count(1)
        self._last_mark = 0
        self._protection = Protection()
        self._bot_turns: dict[str, TurnClock | None] = {}  # queued and not yet settled
        self._clock: TurnClock | None = None
        self._muted = False
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None
        self._stepper: asyncio.Task[None] | None = None
        self._recognition_began_at = 0.0
        self._key_at = 0.0  # the last key press

    # What comes in

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take text and keys; everything else passes."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self._recognised(frame.text)
        elif isinstance(frame, InputDTMFFrame):
            self._pressed(frame.button.value)
        else:
            await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Stop timers and requests."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        for task in (*self._asking.tasks, self._stepper):
            if task is not None:
                await self.cancel_task(task)
        await super().cleanup()

    def begin(self) -> None:
        """Start the flow; the pipeline runs."""
        self._stepper = self.create_task(self._steps())
        now = self._now()
        if self._answerer_policy is None:
            self._flow.noticed(Answerer.HUMAN, now=now)
        else:
            self._answerer = AnswererJudge(self._answerer_policy, now=now)
        self._flow.start(now=now)
        self._wake.set()

    def voice(self, event: VoiceEvent, at: float) -> None:
        """The caller's voice started or stopped at `at` on the loop's clock."""
        if isinstance(event, VoiceStarted):
            self._turns.voice_started(began_at=at)
        else:
            self._turns.voice_stopped(ended_at=at)
        if self._answerer is not None:
            self._answerer.voice(event, at)
        self._wake.set()

    def sound(self, event: TrailEvent, at: float) -> None:
        """The sound of the caller's voice ended at `at` on the loop's clock, or did not after all."""
        if isinstance(event, SoundFaded):
            self._turns.sound_faded(ended_at=at)
            self._recognition_began_at = self._now()
        else:
            self._turns.sound_returned()
        self._wake.set()

    def tone(self, tone: Tone) -> None:
        """A tone of a machine was heard."""
        now = self._now()
        if self._answerer is not None:
            self._answerer.tone(tone, now=now)
        if self._flow.noticed(FLOW_TONES[tone], now=now):
            self._turns.key_pressed()  # what is being said is meant for nobody any more
        self._wake.set()

    def sounded(self, turn_id: str) -> None:
        """The speech service has the first audio of a bot turn."""
        clock = self._bot_turns.get(turn_id)
        if clock is not None and clock.sounded_at is None:
            clock.sounded_at = self._now()

    def played(self, turn_id: str) -> None:
        """The first frame of a bot turn went to the leg."""
        self._on_event(BotSpeaking(on=True))
        clock = self._bot_turns.get(turn_id)
        if clock is not None:
            self._on_event(clock.latency(played_at=self._now()))
            self._bot_turns[turn_id] = None

    def reached(self, mark: object) -> None:
        """Everything queued before `mark` has been played."""
        self._protection.reached(mark)
        if mark == self._last_mark and not self._protection.says_more:
            self._settle()
            self._flow.said(now=self._now())
        self._wake.set()

    def _recognised(self, text: str) -> None:
        if self._turns.state in (TurnState.LISTENING, TurnState.MUTED):
            return  # too late: its turn has ended, and the next one begins without it
        if self._texts_add_up:
            text = self._turn_text = f"{self._turn_text} {text}".strip()
        found = self._flow.suffices(text)
        self._turns.recognised(text, sufficient=bool(found), whole=found is Sufficiency.WHOLE, now=self._now())
        self._wake.set()

    def _pressed(self, digit: str) -> None:
        now = self._key_at = self._now()
        self._clock = TurnClock(self._new_turn_id(), now, None, now, now)
        self._turns.key_pressed()
        self._protection.key_pressed()
        self._flow.pressed(digit, now=now)
        self._wake.set()

    # What is done about it

    async def _steps(self) -> None:
        """Mutate, drain, wait: everything that awaits happens in this one task, in order."""
        while not self._ended:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._drain()
            except Exception as error:  # noqa: BLE001 - one step's fault must not leave the caller with nobody
                place = traceback.extract_tb(error.__traceback__)[-1]
                # without the error's text, which may quote what the caller said
                _log.error(
                    "a step of the dialogue failed", error=type(error).__name__, at=f"{place.name}:{place.lineno}"
                )
            self._arm()

    async def _drain(self) -> None:
        while True:
            if (turn := self._turns.poll()) is not None:
                await self._take_turn(turn)
            elif self._answerer is not None and (who := self._answerer.poll()) is not None:
                self._on_event(AnsweredBy(by=who.value))
                self._flow.noticed(who, now=self._now())
            elif (action := self._protection.release() or self._flow.poll()) is not None:
                if not self._protection.hold(action):
                    await self._take_action(action)
            else:
                return

    def _arm(self) -> None:
        answerer_at = None if self._answerer is None else self._answerer.timer_at()
        due = [at for at in (self._turns.timer_at(), self._flow.timer_at(), answerer_at) if at is not None]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(min(due), self._timeout) if due else None

    def _timeout(self) -> None:
        now = self._now()
        self._turns.handle_timer(now=now)
        self._flow.handle_timer(now=now)
        if self._answerer is not None:
            self._answerer.handle_timer(now=now)
        self._wake.set()

    async def _take_turn(self, event: TurnEvent) -> None:
        match event:
            case CallerStarted():
                self._on_event(CallerSpeaking(on=True))
                if self._turns.began_at > self._key_at:  # else the key is the answer, and his words are none
                    self._flow.caller_started(now=self._now())
                await self.broadcast_frame(UserStartedSpeakingFrame)
            case Interrupt():
                await self._interrupt()
            case CallerPaused():
                self._recognition_began_at = self._now()
                if self._judge is not None:
                    self._asking.start(self._judge_pause(self._judge))
            case TurnEnded():
                await self._end_turn(event)
            case _:  # pragma: no cover
                assert_never(event)

    async def _end_turn(self, event: TurnEnded) -> None:
        now = self._now()
        turn_id = self._new_turn_id()
        self._turn_text = ""
        self._on_event(CallerSpeaking(on=False))
        await self.broadcast_frame(UserStoppedSpeakingFrame)
        if event.speech_ended_at <= self._key_at:
            return  # the key was the answer; by now the flow may ask something else
        self._clock = TurnClock(turn_id, event.speech_ended_at, event.recognised_at, self._recognition_began_at, now)
        if event.text:
            personal = self._flow.is_personal(event.text)
            self._on_event(CallerTurn(turn_id=turn_id, text=MASK if personal else event.text))
        self._flow.heard(event.text, now=now)

    async def _take_action(self, action: FlowAction) -> None:
        match action:
            case Say():
                await self._say(action)
            case Understand() | CallTool() | AskLlm():
                self._asking.ask(action)
            case Transfer(to=to):
                self._asking.start(self._hand_over(to))
            case HangUp():
                await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)
            case StateEntered(state=state, why=why):
                self._on_event(FlowState(state=state, why=why))
            case SlotFilled(name=name, value=value, pii=pii):
                self._on_event(FlowSlot(name=name, value=MASK if pii else value))
            case _:  # pragma: no cover
                assert_never(action)

    async def _say(self, action: Say) -> None:
        now = self._now()
        self._quiet.clear()
        turn_id = self._new_turn_id()
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.answered_at = now
            clock.turn_id = turn_id
        self._bot_turns[turn_id] = clock
        self._turns.bot_started(interruptible=action.interruptible)
        await self._mute(not action.interruptible)
        self._on_event(BotTurn(turn_id=turn_id, text=action.text if action.masked is None else action.masked))
        frame = TTSSpeakFrame(action.text, append_to_context=False)
        frame.metadata["turn_id"] = turn_id
        frame.metadata["cacheable"] = action.cacheable
        frame.metadata["personal"] = action.masked is not None
        await self.push_frame(frame)
        self._last_mark = next(self._marks)
        self._protection.said(action, self._last_mark)
        await self.push_frame(OutputTransportMessageFrame(message=self._last_mark))

    async def _hand_over(self, to: str) -> None:
        await self._quiet.wait()  # "I am connecting you" is heard to its end
        if not await self._transfer(to):
            self._flow.transfer_failed(now=self._now())
            self._wake.set()

    async def _interrupt(self) -> None:
        await self.broadcast_interruption()
        self._settle()

    def _settle(self) -> None:
        """All speech was played or dropped: say what was heard of it."""
        self._last_mark = next(self._marks)
        self._protection.cut()
        for heard in self._ledger.settle(self._played_ms(), self._bot_turns):
            self._on_event(
                BotTurnHeard(turn_id=heard.turn_id, heard_s=heard.heard_ms / 1000, duration_s=heard.produced_ms / 1000)
            )
        self._bot_turns.clear()
        self._quiet.set()
        self._on_event(BotSpeaking(on=False))
        self._turns.bot_stopped(now=self._now())
        self._unmute()

    async def _mute(self, mute: bool) -> None:
        if mute != self._muted:
            self._muted = mute
            await self.push_frame(STTMuteFrame(mute=mute), FrameDirection.UPSTREAM)

    def _unmute(self) -> None:
        if self._muted:
            self._asking.start(self._mute(False))

    async def _judge_pause(self, judge: Callable[[], Awaitable[bool]]) -> None:
        pause = self._recognition_began_at
        finished = await judge()
        if pause == self._recognition_began_at:  # else it is another pause by now
            self._turns.judged(finished=finished, now=self._now())
            self._wake.set()

    def _new_turn_id(self) -> str:
        return f"t{next(self._ids)}"

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
