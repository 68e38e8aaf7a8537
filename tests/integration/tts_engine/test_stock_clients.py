"""Clients that know nothing of us: OpenAI's own, and Pipecat's service for it."""

from __future__ import annotations

import io
import wave

import openai
import pytest
from pipecat.frames.frames import EndFrame, ErrorFrame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner

from tests.fakes.speech import FakeBackend, tone
from tests.fakes.speech_server import speech_server
from tts_engine.engine.engine import EngineLimits


def said(text: str) -> bytes:
    return b"".join(tone(text, n) for n in range(len(text)))


async def test_the_openai_client_speaks_unchanged() -> None:
    async with (
        speech_server(FakeBackend()) as server,
        openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client,
    ):
        answer = await client.audio.speech.create(
            model="gpt-4o-mini-tts", voice="coral", input="Salam", instructions="Mehriban", response_format="wav"
        )
        with wave.open(io.BytesIO(answer.content)) as file:
            assert file.readframes(100_000) == said("Salam")

        async with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input="Salam", response_format="pcm"
        ) as streamed:
            assert b"".join([piece async for piece in streamed.iter_bytes()]) == said("Salam")

        default = await client.audio.speech.create(model="tts-1", voice="alloy", input="Salam")
        assert default.response.headers["content-type"] == "audio/mpeg"
        assert [model.id async for model in client.models.list()] == ["fake-tones"]


async def test_the_openai_client_passes_a_conversation_in_its_extra_body() -> None:
    backend = FakeBackend()
    async with (
        speech_server(backend) as server,
        openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client,
    ):
        for _ in range(2):
            await client.audio.speech.create(
                model="tts-1",
                voice="alloy",
                input="Salam",
                response_format="pcm",
                extra_body={"conversation": {"id": "call-7f3"}, "seed": 7},
            )

    assert [turn.text for turn in backend.asked[1].context] == ["Salam"]
    assert backend.asked[1].seed == 7


async def test_the_openai_client_tells_whose_fault_it_was() -> None:
    async with (
        speech_server(FakeBackend(), limits=EngineLimits(max_streams=0)) as server,
        openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        with pytest.raises(openai.UnprocessableEntityError) as wrong:
            await client.audio.speech.create(model="tts-1", voice="zeynal", input="Salam")
        assert (wrong.value.param, wrong.value.code) == ("voice", "invalid_request")

        with pytest.raises(openai.InternalServerError) as full:
            await client.audio.speech.create(model="tts-1", voice="alloy", input="Salam")
        assert (full.value.status_code, full.value.code) == (503, "at_capacity")


class Sink(FrameProcessor):
    """Keeps the audio that reaches the end of the line."""

    def __init__(self) -> None:
        super().__init__()
        self.audio = bytearray()
        self.errors: list[str] = []

    async def process_frame(self, frame, direction) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.audio += frame.audio
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        await self.push_frame(frame, direction)


async def test_pipecat_s_openai_service_speaks_unchanged() -> None:
    async with speech_server(FakeBackend()) as server:
        voice = OpenAITTSService(
            api_key="none",
            base_url=f"{server.url}/v1",
            settings=OpenAITTSService.Settings(model="gpt-4o-mini-tts", voice="nova", speed=1.0),
        )
        sink = Sink()
        worker = PipelineWorker(Pipeline([voice, sink]), params=PipelineParams(audio_out_sample_rate=24_000))
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await worker.queue_frames([TTSSpeakFrame("Salam."), EndFrame()])

        await runner.run()
        await voice._client.close()

    assert sink.errors == []
    assert bytes(sink.audio).startswith(said("Salam."))
