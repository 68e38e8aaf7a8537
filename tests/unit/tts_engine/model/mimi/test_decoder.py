"""Whatever the cut, the samples are those that `transformers` decodes in one shot."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.fakes.device_only import DeviceOnly
from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState
from tts_engine.model.mimi.weights import load_decoder

FRAMES = 160  # 320 positions of the transformer, past its window of 250
SLOTS = 3


@pytest.fixture(scope="module")
def decoder(tiny: TinyCsm) -> MimiDecoder:
    decoder = MimiDecoder(tiny.config.mimi)
    load_decoder(decoder, Checkpoint(tiny.folder))
    return decoder


@pytest.fixture(scope="module")
def codes() -> Tensor:
    return torch.randint(0, 32, (SLOTS, FRAMES, 8), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def expected(tiny: TinyCsm, codes: Tensor) -> Tensor:
    with torch.no_grad():
        return tiny.reference.codec_model.decode(codes.transpose(1, 2)).audio_values[:, 0]


def state_of(decoder: MimiDecoder, slots: int = SLOTS) -> MimiState:
    return MimiState(decoder, slots=slots, like=decoder.first.weight)


def flags(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.bool)


def stream(decoder: MimiDecoder, codes: Tensor, pieces: list[int], state: MimiState) -> Tensor:
    every, out, at = torch.ones(codes.shape[0], dtype=torch.bool), [], 0
    slots = torch.arange(codes.shape[0])
    for piece in pieces:
        out.append(decoder(codes[:, at : at + piece], state, slots=slots, active=every, fresh=every & (at == 0)))
        at += piece
    return torch.cat(out, dim=-1)


@settings(max_examples=12)
@given(data=st.data())
def test_any_cut_gives_the_samples_of_the_whole_past_the_window_too(
    decoder: MimiDecoder, codes: Tensor, expected: Tensor, data: st.DataObject
):
    pieces: list[int] = []
    while sum(pieces) < FRAMES:
        pieces.append(data.draw(st.integers(1, min(120, FRAMES - sum(pieces)))))
    assert torch.allclose(stream(decoder, codes, pieces, state_of(decoder)), expected, atol=1e-4)


def test_a_frame_at_a_time_gives_the_samples_of_the_whole(decoder: MimiDecoder, codes: Tensor, expected: Tensor):
    samples = stream(decoder, codes, [1] * FRAMES, state_of(decoder))
    assert samples.shape == (SLOTS, FRAMES * 1920)
    assert (samples - expected).abs().max() < 1e-4


def test_slots_that_begin_pause_and_begin_anew_do_not_touch_each_other(
    decoder: MimiDecoder, codes: Tensor, expected: Tensor
):
    """Slot 0 pauses at every third call, slot 1 starts over at call 20, slot 2 only comes at call 7."""
    state, at, heard = state_of(decoder), [0, 0, 0], [[], [], []]
    for call in range(60):
        active = flags(call % 3 != 2, 1, call >= 7)
        fresh = flags(call == 0, call in (0, 20), call == 7)
        at[1] = 0 if call == 20 else at[1]
        given_codes = torch.stack([codes[slot, at[slot]] for slot in range(SLOTS)])[:, None]
        samples = decoder(given_codes, state, slots=torch.arange(SLOTS), active=active, fresh=fresh)
        for slot in range(SLOTS):
            if active[slot]:
                heard[slot].append((at[slot], samples[slot]))
                at[slot] += 1
    for slot in range(SLOTS):
        for frame, samples in heard[slot]:
            assert torch.allclose(samples, expected[slot, frame * 1920 : (frame + 1) * 1920], atol=1e-4), (
                slot,
                frame,
            )


def test_a_call_works_on_the_slots_that_it_names_in_any_order_and_leaves_the_others(
    decoder: MimiDecoder, codes: Tensor, expected: Tensor
):
    state = state_of(decoder)
    stream(decoder, codes[:, :10], [10], state)
    stream(decoder, codes[:1, :30], [30], state)
    slots = torch.tensor([2, 1])
    after = decoder(codes[slots, 10:12], state, slots=slots, active=flags(1, 1), fresh=flags(0, 0))
    assert torch.allclose(after, expected[slots, 10 * 1920 : 12 * 1920], atol=1e-4)


def test_codes_that_are_not_sound_are_decoded_as_the_last_that_is(decoder: MimiDecoder):
    beyond, last = torch.full((1, 1, 8), 34), torch.full((1, 1, 8), 31)
    assert torch.equal(
        stream(decoder, beyond, [1], state_of(decoder, 1)), stream(decoder, last, [1], state_of(decoder, 1))
    )


def test_the_step_reads_nothing_back_from_the_device(tiny: TinyCsm):
    decoder = MimiDecoder(tiny.config.mimi).to("meta")
    some = torch.ones(2, dtype=torch.bool, device="meta")
    slots = torch.zeros(2, dtype=torch.int64, device="meta")
    codes = torch.zeros(2, 1, 8, dtype=torch.int64, device="meta")
    state = state_of(decoder, 4)
    with DeviceOnly():
        assert decoder(codes, state, slots=slots, active=some, fresh=some).shape == (2, 1920)
