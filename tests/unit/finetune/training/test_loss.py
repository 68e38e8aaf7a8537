"""The loss is that of `transformers` where the two should agree, and right where the stock one is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from finetune.config import Lora, LossSettings
from finetune.training.adaptation import adapt
from finetune.training.batch import Batch, collate
from finetune.training.loss import LossParts, count, loss_parts, total
from finetune.training.sample import Sample, TrainingTurn, depth_count, depth_masks
from tests.unit.finetune.tiny import TEXTS, Base, turn
from tts_engine.model.prompt import AUDIO

PLAIN = LossSettings(depth_share=1.0)
LORA = Lora(type="lora", rank=4, alpha=8)


def batch(*samples: Sample, share: float = 1.0, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    return collate(samples, depth_masks(samples, share=share, rng=rng))


def means(parts: LossParts, b: Batch) -> tuple[float, float]:
    counts = count(b)
    return float(parts.first) / counts.frames, float(parts.depth) / counts.depth_frames / (len(parts.codebooks) - 1)


def stock(base: Base, sounds: list[Tensor], targets: list[bool], *, items: int | None = None):
    """The library's own forward, from sound, with its own labels."""
    model = base.model().eval()
    config = model.config
    ids: list[int] = []
    labels: list[int] = []
    for text, sound, target in zip(TEXTS, sounds, targets, strict=False):
        tokens: list[int] = base.sample(turn(1, text=text)).tokens[:-2].tolist()
        audio = [config.audio_token_id] * -(-len(sound) // 1920) + [config.audio_eos_token_id]
        ids += tokens + audio
        labels += [-100] * len(tokens) + (audio if target else [-100] * len(audio))
    extra = {} if items is None else {"num_items_in_batch": items}
    with torch.no_grad():
        return model(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
            input_values=torch.cat(sounds)[None, None],
            input_values_cutoffs=torch.tensor([len(s) for s in sounds]).cumsum(0)[None],
            labels=torch.tensor([labels]),
            **extra,
        )


def sounds() -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(frames * 1920, generator=generator) * 0.1 for frames in (7, 12)]


def encoded(base: Base, sound: Tensor, text: str, *, target: bool) -> TrainingTurn:
    with torch.no_grad():
        codes = base.model().codec_model.encode(sound[None, None]).audio_codes[0].T
    return TrainingTurn(0, text, codes.to(torch.int16).numpy(), target)


def ours(base: Base, targets: list[bool]) -> tuple[float, float]:
    turns = [encoded(base, s, t, target=w) for s, t, w in zip(sounds(), TEXTS, targets, strict=False)]
    b = batch(base.sample(*turns))
    with torch.no_grad():
        return means(loss_parts(base.model().eval(), b, PLAIN), b)


def test_both_parts_are_those_of_transformers_when_every_frame_counts(base: Base):
    theirs = stock(base, sounds(), [True, True])
    assert ours(base, [True, True]) == pytest.approx(
        (float(theirs.backbone_loss), float(theirs.depth_decoder_loss)), abs=1e-5
    )


def test_a_context_turn_is_not_learnt_though_the_stock_forward_labels_it(base: Base):
    masked, whole = (stock(base, sounds(), [first, True]) for first in (False, True))
    assert float(masked.loss) == float(whole.loss), "the stock forward ignores the mask"
    first, _ = ours(base, [False, True])
    assert abs(first - ours(base, [True, True])[0]) > 1e-3
    context, target = turn(5, seed=1, target=False), turn(4, seed=2)
    b = batch(base.sample(context, target))
    assert count(b).frames == 5
    assert (b.target >= len(base.sample(context))).all()


def test_the_depth_loss_is_a_mean_over_codebooks_where_the_trainers_count_makes_it_a_sum(base: Base):
    plain = stock(base, sounds(), [True, True])
    counted = stock(base, sounds(), [True, True], items=21)
    assert float(counted.depth_decoder_loss) == pytest.approx(7 * float(plain.depth_decoder_loss), rel=1e-4)
    b = batch(base.sample(turn(9)))
    with torch.no_grad():
        parts = loss_parts(base.model(), b, PLAIN)
    # an untrained model knows nothing: each part is about ln(67)
    assert float(total(parts, count(b), PLAIN)) == pytest.approx(2 * np.log(67), rel=0.05)


