from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from tests.fakes.tiny_csm import TinyCsm
from tts_engine.backend.vllm_plugin.ids import FRAME_BASE, STOP_ID, TEXT_BASE, FrameIds, prompt_ids
from tts_engine.model.prompt import Codes, ContextTurn


def frame_ids(codes: torch.Tensor, codebooks: int = 32) -> torch.Tensor:
    return FrameIds(codebooks)(codes, torch.zeros(codes.shape[:-1], dtype=torch.bool))


def test_ids_of_frames_fit_32_bits_and_are_not_those_of_text():
    ids = frame_ids(torch.randint(0, 2051, (10_000, 32)))
    assert ids.min() >= FRAME_BASE > 128256 + TEXT_BASE
    assert ids.max() < 2**31


def test_frames_that_differ_in_one_code_have_other_ids():
    frame = torch.randint(0, 2051, (32,))
    others = frame.repeat(32 * 2050, 1)
    rows = torch.arange(len(others))
    others[rows, rows % 32] = (frame[rows % 32] + 1 + rows // 32) % 2051
    ids = frame_ids(others)
    # as many as chance has it: 65,600 in 2**29
    assert len(ids.unique()) > len(ids) - 20
    assert int((ids == frame_ids(frame)).sum()) <= 1


def test_ids_never_change_since_caches_live_long():
    codes = torch.arange(32) * 64
    assert frame_ids(codes).item() == 475789604


def test_a_prompt_has_ids_of_text_frames_and_the_end(tiny: TinyCsm):
    codes = np.random.default_rng(0).integers(1, 32, (3, 8), np.int16)
    prompt = tiny.builder.build("Salam", speaker=0, context=[ContextTurn(1, "a", codes)], reserve_frames=9)
    ids = prompt_ids(prompt, FrameIds(8))
    first = len("[1]a") + 2
    assert ids[:first] == [TEXT_BASE + token for token in prompt.tokens[:first]]
    assert ids[first : first + 3] == frame_ids(torch.from_numpy(codes).long(), 8).tolist()
    assert ids[first + 3] == STOP_ID
    assert len(ids) == len(prompt)


def test_a_frame_that_ended_is_the_stop_token_whatever_its_last_code():
    codes = torch.zeros(2, 8, dtype=torch.int64)
    codes[1, 7] = 5
    assert FrameIds(8)(codes, torch.tensor([True, True])).tolist() == [STOP_ID, STOP_ID]


def test_a_frame_has_the_same_id_where_it_is_said_and_where_it_is_quoted():
    codes = np.random.default_rng(1).integers(0, 2051, (500, 32), np.int16)
    codes[::7] = 0
    codes[::14, -1] = 3
    ended = torch.from_numpy(~codes[:, :-1].any(-1))
    assert FrameIds(32).quoted(codes).tolist() == FrameIds(32)(torch.from_numpy(codes).long(), ended).tolist()


def test_a_turn_that_is_quoted_again_is_hashed_once_and_its_ids_go_with_it(tiny: TinyCsm):
    class Counted(FrameIds):
        hashed = 0

        def quoted(self, codes: Codes) -> npt.NDArray[np.int64]:
            self.hashed += len(codes)
            return super().quoted(codes)

    ids, quoted = Counted(8), ContextTurn(1, "a", np.ones((3, 8), np.int16))
    first, again = (
        tiny.builder.build("Salam", speaker=0, context=[quoted] * times, reserve_frames=9) for times in (1, 2)
    )
    assert prompt_ids(again, ids)[-len(first) :] == prompt_ids(first, ids)
    assert ids.hashed == 3 + 1
    del first, again, quoted
    assert not ids._known  # of a caller's sound nothing is kept longer than the turn
