"""Speaking for evaluation is the server's own way of speaking."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from finetune.config import Full, LossSettings, ScheduleSettings
from finetune.training.adaptation import adapt, optimiser
from finetune.training.batch import collate
from finetune.training.loss import count, loss_parts, total
from finetune.training.model import load_csm_for_training
from finetune.training.schedule import rate
from finetune.training.servable import write_servable
from finetune.voice import Voice
from tests.unit.finetune.tiny import TEXTS, Base, turn
from tts_engine.model.sampling import Sampling

GREEDY = Sampling(temperature=0.0, depth_temperature=0.0)


@pytest.fixture(scope="module")
def voice(base: Base) -> Voice:
    return Voice(base.folder, adapter=None, device=torch.device("cpu"), dtype=torch.float32)


def test_a_sentence_is_said_alike_alone_and_among_others(voice: Voice):
    prompts = [voice.builder.build(text, speaker=0, reserve_frames=20) for text in TEXTS]
    seeds = [Sampling(seed=number) for number in range(len(prompts))]
    together = voice.speak(prompts, seeds, frames_max=12)
    for prompt, seed, one in zip(prompts, seeds, together, strict=True):
        assert np.array_equal(voice.speak([prompt], [seed], frames_max=12)[0].codes, one.codes)
        assert len(one.codes) <= 12


def test_sound_is_that_of_the_codec_whatever_the_length(voice: Voice):
    codes = np.random.default_rng(0).integers(1, 64, (120, 8)).astype(np.int16)
    whole = voice.sound([codes, codes[:7]])
    assert [len(samples) for samples in whole] == [120 * 1920, 7 * 1920]
    assert np.allclose(whole[0][: 7 * 1920], whole[1], atol=1e-5)


@pytest.mark.timeout(180)
def test_two_clips_learnt_by_heart_are_said_code_for_code_and_end_in_time(base: Base, tmp_path):
    turns = [turn(6, text=TEXTS[0], seed=1), turn(10, text=TEXTS[2], seed=2)]
    samples = [base.sample(one) for one in turns]
    batch, settings = collate(samples, [s.target for s in samples]), LossSettings(depth_share=1.0)
    torch.manual_seed(0)
    method = Full(type="full", learning_rate=5e-3)
    adaptation = adapt(load_csm_for_training(base.folder, dtype=torch.float32), method, ())
    optimisation = optimiser(adaptation, weight_decay=0.0, fused=False)
    for step in range(140):
        for group in optimisation.param_groups:
            group["lr"] = 5e-3 * rate(step, ScheduleSettings(steps=140))
        optimisation.zero_grad()
        total(loss_parts(adaptation.model, batch, settings), count(batch), settings).backward()
        optimisation.step()
    folder = write_servable(adaptation, adaptation.parameters(), method, base.folder, tmp_path / "voice").folder
    trained = Voice(folder, adapter=None, device=torch.device("cpu"), dtype=torch.float32)
    prompts = [trained.builder.build(one.text, speaker=0, reserve_frames=40) for one in turns]
    for one, spoken in zip(turns, trained.speak(prompts, [GREEDY] * 2, frames_max=40), strict=True):
        assert spoken.stopped
        assert np.array_equal(spoken.codes, one.codes)
