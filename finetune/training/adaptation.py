"""Which weights are trained, and at what rate: the method of the run applied to a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import CsmForConditionalGeneration

from finetune.config import Full, Lora, Method
from finetune.errors import ConfigError
from finetune.training.low_rank import keep_pairs_together
from finetune.training.sharding import parted
from tts_engine.model.tokenizer import TextTokenizer

HEADS = ("lm_head", "codebooks_head")
TEXT_EMBEDDING = "embed_text_tokens"


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters by name that share a learning rate; `decays` False spares them weight decay."""

    names: tuple[str, ...]
    learning_rate: float
    decays: bool


@dataclass(frozen=True, slots=True)
class Adaptation:
    """The model to be trained and its groups; everything else is frozen."""

    model: nn.Module
    groups: tuple[Group, ...]

    def parameters(self) -> dict[str, nn.Parameter]:
        """All that is trained, by name, in a fixed order."""
        wanted = {name for group in self.groups for name in group.names}
        return {name: p for name, p in self.model.named_parameters() if name in wanted}


def adapt(model: CsmForConditionalGeneration, method: Method, text_rows: Iterable[int]) -> Adaptation:
    """Freeze and wrap as the method says; what is trained is kept in float32, whatever the base is in."""
    match method:
        case Lora():
            adapted = _lora(model, method, sorted(set(text_rows)))
        case Full():
            model.requires_grad_(requires_grad=True)
            adapted = model
        case _:
            assert_never(method)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return Adaptation(adapted, _groups(adapted, method))


def text_rows(tokenizer: TextTokenizer, texts: Iterable[str], which: str) -> set[int]:
    """Rows of the text embedding to train: `seen` in the texts, only those of `new_letters`, or `none`."""
    if which == "none":
        return set()
    rows: set[int] = set()
    for text in texts:
        for number, word in enumerate(text.split()):
            # a token may hold a letter's one byte, so a word is asked about, not a token
            if which == "seen" or not word.isascii():
                # the first one follows the speaker's bracket, with which a token may begin
                before = ("]",) if number == 0 else ()
                rows.update(*(tokenizer.encode(f"{mark}{word}") for mark in (" ", "", *before)))
    return rows


def _lora(model: CsmForConditionalGeneration, method: Lora, rows: list[int]) -> PeftModel:
    config = LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,  # type: ignore[arg-type] - PEFT divides by the rank; any number does
        lora_dropout=method.dropout,
        target_modules=method.targets,
        trainable_token_indices={TEXT_EMBEDDING: rows} if rows else None,
        modules_to_save=list(HEADS) if method.heads == "trained" else None,
    )
    try:
        adapted: PeftModel = get_peft_model(model, keep_pairs_together(config))  # type: ignore[assignment] - the mixed kind is not asked for
    except ValueError as error:
        raise ConfigError(str(error), field="method.targets") from error
    for module in adapted.modules():
        if isinstance(module, LoraLayer):
            # else each layer's input goes to float32 and, under autocast, straight back: two copies of it for nothing
            module.cast_input_dtype_enabled = False
    return adapted


def _groups(model: nn.Module, method: Method) -> tuple[Group, ...]:
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    match method:
        case Full():
            plain = tuple(n for n, p in trained.items() if p.dim() < 2 or "embed" in n)
            rest = tuple(n for n in trained if n not in plain)
            groups = (
                Group(rest, method.learning_rate, decays=True),
                Group(plain, method.learning_rate, decays=False),
            )
        case Lora():
            rows = tuple(n for n in trained if TEXT_EMBEDDING in n)
            heads = tuple(n for n in trained if any(head in n for head in HEADS))
            pairs = tuple(n for n in trained if n not in {*rows, *heads})
            groups = (
                Group(pairs, method.learning_rate, decays=True),
                Group(rows, method.text_rows_learning_rate, decays=False),
                Group(heads, method.heads_learning_rate, decays=True),
            )
        case _:
            assert_never(method)
    return tuple(group for group in groups if group.names)


def optimiser(adaptation: Adaptation, *, weight_decay: float, fused: bool) -> torch.optim.AdamW:
    """AdamW over the groups, parted and whole weights apart; each remembers its peak rate as `peak`."""
    parameters = adaptation.parameters()
    return torch.optim.AdamW(
        [
            {
                "params": own,
                "lr": group.learning_rate,
                "peak": group.learning_rate,
                "weight_decay": weight_decay if group.decays else 0.0,
            }
            for group in adaptation.groups
            for own in parted(parameters[name] for name in group.names)
            if own
        ],
        betas=(0.9, 0.95),
        fused=fused,
    )