@pytest.mark.parametrize("share", [1.0, 0.25, 0.01])
def test_the_end_frame_is_always_in_the_depth_loss(base: Base, share: float):
    sample = base.sample(turn(16, target=False), turn(20))
    for seed in range(40):
        (chosen,) = depth_masks([sample], share=share, rng=np.random.default_rng(seed))
        assert chosen[-1]
        assert chosen.sum() == depth_count(sound=20, ends=1, share=share)
        assert not (chosen & ~sample.target).any()
    # drawn blindly, as amortising implementations do, one in sixteen keeps the end in about one of sixteen draws
    blind = [np.random.default_rng(seed).choice(21, 2, replace=False) for seed in range(40)]
    assert not all(20 in draw for draw in blind)


def test_the_end_is_labelled_at_the_frame_after_the_last(base: Base):
    sample = base.sample(turn(6))
    assert sample.target[-1]
    assert sample.end[-1]
    assert sample.tokens[-1] == AUDIO
    assert not sample.codes[-1].any()
    b = batch(sample)
    parts = loss_parts(base.model(), b, PLAIN)
    assert float(parts.ends) > 0


def test_more_weight_on_the_end_moves_the_mean_towards_it(base: Base):
    b = batch(base.sample(turn(6)))
    with torch.no_grad():
        parts = loss_parts(base.model(), b, PLAIN)
        heavy = LossSettings(depth_share=1.0, end_weight=1e6, depth_weight=0.0)
        weighted = float(total(loss_parts(base.model(), b, heavy), count(b), heavy))
    assert weighted == pytest.approx(float(parts.ends), rel=1e-3)


def test_padding_changes_no_loss(base: Base):
    short, long = base.sample(turn(5)), base.sample(turn(30, text=TEXTS[3], seed=1))
    model = base.model().eval()
    with torch.no_grad():
        together = loss_parts(model, batch(short, long), PLAIN)
        alone = [loss_parts(model, batch(sample), PLAIN) for sample in (short, long)]
    assert float(together.first) == pytest.approx(sum(float(part.first) for part in alone), rel=1e-5)
    assert float(together.depth) == pytest.approx(sum(float(part.depth) for part in alone), rel=1e-5)


def test_eight_batches_of_one_give_the_gradient_of_one_batch_of_eight(base: Base):
    samples = [base.sample(turn(3 + 4 * n, seed=n)) for n in range(8)]
    masks = depth_masks(samples, share=0.3, rng=np.random.default_rng(0))
    whole = collate(samples, masks)
    counts = count(whole)
    gradients: list[dict[str, Tensor]] = []
    for parts in ([whole], [collate([s], [m]) for s, m in zip(samples, masks, strict=True)]):
        model = base.model()
        torch.manual_seed(0)
        model = adapt(model, LORA, {3, 4}).model
        for part in parts:
            total(loss_parts(model, part, PLAIN), counts, PLAIN).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-6)


def test_gradient_checkpointing_works_under_peft_and_changes_no_gradient(base: Base):
    b = batch(base.sample(turn(9)))
    found: list[dict[str, Tensor]] = []
    for checkpointing in (False, True):
        model = base.model()
        torch.manual_seed(0)
        model = adapt(model, LORA, {3}).model.train()
        if checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        total(loss_parts(model, b, PLAIN), count(b), PLAIN).backward()
        found.append({n: p.grad for n, p in model.named_parameters() if p.requires_grad})
    for name, gradient in found[0].items():
        assert gradient is not None, name
        torch.testing.assert_close(found[1][name], gradient)


@pytest.mark.parametrize("frames", [1, 6, 7, 8])
def test_any_number_of_frames_can_be_in_the_depth_loss(base: Base, frames: int):
    # as many as codebooks, end included, is where the library takes one for the other
    b = batch(base.sample(turn(frames)))
    assert torch.isfinite(loss_parts(base.model(), b, PLAIN).depth)
