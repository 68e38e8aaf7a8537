"""The model says what `transformers` says, code for code, alone and in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor

from tests.fakes.plain_generation import GREEDY, generate
from tests.fakes.tiny_csm import TinyCsm, make_tiny
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.mimi.encoder import MimiEncoder
from tts_engine.model.mimi.weights import load_encoder
from tts_engine.model.prompt import ContextTurn
from tts_engine.model.sampling import Sampling

FRAMES = 6
Turns = Sequence[tuple[int, str, float]]


def reference(tiny: TinyCsm, turns: Sequence[tuple[int, str, Tensor]], text: str, *, frames: int = FRAMES) -> Tensor:
    """Greedy codes of `transformers`, from sound, its own template and its own codec."""
    tokenizer = Tokenizer.from_file(str(tiny.folder / "tokenizer.json"))
    written = ""
    for speaker, said, samples in turns:
        audio = "<|AUDIO|>" * (len(samples) // 1920)
        written += f"<|begin_of_text|>[{speaker}]{said}<|end_of_text|>{audio}<|audio_eos|>"
    ids = torch.tensor([tokenizer.encode(written + f"<|begin_of_text|>[0]{text}<|end_of_text|>").ids])
    audio: dict[str, Tensor] = {}
    if turns:
        audio["input_values"] = torch.cat([samples for _, _, samples in turns])[None, None]
        audio["input_values_cutoffs"] = torch.from_numpy(np.cumsum([len(samples) for _, _, samples in turns])[None])
    # without the mask it takes audio positions for padding
    return tiny.reference.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), **audio, max_new_tokens=frames, do_sample=False,
        depth_decoder_do_sample=False,
    )[0]  # fmt: skip


def sound(frames: int, seed: int) -> Tensor:
    return torch.randn(frames * 1920, generator=torch.Generator().manual_seed(seed)) * 0.1


def context(tiny: TinyCsm, turns: Sequence[tuple[int, str, Tensor]]) -> list[ContextTurn]:
    encoder = MimiEncoder(tiny.config.mimi)
    load_encoder(encoder, Checkpoint(tiny.folder))
    return [
        ContextTurn(speaker, said, encoder(samples[None])[0].to(torch.int16).numpy())
        for speaker, said, samples in turns
    ]


def test_codes_of_a_text_are_those_of_transformers(tiny: TinyCsm):
    prompt = tiny.builder.build("Salam, necəsən?", speaker=0, reserve_frames=100)
    assert torch.equal(generate(tiny.model, [prompt], [GREEDY], FRAMES)[0], reference(tiny, [], "Salam, necəsən?"))


def test_codes_after_turns_with_sound_are_those_of_transformers(tiny: TinyCsm):
    turns = [(1, "Salam.", sound(9, 1)), (0, "Buyurun, eşidirəm.", sound(23, 2))]
    prompt = tiny.builder.build("Bəli.", speaker=0, context=context(tiny, turns), reserve_frames=100)
    assert torch.equal(generate(tiny.model, [prompt], [GREEDY], FRAMES)[0], reference(tiny, turns, "Bəli."))


def test_a_batch_of_16_gives_each_request_its_own_codes(tiny: TinyCsm):
    turns = [(1, "Sual.", sound(5, 3))]
    spoken = context(tiny, turns)
    texts = [f"Cümlə nömrə {'x' * (3 * n)}." for n in range(16)]
    prompts = [
        tiny.builder.build(text, speaker=0, context=spoken if n % 3 == 0 else (), reserve_frames=100)
        for n, text in enumerate(texts)
    ]
    codes = generate(tiny.model, prompts, [GREEDY] * 16, FRAMES)
    for n in (0, 1, 7, 15):
        assert torch.equal(codes[n], reference(tiny, turns if n % 3 == 0 else [], texts[n]))
    alone = [generate(tiny.model, [prompt], [GREEDY], FRAMES)[0] for prompt in prompts]
    assert torch.equal(codes, torch.stack(alone))


def test_codes_of_a_model_with_32_codebooks_are_those_of_transformers(tmp_path: Path):
    tiny = make_tiny(tmp_path, num_codebooks=32)
    prompt = tiny.builder.build("Salam!", speaker=0, reserve_frames=100)
    assert torch.equal(generate(tiny.model, [prompt], [GREEDY], 2)[0], reference(tiny, [], "Salam!", frames=2))


@pytest.mark.parametrize("batch", [2, 5, 16])
def test_a_seed_gives_the_same_codes_whatever_else_is_in_the_batch(tiny: TinyCsm, batch: int):
    wanted = tiny.builder.build("Eyni səs.", speaker=0, reserve_frames=100)
    alone = generate(tiny.model, [wanted], [Sampling(seed=7)], FRAMES)[0]
    others = [tiny.builder.build("Başqa " * (n + 1), speaker=1, reserve_frames=100) for n in range(batch - 1)]
    for row in {0, batch // 2, batch - 1}:
        prompts = [*others[:row], wanted, *others[row:]]
        samplings = [replace(GREEDY, temperature=n % 2, seed=n) for n in range(batch)]
        samplings[row] = Sampling(seed=7)
        assert torch.equal(generate(tiny.model, prompts, samplings, FRAMES)[row], alone)


def test_another_seed_gives_other_codes(tiny: TinyCsm):
    prompt = tiny.builder.build("Eyni səs.", speaker=0, reserve_frames=100)
    codes = generate(tiny.model, [prompt] * 8, [Sampling(seed=n) for n in range(8)], FRAMES)
    assert len({tuple(row.flatten().tolist()) for row in codes}) == 8
