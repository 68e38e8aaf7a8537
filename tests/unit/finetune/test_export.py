"""What is exported loads alike in `transformers` and here, and says what the trained model said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import CsmForConditionalGeneration

from finetune.config import Full, Lora, LossSettings, Method, RunSettings, parse_settings
from finetune.data.manifest import read_prepared
from finetune.errors import ConfigError
from finetune.export import write_merged
from finetune.release import Run, check_served, export, open_run
from finetune.training.adaptation import Adaptation, adapt, optimiser
from finetune.training.batch import collate
from finetune.training.loss import count, loss_parts, total
from finetune.training.model import load_csm_for_training
from finetune.training.sample import Sample
from finetune.training.servable import Servable, write_servable
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import TEXTS, Base, turn, write_base
from tts_engine.model.backbone import KvCache
from tts_engine.model.checkpoint import AUDIO_TABLES, Checkpoint
from tts_engine.model.config import CsmConfig
from tts_engine.model.csm import CsmModel
from tts_engine.model.errors import CheckpointError
from tts_engine.model.weights import load_csm

LORA = Lora(type="lora", rank=4, alpha=8)
LOSS = LossSettings(depth_share=1.0)


def loss(model: torch.nn.Module, base: Base) -> torch.Tensor:
    sample = base.sample(turn(6))
    batch = collate([sample], [sample.target])
    return total(loss_parts(model, batch, LOSS), count(batch), LOSS)


def trained(base: Base, method: Method) -> tuple[Adaptation, float]:
    torch.manual_seed(0)
    adaptation = adapt(load_csm_for_training(base.folder, dtype=torch.float32), method, {196, 154, 40})
    optimisation = optimiser(adaptation, weight_decay=0.0, fused=False)
    for group in optimisation.param_groups:
        group["lr"] = 0.01
    for _ in range(3):
        optimisation.zero_grad()
        loss(adaptation.model, base).backward()
        optimisation.step()
    adaptation.model.eval()
    with torch.no_grad():
        return adaptation, float(loss(adaptation.model, base))


@pytest.fixture(params=[LORA, Full(type="full")], ids=["lora", "full"])
def run(request: pytest.FixtureRequest, base: Base, tmp_path: Path) -> tuple[Run, float]:
    adaptation, value = trained(base, request.param)
    servable = write_servable(adaptation, adaptation.parameters(), request.param, base.folder, tmp_path / "best")
    data = write_prepared_folder(tmp_path / "data")
    settings = parse_settings(
        RunSettings,
        {
            "base": str(base.folder), "data": str(data), "output": str(tmp_path), "schedule": {"steps": 3},
            "method": request.param.model_dump(),
        },
    )  # fmt: skip
    return Run(tmp_path, settings, servable, read_prepared(data)), value


def test_the_exported_checkpoint_has_the_loss_that_training_had(base: Base, run: tuple[Run, float], tmp_path: Path):
    export(run[0], tmp_path / "voice")
    model = load_csm_for_training(tmp_path / "voice", dtype=torch.float32).eval()
    stock = CsmForConditionalGeneration.from_pretrained(tmp_path / "voice").eval()
    with torch.no_grad():
        assert float(loss(model, base)) == pytest.approx(run[1], abs=1e-5)
        # not tied by our hand: both tables are in the file, so every version has them
        assert float(loss(stock, base)) == pytest.approx(run[1], abs=1e-5)


def test_mimi_is_the_bases_to_the_bit_and_the_table_has_both_names(base: Base, run: tuple[Run, float], tmp_path: Path):
    export(run[0], tmp_path / "voice")
    before, after = load_file(base.folder / "model.safetensors"), load_file(tmp_path / "voice/model.safetensors")
    assert after.keys() == before.keys() | set(AUDIO_TABLES)
    codec = [name for name in before if "codec_model" in name]
    assert codec
    assert all(torch.equal(before[name], after[name]) for name in codec)
    assert torch.equal(*(after[name] for name in AUDIO_TABLES))
    config = json.loads((tmp_path / "voice/config.json").read_text(encoding="utf-8"))
    assert config["tie_word_embeddings"] is False
    assert config["tie_codebooks_embeddings"] is True


def test_the_merge_of_the_server_is_that_of_peft(base: Base, tmp_path: Path):
    adaptation, _ = trained(base, LORA)
    write_servable(adaptation, adaptation.parameters(), LORA, base.folder, tmp_path / "adapter")
    plain = load_csm_for_training(base.folder, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(plain, str(tmp_path / "adapter")).merge_and_unload().state_dict()
    ours = Checkpoint(base.folder, adapter=tmp_path / "adapter")
    for name, tensor in theirs.items():
        if name not in AUDIO_TABLES:
            torch.testing.assert_close(ours.tensor(name), tensor, rtol=1e-5, atol=1e-6)


def test_the_adapter_alone_is_served_over_the_base(base: Base, run: tuple[Run, float], tmp_path: Path):
    if run[0].servable.adapter is None:
        with pytest.raises(ConfigError, match="no adapter"):
            export(run[0], tmp_path / "voice", adapter_only=True)
        return
    export(run[0], tmp_path / "voice", adapter_only=True)
    export(run[0], tmp_path / "whole")
    served = Checkpoint(base.folder, adapter=tmp_path / "voice")
    whole = Checkpoint(tmp_path / "whole")
    assert all(torch.equal(served.tensor(name), whole.tensor(name)) for name in Checkpoint(base.folder).names())


@torch.no_grad()
def library_logits(model: Any, sample: Sample) -> Tensor:
    """Logits [frames, codebooks, size] of the frames to be predicted, by the forward passes of `transformers`."""
    tokens, codes, target = (torch.from_numpy(part).long() for part in (sample.tokens, sample.codes, sample.target))
    csm = model.get_base_model() if isinstance(model, PeftModel) else model
    sound = csm.backbone_model.embed_tokens(codes[None])[0]
    embedded = torch.where((tokens < 0)[:, None], sound, csm.embed_text_tokens(tokens.clamp(min=0)))
    states = csm.backbone_model(inputs_embeds=embedded[None]).last_hidden_state[0]
    before, frames = states[target.nonzero()[:, 0] - 1], codes[target.bool()]
    ids = torch.cat((torch.zeros_like(frames[:, :1]), frames[:, :-1]), dim=1)
    depth = csm.depth_decoder(
        input_ids=ids, backbone_last_hidden_state=before, attention_mask=torch.ones_like(ids)
    ).logits  # fmt: skip
    return torch.cat((csm.lm_head(before)[:, None], depth), dim=1)


@torch.no_grad()
def server_logits(checkpoint: Checkpoint, sample: Sample) -> Tensor:
    """Make the same of the same by the server's model."""
    model = CsmModel(CsmConfig.read(checkpoint.folder))
    load_csm(model, checkpoint)
    tokens, codes, target = (torch.from_numpy(part).long() for part in (sample.tokens, sample.codes, sample.target))
    cache = KvCache(model.config.backbone, slots=1, positions=len(sample), like=model.frames.audio_table)
    slot = torch.zeros(1, dtype=torch.int64)
    embedded = model.frames.embed(tokens, codes)[None]
    states = model.backbone(embedded, cache, slot, slot, span=len(sample))[0]
    before, frames = states[target.nonzero()[:, 0] - 1], codes[target.bool()]
    first = before @ model.frames.first_head.T
    return torch.cat((first[:, None], model.frames.depth.logits(before, frames)), dim=1)


