"""Life of one call: answer, run its pipeline, record it, hang up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from bot.answerer import AnswererPolicy
from bot.call_records import CallRecords
from bot.context.journal import CallerAudio, Journal, SpeechMemory, TurnStore
from bot.dialogue import Dialogue
from bot.events import AnsweredBy, CallEnded, CallerTurn, CallEvent, CallStarted, TurnLatency, Who
from bot.flow_ports import Flow, FlowServices
from bot.flows.templates import MASK
from bot.metrics import CallMetrics
from bot.pipeline import call_pipeline
from bot.playout import PlayoutLedger
from bot.services.prompt_cache import PromptCache
from bot.services.stt import Recogniser, TurnRecogniser
from bot.services.tts import Speaker, SpeechService
from bot.settings import TurnSettings
from bot.sound_trail import SoundTrail
from bot.speech_detector import SpeechDetector, SpeechModel
from bot.transport import CallInput, CallOutput
from bot.turns import TurnMachine, TurnPolicy
from bot.voice_activity import VoiceActivity
from telephony.errors import LegEndedError, TelephonyError
from telephony.leg import CallLeg, EndCause, LegEnded, LegEvent, Tone, ToneHeard

_log = structlog.get_logger("zeng.call")
_CUT_S = 4.0  # less than `Calls.wait` gives a call that it cuts


class SpeechClient(Speaker, SpeechMemory, Protocol):
    """What a call needs of `tts_engine.client`."""


class CallFlow(Flow, Protocol):
    """What a call needs of the flow engine beyond what the dialogue does."""

    @property
    def hints(self) -> tuple[str, ...]: ...


class PauseJudge(Protocol):
    """What a call needs of `bot.smart_turn`."""

    def finished(self, pcm: bytes) -> bool: ...


async def _any_flow(name: str, variables: Collection[str]) -> None:
    """Refuse none."""


@dataclass(frozen=True, slots=True)
class ChosenFlow:
    """The flow of one call, at its beginning, with what it asks outside."""

    flow: CallFlow
    services: FlowServices
    id: str
    version: str


@dataclass(frozen=True, slots=True)
class CallServices:
    """Finished parts that all calls of a worker share."""

    new_flow: Callable[[Mapping[str, str]], Awaitable[ChosenFlow]]  # from the call's variables
    recogniser: Recogniser
    other_recogniser: Callable[[], FrameProcessor] | None  # a Pipecat service with its own ear
    speech: SpeechClient
    voice: str
    voice_hears: bool  # whether earlier turns are of use to the speech server
    prompts: PromptCache
    store: TurnStore
    voice_model: SpeechModel
    metrics: CallMetrics
    turns: TurnSettings
    pause_judge: PauseJudge | None = None
    check_flow: Callable[[str, Collection[str]], Awaitable[None]] = _any_flow  # `BotError`: no flow, or undeclared
    records: CallRecords = field(default_factory=CallRecords)
    answerer: AnswererPolicy = field(default_factory=AnswererPolicy)  # of calls that we placed
    on_answerer: Callable[[str, Who], None] | None = None  # call id, who answered


class Call:
    """One call over one leg. `run()` returns when the leg has ended and everything is freed."""

    def __init__(self, leg: CallLeg, services: CallServices) -> None:
        self._leg = leg
        self._services = services
        self._log = _log.bind(call_id=leg.info.call_id, transport=leg.info.transport)
        self._ended: LegEnded | None = None
        self._gone = asyncio.Event()
        self._turn_audio: Callable[[], bytes] = bytes
        self._tone: Callable[[Tone], None] = lambda _: None
        self._latencies: list[TurnLatency] = []
        self._journal = Journal(
            leg.info.call_id,
            store=services.store,
            speech=services.speech,
            voice_hears=services.voice_hears,
            wall_clock=time.time,
            on_failure=lambda error: self._log.warning("journal", error=str(error)),
        )

    async def run(self) -> LegEnded:
        """Answer and converse until somebody hangs up."""
        started = time.monotonic()
        self._services.metrics.call_started(self._leg.info.transport)
        journal = asyncio.create_task(self._journal.run())
        try:
            chosen = await self._services.new_flow(self._leg.info.variables)
            self._log = self._log.bind(flow=chosen.id, flow_version=chosen.version)
            await self._leg.answer()
            self._tell(CallStarted(call_id=self._leg.info.call_id, flow=chosen.id))
            await self._converse(chosen)
        except LegEndedError:
            self._ended = self._ended or await self._last_word()
            self._log.info("call ended before the answer")
        except Exception as error:  # noqa: BLE001  # one call's fault must not end the worker's others
            self._log.exception("call failed")
            self._ended = LegEnded(EndCause.FAILED, type(error).__name__)
        finally:
            await self._leg.hang_up()
            await self._journal.close()
            await journal
        ended = self._ended or LegEnded(EndCause.BOT_HUNG_UP)
        stats = self._leg.stats()
        seconds = time.monotonic() - started
        self._services.metrics.call_ended(self._leg.info.transport, ended, seconds, stats)
        self._services.records.add(self._leg.info, ended, seconds, stats, self._latencies)
        self._log.info(
            "call ended",
            cause=ended.cause.value,
            q850=ended.q850,
            seconds=round(seconds, 1),
            codec=stats.codec,
            mos=None if stats.mos is None else round(stats.mos, 2),
            mos_there=None if stats.mos_there is None else round(stats.mos_there, 2),
        )
        return ended

    async def _converse(self, chosen: ChosenFlow) -> None:
        services, flow = self._services, chosen.flow
        ledger = PlayoutLedger()
        dialogue = Dialogue(
            flow=flow,
            turns=TurnMachine(_policy(services.turns), texts_add_up=services.other_recogniser is not None),
            services=chosen.services,
            ledger=ledger,
            played_ms=lambda: self._leg.played_ms,
            on_event=self._tell,
            transfer=self._transfer,
            judge=self._judge,
            texts_add_up=services.other_recogniser is not None,
            answerer=services.answerer if self._leg.info.placed else None,
        )
        self._tone = dialogue.tone
        worker = call_pipeline(
            call_input=self._input(dialogue),
            recogniser=self._recogniser(flow),
            dialogue=dialogue,
            speech=SpeechService(
                services.speech,
                voice=services.voice,
                conversation_id=self._leg.info.call_id,
                cache=services.prompts,
                on_sound=dialogue.sounded,
                on_cached=self._journal.said_from_cache,
                on_failure=lambda error: services.metrics.failure("speech", error),
            ),
            output=CallOutput(
                self._leg,
                ledger=ledger,
                on_first_audio=dialogue.played,
                on_reached=dialogue.reached,
                farewell=CallEnded(cause=EndCause.BOT_HUNG_UP.value).model_dump_json(),
            ),
        )

        async def started(*_: object) -> None:
            dialogue.begin()

        worker.add_event_handler("on_pipeline_started", started)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        running = asyncio.create_task(runner.run())
        gone = asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await worker.cancel()
            await running
        finally:
            gone.cancel()
            running.cancel()
            # Pipecat's tasks, cancelled once more as the loop closes, would wait for one another for good.
            await asyncio.wait((running,), timeout=_CUT_S)

    async def _last_word(self) -> LegEnded:
        """Read how a call ended that was never answered."""
        with contextlib.suppress(LegEndedError):
            while not isinstance(event := await self._leg.receive(), LegEnded):
                pass
            return event
        return LegEnded(EndCause.CANCELLED)

    async def _transfer(self, target: str) -> bool:
        """Hand the caller over; whether that worked. Where it did not, the conversation goes on."""
        try:
            await self._leg.transfer(target)
        except LegEndedError:
            return True  # nobody is left to be told anything
        except TelephonyError as error:
            self._log.warning("transfer failed", error=str(error), kind=type(error).__name__)
            self._services.metrics.failure("transfer", error)
            return False
        return True

    def _input(self, dialogue: Dialogue) -> CallInput:
        turns = self._services.turns
        return CallInput(
            self._leg,
            detector=SpeechDetector(self._services.voice_model),
            activity=VoiceActivity(
                threshold=turns.voice_threshold,
                release=turns.voice_release,
                start_ms=turns.start_ms,
                stop_ms=turns.pause_ms,
            ),
            trail=SoundTrail(fade_ms=turns.fade_ms) if turns.fade_ms else None,
            on_voice=dialogue.voice,
            on_sound=dialogue.sound,
            on_event=self._leg_event,
            always_stream=self._services.other_recogniser is not None,
        )

    def _recogniser(self, flow: CallFlow) -> FrameProcessor:
        if self._services.other_recogniser is not None:
            return self._services.other_recogniser()
        recogniser = TurnRecogniser(
            self._services.recogniser,
            hints=lambda: flow.hints,
            on_failure=lambda error: self._services.metrics.failure("recogniser", error),
        )
        self._turn_audio = lambda: recogniser.turn_audio
        return recogniser

    @property
    def _judge(self) -> Callable[[], Awaitable[bool]] | None:
        judge = self._services.pause_judge
        if judge is None or self._services.other_recogniser is not None:  # that one keeps the audio to itself
            return None
        return lambda: asyncio.to_thread(judge.finished, self._turn_audio())

    def _leg_event(self, event: LegEvent) -> None:
        if isinstance(event, LegEnded):
            self._ended = event
            self._gone.set()
        elif isinstance(event, ToneHeard):
            self._tone(event.tone)

    def _tell(self, event: CallEvent) -> None:
        self._leg.tell(event.model_dump_json())
        self._services.metrics.event(event)
        # the voice may hear what the caller said, but not where that is a personal value: it would be kept
        hears = isinstance(event, CallerTurn) and event.text != MASK
        audio = CallerAudio(self._turn_audio()) if hears else None
        if isinstance(event, TurnLatency):
            self._latencies.append(event)
        elif isinstance(event, AnsweredBy) and self._services.on_answerer is not None:
            self._services.on_answerer(self._leg.info.call_id, event.by)
        self._journal.note(event, caller_audio=audio)


def _policy(settings: TurnSettings) -> TurnPolicy:
    return TurnPolicy(
        whole_pause_ms=settings.whole_pause_ms,
        min_pause_ms=settings.min_pause_ms,
        end_of_turn_ms=settings.end_of_turn_ms,
        unfinished_turn_ms=settings.unfinished_turn_ms,
        recognition_timeout_ms=settings.recognition_timeout_ms,
    )
