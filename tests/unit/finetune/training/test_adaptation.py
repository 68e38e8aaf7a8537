from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor

from finetune.config import Full, Lora, LossSettings
from finetune.errors import ConfigError
from finetune.training.adaptation import Adaptation, adapt, optimiser, text_rows
from finetune.training.batch import collate
from finetune.training.loss import count, loss_parts, total
from finetune.training.model import load_csm_for_training
from tests.unit.finetune.tiny import Base, turn
from tts_engine.model.tokenizer import TextTokenizer

LORA = Lora(type="lora", rank=4, alpha=8)
LOSS = LossSettings(depth_share=1.0)


def gradients(adaptation: Adaptation, base: Base) -> dict[str, Tensor | None]:
    sample = base.sample(turn(6))
    batch = collate([sample], [sample.target])
    total(loss_parts(adaptation.model, batch, LOSS), count(batch), LOSS).backward()
    return {name: parameter.grad for name, parameter in adaptation.parameters().items()}


def test_lora_touches_backbone_depth_decoder_heads_and_text_rows_and_no_codec(base: Base):
    adaptation = adapt(base.model(), LORA, {196, 154})
    names = set(adaptation.parameters())
    assert not [name for name in names if "codec_model" in name]
    for part in ("backbone_model", "depth_decoder.model.layers", "lm_head", "codebooks_head", "embed_text_tokens"):
        assert any(part in name for name in names), part
    # bare names, as the notebook gives them, match the codec's attention too
    bare = Lora.model_construct(**{**LORA.model_dump(), "targets": r".*\.(q_proj|k_proj|v_proj|o_proj)"})
    assert [name for name in adapt(base.model(), bare, ()).parameters() if "codec_model" in name]


def test_every_trained_weight_gets_a_gradient(base: Base):
    rows = text_rows(TextTokenizer.read(base.folder), ["Salam, necəsən?"], "seen")
    for method in (LORA, Full(type="full")):
        adaptation = adapt(load_csm_for_training(base.folder, dtype=torch.float32), method, rows)
        for name, gradient in gradients(adaptation, base).items():
            assert gradient is not None, name
            assert gradient.abs().sum() > 0 or "lora_A" in name, name  # its pair is zero at first


def test_rows_of_new_letters_are_those_of_words_outside_ascii(base: Base):
    tokenizer = TextTokenizer.read(base.folder)
    new = text_rows(tokenizer, ["salam dünya"], "new_letters")
    assert set(tokenizer.encode("dünya")) <= new
    assert not set(tokenizer.encode("sl")) & new
    assert text_rows(tokenizer, ["salam"], "new_letters") == set()
    assert set(tokenizer.encode("salam")) <= text_rows(tokenizer, ["salam"], "seen")
    assert text_rows(tokenizer, ["dünya"], "none") == set()


def test_rows_that_are_seen_are_those_of_the_prompt_and_its_bracket_too(base: Base):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = {character: number for number, character in enumerate([*alphabet, "]s"])}
    joining = Tokenizer(models.BPE(vocab=letters, merges=[("]", "s")]))  # as Llama's has tokens of both
    joining.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = TextTokenizer(joining, bos_id=0, eos_id=1)
    prompt = set(tokenizer.encode("[0]salam dünya"))
    assert prompt - set(tokenizer.encode("[0")) <= text_rows(tokenizer, ["salam dünya"], "seen")


def test_a_row_the_base_never_learnt_moves_only_if_it_is_trained(base: Base):
    row = base.sample(turn(3, text="ə")).tokens[-6]
    for rows, moves in (({int(row)}, True), ((), False)):
        adaptation = adapt(base.model(), Lora(type="lora", rank=2, heads="frozen"), rows)
        before = {name: p.detach().clone() for name, p in adaptation.parameters().items()}
        gradients(adaptation, base)
        optimiser(adaptation, weight_decay=0.0, fused=False).step()
        moved = [n for n, p in adaptation.parameters().items() if "embed_text" in n and not torch.equal(p, before[n])]
        assert bool(moved) is moves


def test_each_group_has_its_own_rate_and_rows_do_not_decay(base: Base):
    groups = optimiser(adapt(base.model(), LORA, {5}), weight_decay=0.1, fused=False).param_groups
    assert [(g["peak"], g["weight_decay"]) for g in groups] == [(1e-4, 0.1), (1e-4, 0.0), (2e-5, 0.1)]


def test_what_is_trained_is_kept_in_float32_over_a_bfloat16_base(base: Base):
    model = load_csm_for_training(base.folder, dtype=torch.bfloat16)
    adaptation = adapt(model, LORA, {5})
    assert {p.dtype for p in adaptation.parameters().values()} == {torch.float32}
    assert model.backbone_model.norm.weight.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert all(gradient is not None for gradient in gradients(adaptation, base).values())


def test_targets_that_match_nothing_are_named(base: Base):
    with pytest.raises(ConfigError, match=r"method\.targets"):
        adapt(base.model(), Lora(type="lora", targets="backbone_model.nothing"), ())