def test_logits_are_those_of_training_in_transformers_and_the_server_merged_or_not(base: Base, tmp_path: Path):
    adaptation, _ = trained(base, LORA)
    made = write_servable(adaptation, adaptation.parameters(), LORA, base.folder, tmp_path / "adapter")
    write_merged(Checkpoint(base.folder, adapter=made.adapter), tmp_path / "merged")
    sample = base.sample(turn(6, seed=1, target=False), turn(5, text=TEXTS[1], seed=2))
    learnt = library_logits(adaptation.model, sample)
    assert learnt.shape == (6, 8, 67)
    merged = CsmForConditionalGeneration.from_pretrained(tmp_path / "merged").eval()
    over_base = PeftModel.from_pretrained(load_csm_for_training(base.folder, dtype=torch.float32), str(made.adapter))
    for other in (
        library_logits(merged, sample),
        library_logits(over_base.eval(), sample),
        server_logits(Checkpoint(tmp_path / "merged"), sample),
        server_logits(Checkpoint(base.folder, adapter=made.adapter), sample),
    ):
        torch.testing.assert_close(other, learnt, rtol=1e-4, atol=1e-5)
    untrained = server_logits(Checkpoint(base.folder), sample)
    assert float((untrained - learnt).abs().max()) > 0.1


