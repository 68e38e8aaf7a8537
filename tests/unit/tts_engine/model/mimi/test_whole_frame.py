from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.fakes.tiny_codec import make_codec
from tests.fakes.tiny_depth import need_interpreter

need_interpreter()

from tts_engine.model.mimi import ring as ring_module  # noqa: E402 - behind the skip
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState  # noqa: E402 - behind the skip
from tts_engine.model.mimi.paths import fused  # noqa: E402 - behind the skip
from tts_engine.model.mimi.seanet import UnsupportedCodecError, Ways  # noqa: E402 - behind the skip
from tts_engine.model.mimi.whole_frame import WholeFrame  # noqa: E402 - behind the skip

pytestmark = pytest.mark.filterwarnings("ignore")  # Triton's interpreter on NumPy

SLOTS, ROWS, FRAMES = 5, 3, 6  # 12 positions, past the window of 8
ALL, NONE = Ways((True, True), (True, True)), Ways((False, False), (False, False))


def state_of(decoder: MimiDecoder) -> MimiState:
    return MimiState(decoder, slots=SLOTS, like=decoder.first.weight, max_frames=1)


def decibels(said: Tensor, expected: Tensor) -> float:
    return 10 * float(torch.log10(expected.square().mean() / (said - expected).square().mean()))


def calls(seed: int = 0) -> list[dict[str, Tensor]]:
    """Frames for slots in any order; some rows pause and some begin anew."""
    generator = torch.Generator().manual_seed(seed)
    return [
        {
            "codes": torch.randint(0, 35, (ROWS, 1, 4), generator=generator),  # 32 and over are no sound
            "slots": torch.randperm(SLOTS, generator=generator)[:ROWS],
            "active": torch.rand(ROWS, generator=generator) < 0.8,
            "fresh": torch.rand(ROWS, generator=generator) < (1.0 if n == 0 else 0.2),
        }
        for n in range(FRAMES)
    ]


def said(decode: list[MimiDecoder | WholeFrame], asked: list[dict[str, Tensor]]) -> tuple[Tensor, MimiState]:
    """What the active rows say, frame by frame by each of `decode` in turn, and the state left."""
    whole = decode[0]
    state = state_of(whole.decoder if isinstance(whole, WholeFrame) else whole)
    out = [decode[n % len(decode)](state=state, **call)[call["active"]] for n, call in enumerate(asked)]
    return torch.cat(out), state


@pytest.mark.parametrize("ways", [ALL, NONE, Ways((True, False), (False, True)), None])
def test_a_frame_by_kernels_is_that_of_the_plain_decoder_and_leaves_the_same_state(ways: Ways | None):
    decoder = make_codec()
    expected, state = said([decoder], calls())
    mine, left = said([WholeFrame(decoder, ways)], calls())
    assert torch.allclose(mine, expected, atol=2e-5)
    assert torch.allclose(left.past[:SLOTS], state.past[:SLOTS], atol=2e-5)
    assert torch.allclose(left.ring.held[:, :, :SLOTS], state.ring.held[:, :, :SLOTS], atol=2e-5)
    assert torch.equal(left.position[:SLOTS], state.position[:SLOTS])


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), turns=st.lists(st.booleans(), min_size=2, max_size=4), all_kernels=st.booleans())
def test_a_stream_may_be_decoded_by_both_in_turns(seed: int, turns: list[bool], all_kernels: bool):
    decoder = make_codec()
    whole = WholeFrame(decoder, ALL if all_kernels else NONE)
    expected, _ = said([decoder], calls(seed))
    mine, _ = said([whole if turn else decoder for turn in turns], calls(seed))
    assert torch.allclose(mine, expected, atol=2e-5)


@pytest.mark.parametrize("ways", [ALL, NONE])
def test_float16_is_50_db_from_float32(ways: Ways):
    decoder = make_codec()
    expected, _ = said([decoder], calls())
    mine, _ = said([WholeFrame(deepcopy(decoder).half(), ways)], calls())
    assert decibels(mine, expected) > 50


@pytest.mark.parametrize("sizes", [{"filters": 24}, {"filters": 2}, {"filters": 32, "ratios": (1, 5, 1)}])
def test_sizes_that_are_no_powers_of_two_go_through_products(sizes: dict[str, int | tuple[int, ...]]):
    decoder = make_codec(**sizes)  # pyright: ignore[reportArgumentType]
    stages = len(decoder.ups)
    expected, _ = said([decoder], calls())
    mine, _ = said([WholeFrame(decoder, Ways((True,) * stages, (True,) * stages))], calls())
    assert torch.allclose(mine, expected, atol=2e-5)


def test_the_attention_kernel_fits_in(monkeypatch: pytest.MonkeyPatch):
    decoder = make_codec()
    expected, _ = said([decoder], calls())
    monkeypatch.setattr(ring_module, "in_one_kernel", lambda *_, **__: True)
    assert torch.allclose(said([WholeFrame(decoder, ALL)], calls())[0], expected, atol=2e-5)


@pytest.mark.parametrize(
    ("sizes", "why"),
    [
        ({"blocks": 2}, "2 residual blocks"),
        ({"residual_kernel_size": 9}, "6 steps are fewer"),
        ({"last_kernel_size": 15}, "12 samples a frame"),
    ],
)
def test_a_codec_of_another_form_is_refused(sizes: dict[str, int], why: str):
    with pytest.raises(UnsupportedCodecError, match=why):
        WholeFrame(make_codec(**sizes))


def test_the_engine_takes_the_kernels_if_they_say_the_same_and_else_says_why_not(monkeypatch: pytest.MonkeyPatch):
    decoder = make_codec()
    decode, how = fused(decoder)
    assert isinstance(decode, WholeFrame)
    assert how == "fused kernels"
    monkeypatch.setattr(WholeFrame, "__call__", lambda _, codes, state, **flags: -decoder(codes, state, **flags))
    assert fused(decoder) == (decoder, "plain PyTorch: the fused kernels say something else")
    two = make_codec(blocks=2)
    assert fused(two) == (two, "plain PyTorch: 2 residual blocks a stage; there are kernels for one")
