"""`TurnRecogniser`: a pause asks for the whole turn; a fall of the sound asks ahead, if the recogniser is idle."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    STTMuteFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from bot.errors import RecognitionError
from bot.frames import SoundFadedFrame, SoundReturnedFrame
from bot.services.stt import TurnRecogniser


def said(ms: int) -> InputAudioRawFrame:
    return InputAudioRawFrame(audio=bytes(32 * ms), sample_rate=16_000, num_channels=1)


@dataclass
class Recogniser:
    """Answers when told to."""

    idle: bool = True
    asked_ms: list[int] = field(default_factory=list)
    answers: deque[asyncio.Future[str]] = field(default_factory=deque)
    cancelled: int = 0

    async def transcribe(self, pcm: bytes, *, hints: tuple[str, ...]) -> str:
        self.asked_ms.append(len(pcm) // 32)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        try:
            return await answer
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Sink(FrameProcessor):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.texts.append(frame.text)
        await self.push_frame(frame, direction)


@dataclass
class Bench:
    worker: PipelineWorker
    recogniser: Recogniser
    sink: Sink
    failures: list[RecognitionError]

    async def take(self, *frames: Frame) -> None:
        await self.worker.queue_frames(list(frames))
        await self.settle()

    async def answer(self, text: str) -> None:
        self.recogniser.answers.popleft().set_result(text)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(100):
            await asyncio.sleep(0)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    recogniser, sink, failures = Recogniser(), Sink(), []
    service = TurnRecogniser(recogniser, hints=lambda: (), on_failure=failures.append)
    worker = PipelineWorker(
        Pipeline([service, sink]),
        params=PipelineParams(audio_in_sample_rate=16_000),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
    )
    started = asyncio.Event()

    async def begun(*_: object) -> None:
        started.set()

    worker.add_event_handler("on_pipeline_started", begun)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await started.wait()
    try:
        yield Bench(worker, recogniser, sink, failures)
    finally:
        await worker.cancel()
        await running


async def test_a_pause_asks_for_the_whole_turn() -> None:
    async with bench() as b:
        await b.take(VADUserStartedSpeakingFrame(), said(300), VADUserStoppedSpeakingFrame())
        await b.answer("bəli")

        assert b.recogniser.asked_ms == [300]
        assert b.sink.texts == ["bəli"]


async def test_a_text_asked_for_ahead_is_told_at_once_and_not_asked_for_again_at_the_pause() -> None:
    async with bench() as b:
        await b.take(VADUserStartedSpeakingFrame(), said(300), SoundFadedFrame())
        await b.answer("bəli")
        assert b.sink.texts == ["bəli"]

        await b.take(said(100), VADUserStoppedSpeakingFrame())

        assert b.sink.texts == ["bəli"]
        assert b.recogniser.asked_ms == [300]


async def test_a_text_that_comes_after_the_pause_is_passed_on_at_once() -> None:
    async with bench() as b:
        await b.take(VADUserStartedSpeakingFrame(), said(300), SoundFadedFrame(), VADUserStoppedSpeakingFrame())
        assert b.sink.texts == []

        await b.answer("bəli")

        assert b.sink.texts == ["bəli"]


@pytest.mark.parametrize("answered", [True, False])
async def test_a_caller_who_goes_on_is_heard_anew(answered: bool) -> None:
    async with bench() as b:
        await b.take(VADUserStartedSpeakingFrame(), said(300), SoundFadedFrame())
        if answered:
            await b.answer("bir")
        await b.take(SoundReturnedFrame())
        assert b.recogniser.cancelled == (not answered)

        await b.take(said(200), VADUserStoppedSpeakingFrame())
        b.recogniser.answers[-1].set_result("bir iki")
        await b.settle()

        assert b.recogniser.asked_ms == [300, 500]
        assert b.sink.texts == ["bir"] * answered + ["bir iki"]


async def test_nobody_is_asked_ahead_while_others_need_the_recogniser() -> None:
    async with bench() as b:
        b.recogniser.idle = False
        await b.take(VADUserStartedSpeakingFrame(), said(300), SoundFadedFrame())
        assert b.recogniser.asked_ms == []

        await b.take(VADUserStoppedSpeakingFrame())
        await b.answer("bəli")

        assert b.sink.texts == ["bəli"]


async def test_a_request_ahead_that_failed_is_made_again_at_the_pause() -> None:
    async with bench() as b:
        await b.take(VADUserStartedSpeakingFrame(), said(300), SoundFadedFrame())
        b.recogniser.answers.popleft().set_exception(RecognitionError("busy"))
        await b.settle()
        await b.take(VADUserStoppedSpeakingFrame())
        await b.answer("bəli")

        assert b.sink.texts == ["bəli"]
        assert len(b.failures) == 1


async def test_a_pause_that_cannot_be_recognised_has_an_empty_text() -> None:
    async with bench() as b:
        await b.take(VADUserStartedSpeakingFrame(), said(300), VADUserStoppedSpeakingFrame())
        b.recogniser.answers.popleft().set_exception(RecognitionError("busy"))
        await b.settle()

        assert b.sink.texts == [""]


async def test_the_end_of_a_turn_forgets_it() -> None:
    async with bench() as b:
        await b.take(VADUserStartedSpeakingFrame(), said(300), SoundFadedFrame())
        await b.take(UserStoppedSpeakingFrame())
        await b.take(VADUserStartedSpeakingFrame(), said(200), VADUserStoppedSpeakingFrame())

        assert b.recogniser.asked_ms == [300, 200]
        assert b.recogniser.cancelled == 1


async def test_what_is_said_into_speech_that_may_not_be_interrupted_is_not_recognised() -> None:
    async with bench() as b:
        await b.take(STTMuteFrame(mute=True), VADUserStartedSpeakingFrame(), said(300), SoundFadedFrame())
        await b.take(VADUserStoppedSpeakingFrame())

        assert b.recogniser.asked_ms == []