def test_shards_hold_what_one_file_holds(base: Base, tmp_path: Path):
    write_merged(Checkpoint(base.folder), tmp_path / "one")
    write_merged(Checkpoint(base.folder), tmp_path / "many", shard_bytes=200_000)
    assert len(list((tmp_path / "many").glob("model-*-of-*.safetensors"))) > 2
    one, many = Checkpoint(tmp_path / "one"), Checkpoint(tmp_path / "many")
    assert set(one.names()) == set(many.names())
    assert all(torch.equal(one.tensor(name), many.tensor(name)) for name in one.names())
    CsmForConditionalGeneration.from_pretrained(tmp_path / "many")


def test_padding_that_a_call_left_in_the_tokenizer_is_taken_out(base: Base, tmp_path: Path):
    write_merged(Checkpoint(base.folder), tmp_path / "one")
    tokenizer = Tokenizer.from_file(str(tmp_path / "one/tokenizer.json"))
    tokenizer.enable_padding(pad_to_multiple_of=8)
    tokenizer.save(str(tmp_path / "one/tokenizer.json"))
    write_merged(Checkpoint(tmp_path / "one"), tmp_path / "two")
    assert Tokenizer.from_file(str(tmp_path / "two/tokenizer.json")).padding is None


def test_the_card_and_the_normaliser_go_with_the_voice(run: tuple[Run, float], tmp_path: Path):
    export(run[0], tmp_path / "voice")
    card = (tmp_path / "voice/README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nbase_model:")
    assert "bot.language.speakable" in card
    for section in ("Data", "Consent", "Figures", "Limits"):
        assert f"\n## {section}\n" in card
    assert json.loads((tmp_path / "voice/text_norm.json").read_text(encoding="utf-8"))["case"] == "keep"
    lower = replace(run[0], prepared=replace(run[0].prepared, text_case="lower"))
    export(lower, tmp_path / "lower")
    assert json.loads((tmp_path / "lower/text_norm.json").read_text(encoding="utf-8"))["case"] == "lower"
    with pytest.raises(ConfigError, match="already there"):
        export(run[0], tmp_path / "voice")


def test_a_broken_tie_or_a_tensor_of_another_model_is_refused(base: Base, tmp_path: Path):
    with pytest.raises(ConfigError, match="has no such tensor"):
        write_merged(Checkpoint(base.folder), tmp_path / "a", changed={"other.weight": torch.zeros(1)})
    with pytest.raises(ConfigError, match="lm_head"):
        write_merged(Checkpoint(base.folder), tmp_path / "b", changed={"lm_head.weight": torch.zeros(1)})
    write_merged(Checkpoint(base.folder), tmp_path / "c")
    tensors = load_file(tmp_path / "c/model.safetensors")
    tensors[AUDIO_TABLES[1]] += 1

    save_file(tensors, tmp_path / "c/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="tie"):
        check_served(tmp_path / "c")


def test_a_run_that_has_nothing_to_serve_yet_says_so(base: Base, tmp_path: Path):
    (tmp_path / "run.yaml").write_text(
        "base: b\ndata: d\noutput: o\nmethod: {type: lora}\nschedule: {steps: 1}\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="not there yet"):
        open_run(tmp_path)


def test_an_adapter_over_a_base_of_another_size_is_refused(base: Base, tmp_path: Path):
    adaptation, _ = trained(base, LORA)
    write_servable(adaptation, adaptation.parameters(), LORA, base.folder, tmp_path / "run/best")
    data = write_prepared_folder(tmp_path / "data")
    run = "base: {}\ndata: {}\noutput: o\nmethod: {{type: lora}}\nschedule: {{steps: 1}}\n"
    (tmp_path / "run/run.yaml").write_text(run.format(base.folder, data), encoding="utf-8")
    assert open_run(tmp_path / "run").servable.folder == base.folder
    other = write_base(tmp_path / "other", hidden=32)
    (tmp_path / "run/run.yaml").write_text(run.format(other.folder, data), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"other is not the base of .*best: .* takes 64 values, not 128"):
        open_run(tmp_path / "run")


def test_a_servable_names_its_base(base: Base, tmp_path: Path):
    adaptation, _ = trained(base, LORA)
    made = write_servable(adaptation, adaptation.parameters(), LORA, base.folder, tmp_path / "adapter")
    assert made == Servable(base.folder, tmp_path / "adapter")
