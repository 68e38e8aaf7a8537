"""The faults of the usual way, each shown to be one, and what is done here instead (docs/finetune.md has the table)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import CsmForConditionalGeneration, MimiModel

from finetune.config import Full, Lora, LossSettings, ScheduleSettings
from finetune.data.audio import RATE_HZ
from finetune.data.codes import Encoder
from finetune.training.adaptation import adapt
from finetune.training.batch import collate
from finetune.training.loss import count, loss_parts, total
from finetune.training.model import load_csm_for_training
from finetune.training.sample import Sample, TrainingTurn, build_sample, depth_masks, without_ends
from finetune.training.schedule import rate
from finetune.training.servable import write_servable
from finetune.voice import Voice, prompt_builder
from tests.unit.finetune.tiny import TEXTS, Base, turn
from tts_engine.model.sampling import Sampling

PLAIN = LossSettings(depth_share=1.0)
BARE = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FRAMES, LIMIT = 9, 40


def learnt(base: Base, samples: list[Sample], folder: Path, steps: int = 120) -> Voice:
    torch.manual_seed(0)
    method = Full(type="full", learning_rate=5e-3)
    adaptation = adapt(load_csm_for_training(base.folder, dtype=torch.float32), method, ())
    optimiser = torch.optim.AdamW(adaptation.parameters().values(), lr=5e-3)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 5e-3 * rate(step, ScheduleSettings(steps=steps))
        batch = collate(samples, [sample.target for sample in samples])
        optimiser.zero_grad()
        total(loss_parts(adaptation.model, batch, PLAIN), count(batch), PLAIN).backward()
        optimiser.step()
    made = write_servable(adaptation, adaptation.parameters(), method, base.folder, folder)
    return Voice(made.folder, adapter=None, device=torch.device("cpu"), dtype=torch.float32)


def said(voice: Voice, text: str = TEXTS[0]):
    prompt = voice.builder.build(text, speaker=0, reserve_frames=LIMIT)
    greedy = Sampling(temperature=0.0, depth_temperature=0.0)
    return voice.speak([prompt], [greedy], frames_max=LIMIT)[0]


def test_a_voice_whose_ends_have_no_label_never_stops_and_ours_stops_at_the_frame(base: Base, tmp_path: Path):
    # transformers before 4.53 labels the frames of sound only; with it 125 frames are 10.0 s
    sample = base.sample(turn(FRAMES))
    old, ours = said(learnt(base, [without_ends(sample)], tmp_path / "a")), said(learnt(base, [sample], tmp_path / "b"))
    assert not old.stopped
    assert len(old.codes) == LIMIT
    assert ours.stopped
    assert len(ours.codes) == FRAMES


def test_zeros_behind_the_sound_are_learnt_as_speech_and_the_window_of_a_processor_is_not(base: Base):
    encoder = Encoder(base.folder, device=torch.device("cpu"))
    sound = np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32) * 0.1
    window = np.pad(sound, (0, 13 * RATE_HZ))
    # filled before the processor, a clip of 2 s has 188 frames to predict instead of 25
    ours, filled = (
        build_sample(base.builder, [TrainingTurn(0, "Bəli.", encoder.encode([s])[0])]) for s in (sound, window)
    )
    assert int(filled.target.sum()) == 189
    assert int(ours.target.sum()) == 26
    # among longer ones it is padded, and what is padded is not predicted
    long = base.sample(turn(60))
    assert len(collate([ours, long], [ours.target, long.target]).target) == 26 + 61


def test_gradient_checkpointing_under_peft_fails_in_the_stock_forward(base: Base):
    model = base.model()
    config = model.config
    wrapped = get_peft_model(model, LoraConfig(r=4, target_modules=BARE))
    wrapped.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    wrapped.enable_input_require_grads()
    ids = torch.tensor([[5, 6, *[config.audio_token_id] * 4, config.audio_eos_token_id]])
    labels = torch.where(torch.arange(7) > 1, ids, -100)
    sound = torch.randn(1, 1, 4 * 1920) * 0.1

    def stock() -> Tensor:
        return wrapped(
            input_ids=ids, attention_mask=torch.ones_like(ids), input_values=sound,
            input_values_cutoffs=torch.tensor([[4 * 1920]]), labels=labels,
        ).loss  # fmt: skip

    with pytest.raises(RuntimeError, match="in-place operation"):
        stock().backward()
    # ours, with the same switches: test_gradient_checkpointing_works_under_peft_and_changes_no_gradient


def test_bare_names_put_adapters_into_the_codec_and_ours_cannot(base: Base):
    wrapped = get_peft_model(base.model(), LoraConfig(r=4, target_modules=BARE))
    assert any("codec_model" in name and "lora" in name for name, _ in wrapped.named_parameters())
    ours = adapt(base.model(), Lora(type="lora", rank=4), {3})
    assert not any("codec_model" in name for name in ours.parameters())


def test_an_adapter_on_one_of_the_two_names_of_the_audio_table_parts_them(base: Base):
    wrapped = get_peft_model(
        base.model(), LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["embed_audio_tokens"])
    )
    csm = wrapped.get_base_model()
    saved = csm.backbone_model.embed_tokens.embed_audio_tokens.modules_to_save["default"].weight
    assert saved.data_ptr() != csm.depth_decoder.model.embed_tokens.weight.data_ptr()
    ours = adapt(base.model(), Full(type="full"), ()).model
    tables = (ours.backbone_model.embed_tokens.embed_audio_tokens.weight, ours.depth_decoder.model.embed_tokens.weight)
    assert tables[0] is tables[1]


def test_a_random_codec_says_the_end_in_every_frame_and_is_noticed(base: Base):
    config = CsmForConditionalGeneration.from_pretrained(base.folder).config.codec_config
    with torch.no_grad():
        codes = MimiModel(config).eval().encode(torch.randn(1, 1, 4 * 1920)).audio_codes
    assert not codes.any(), "codebooks begin at zero, and so does every code"
    ours = Encoder(base.folder, device=torch.device("cpu")).encode([np.random.default_rng(0).random(7680, np.float32)])
    assert ours[0].any()


def test_the_codec_gives_the_last_frame_of_a_batch_other_codes_unless_it_is_filled_to_whole_frames(base: Base):
    codec = base.model().codec_model.eval()
    sounds = [torch.randn(n, generator=torch.Generator().manual_seed(n)) * 0.1 for n in (5 * 1920 - 700, 9 * 1920)]
    padded = torch.zeros(2, 1, 9 * 1920)
    for row, sound in enumerate(sounds):
        padded[row, 0, : len(sound)] = sound
    with torch.no_grad():
        together = codec.encode(padded).audio_codes[0, :, :5]
        alone = codec.encode(sounds[0][None, None]).audio_codes[0]
    assert not torch.equal(together, alone)
    encoder = Encoder(base.folder, device=torch.device("cpu"))
    ours = encoder.encode([sound.numpy() for sound in sounds])[0]
    assert np.array_equal(ours, encoder.encode([sounds[0].numpy()])[0])


def test_codebook_zero_as_an_ignored_index_would_leave_out_the_end(base: Base):
    # a fork trains with CrossEntropyLoss(ignore_index=0): the end is zero in every codebook
    sample = base.sample(turn(6))
    batch = collate([sample], depth_masks([sample], share=1.0, rng=np.random.default_rng(0)))
    codes = batch.codes[batch.predicted]
    logits = torch.randn(len(codes), 67)
    ignoring = torch.nn.functional.cross_entropy(logits, codes[:, 0], ignore_index=0, reduction="none")
    assert float(ignoring[batch.end]) == 0.0
    assert float(loss_parts(base.model(), batch, PLAIN).ends) > 0.0


def test_python_lowers_a_capital_i_to_two_letters_and_ours_does_not():
    from finetune.data.text import spoken_form  # noqa: PLC0415 - of this test alone

    assert "İ".lower() != "i"
    assert spoken_form("İLK IŞIQ", case="lower") == "ilk ışıq"


def test_training_and_serving_have_one_prompt(base: Base):
    text = "Salam, necəsən?"
    sample = base.sample(TrainingTurn(0, text, turn(3).codes))
    voice = Voice(base.folder, adapter=None, device=torch.device("cpu"), dtype=torch.float32)
    prompt = voice.builder.build(text, speaker=0, reserve_frames=5)
    assert sample.tokens[: len(prompt)].tolist() == prompt.tokens.tolist()
    assert prompt_builder(base.folder, voice.config).positions == base.builder.positions
