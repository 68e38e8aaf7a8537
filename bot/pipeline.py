"""One call's line of processors, in order."""

from __future__ import annotations

from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor

from bot.dialogue import Dialogue
from bot.transport import CallInput, CallOutput
from telephony.leg import INPUT_RATE_HZ, OUTPUT_RATE_HZ


def call_pipeline(
    *,
    call_input: CallInput,
    recogniser: FrameProcessor,
    dialogue: Dialogue,
    speech: FrameProcessor,
    output: CallOutput,
) -> PipelineWorker:
    """Leg → recogniser → dialogue → speech → leg. No RTVI: its messages would travel to the telephone."""
    return PipelineWorker(
        Pipeline([call_input, recogniser, dialogue, speech, output]),
        params=PipelineParams(
            audio_in_sample_rate=INPUT_RATE_HZ,
            audio_out_sample_rate=OUTPUT_RATE_HZ,
            enable_metrics=False,
        ),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,  # the flow's ladders end a silent call
        check_dangling_tasks=True,
    )
