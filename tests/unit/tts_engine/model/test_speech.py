from __future__ import annotations

import pytest
import torch

from tests.fakes.device_only import DeviceOnly
from tests.fakes.plain_generation import GREEDY
from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.csm import CsmModel
from tts_engine.model.frame import FrameState
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState
from tts_engine.model.mimi.weights import load_decoder
from tts_engine.model.speech import SpeechState, frame_cap, speak


def state_of(model: CsmModel, decoder: MimiDecoder) -> SpeechState:
    frames = FrameState(model.config, slots=3, like=model.frames.audio_table)
    mimi = MimiState(decoder, slots=3, like=decoder.first.weight, max_frames=1)
    return SpeechState(frames, mimi, silence_frames=4)


def loaded(tiny: TinyCsm) -> MimiDecoder:
    decoder = MimiDecoder(tiny.config.mimi)
    load_decoder(decoder, Checkpoint(tiny.folder))
    return decoder


def test_a_row_that_ended_stays_ended_and_has_finished_once(tiny: TinyCsm):
    decoder = loaded(tiny)
    state = state_of(tiny.model, decoder)
    for slot in (0, 1):
        state.admit(slot, GREEDY)
    state.silent[1] = 4
    seen = [speak(tiny.model.frames, decoder, torch.randn(2, 64), torch.tensor([0, 1]), state) for _ in range(2)]
    assert [spoken.ended.tolist() for spoken in seen] == [[False, True]] * 2
    assert [spoken.finished.tolist() for spoken in seen] == [[False, True], [False, False]]


def test_silence_is_counted_in_a_row_and_sound_forgets_it(tiny: TinyCsm):
    decoder = loaded(tiny)
    loud = decoder.last.weight.clone(), decoder.last.bias.clone()
    state = state_of(tiny.model, decoder)
    state.admit(0, GREEDY)
    counts: list[int] = []
    for volume in (0, 0, 1, 0, 0, 0, 0, 0):
        decoder.last.weight.copy_(loud[0] * volume)
        decoder.last.bias.copy_(loud[1] * volume)
        ended = speak(tiny.model.frames, decoder, torch.randn(1, 64), torch.tensor([0]), state).ended
        counts.append(-1 if ended.item() else int(state.silent[0]))
    assert counts == [1, 2, 0, 1, 2, 3, 4, -1]


def test_the_step_brings_nothing_along_from_the_host(tiny: TinyCsm):
    model, decoder = CsmModel(tiny.config).to("meta"), MimiDecoder(tiny.config.mimi).to("meta")
    state = state_of(model, decoder)
    hidden, slots = torch.empty(2, 64, device="meta"), torch.zeros(2, dtype=torch.int64, device="meta")
    with DeviceOnly():
        spoken = speak(model.frames, decoder, hidden, slots, state)
    assert (spoken.codes.shape, spoken.pcm.shape, spoken.pcm.dtype) == ((2, 8), (2, 1920), torch.int16)


def test_a_stream_is_admitted_without_a_wait_for_the_device(tiny: TinyCsm):
    state = state_of(CsmModel(tiny.config).to("meta"), MimiDecoder(tiny.config.mimi).to("meta"))
    with DeviceOnly():
        state.admit(1, GREEDY)
    with DeviceOnly(), pytest.raises(AssertionError, match="a number"):
        state.over[1] = False  # as it would be written without thinking


def test_the_cap_leaves_three_times_the_usual_pace():
    assert frame_cap("", frame_rate_hz=12.5) == 25
    assert frame_cap("a" * 150, frame_rate_hz=12.5) == 12.5 * 32
