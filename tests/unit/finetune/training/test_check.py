"""What is measured on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from finetune.data.clip import Clip
from finetune.data.manifest import Entry
from finetune.training.check import held_out, with_texts_swapped
from finetune.training.corpus import Item, TrainingCorpus
from finetune.training.devices import Devices
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import CODEBOOKS, Base


def item(number: int, text: str) -> Item:
    clip = Clip(str(number), "", text, "0", 1.0, "", "", None, 0.0, 12_000)
    return Item((Entry(clip, "validation", 0, "", 10 * number),), 10 * number + len(text))


def test_each_item_keeps_its_sound_and_gets_the_text_of_another_of_like_length() -> None:
    items = [item(1, "bir"), item(2, "iki yüz min manat"), item(3, "beş"), item(4, "üç yüz min manat")]
    swapped = with_texts_swapped(items)
    assert [one.entries[0].clip.id for one in swapped] == ["1", "2", "3", "4"]
    assert [one.entries[0].frames for one in swapped] == [10, 20, 30, 40]
    assert sorted(one.entries[0].clip.text for one in swapped) == sorted(one.entries[0].clip.text for one in items)
    assert all(a.entries[0].clip.text != b.entries[0].clip.text for a, b in zip(items, swapped, strict=True))
    assert swapped[0].entries[0].clip.text == "beş"
    assert swapped[3].entries[0].clip.text == "iki yüz min manat"


def test_it_is_planned_by_the_longer_of_the_two() -> None:
    items = [item(1, "bir"), item(9, "beş")]
    assert [one.positions for one in with_texts_swapped(items)] == [93, 93]


def test_a_check_compiles_nothing(base: Base, tmp_path: Path) -> None:
    corpus = TrainingCorpus(write_prepared_folder(tmp_path), base.builder, num_codebooks=CODEBOOKS, codec="")
    model, items = base.model(), corpus.items("validation")
    plain = held_out(model, corpus, items, Devices(), positions=200, bf16=False)
    asked: list[Any] = []
    for layer in model.backbone_model.layers:
        layer.compile(backend=lambda graph, _: (asked.append(graph), graph.forward)[1])
    assert held_out(model, corpus, items, Devices(), positions=200, bf16=False) == plain
    assert not asked
    torch._dynamo.reset()
