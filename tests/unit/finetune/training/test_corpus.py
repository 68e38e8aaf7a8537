"""The prepared folder as it is learnt from: the codes of this codec, and turns as far as they are learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finetune.data.manifest import read_manifest, write_manifest
from finetune.errors import CorpusError
from finetune.training.corpus import TrainingCorpus, fitting
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import CODEBOOKS, Base


def opened(folder: Path, base: Base, codec: str = "") -> TrainingCorpus:
    return TrainingCorpus(folder, base.builder, num_codebooks=CODEBOOKS, codec=codec)


def test_codes_of_another_codec_with_as_many_codebooks_are_refused(base: Base, tmp_path: Path):
    folder = write_prepared_folder(tmp_path, codec="one")
    assert opened(folder, base, "one").items("train")
    with pytest.raises(CorpusError, match="codes of another codec than the base"):
        opened(folder, base, "other")


def test_a_conversation_ends_with_the_last_turn_that_is_learnt(base: Base, tmp_path: Path):
    folder = write_prepared_folder(tmp_path, held_out=0, clips=8)
    # "a" is heard, learnt, heard, heard; "b" ends as it is learnt
    turns = [("a", 0, False), ("a", 1, True), ("a", 2, False), ("a", 3, False), ("b", 0, False), ("b", 1, True)]
    entries = list(read_manifest(folder))
    for number, (name, turn, target) in enumerate(turns):
        clip = replace(entries[number].clip, conversation=name, turn=turn, target=target)
        entries[number] = replace(entries[number], clip=clip)
    write_manifest(folder, entries)
    corpus = opened(folder, base)
    items = corpus.items("train")
    assert [[entry.clip.id for entry in item.entries] for item in items] == [["c0", "c1"], ["c4", "c5"], ["c6"], ["c7"]]
    assert [item.positions for item in items] == [len(corpus.sample(item)) for item in items]


def test_a_split_without_a_clip_is_told_as_one(base: Base, tmp_path: Path):
    corpus = opened(write_prepared_folder(tmp_path, held_out=0), base)
    with pytest.raises(CorpusError, match="nothing held out: it takes two clips of different texts"):
        fitting(corpus.items("validation"), 2048)
    with pytest.raises(CorpusError, match="no sample has at most 3 positions"):
        fitting(corpus.items("train"), 3)


@pytest.mark.parametrize("content", ["", '{"codec_fingerprint": "", "voi', "{}"])
def test_a_torn_folder_is_told_as_one(content: str, base: Base, tmp_path: Path):
    folder = write_prepared_folder(tmp_path / "data")
    (folder / "prepared.json").write_text(content, encoding="utf-8")
    with pytest.raises(CorpusError, match=r"prepared\.json is torn, or of another version: prepare the corpus anew"):
        TrainingCorpus(folder, base.builder, num_codebooks=CODEBOOKS, codec="")


def test_a_corpus_is_named_by_its_clips_and_its_codec(base: Base, tmp_path: Path):
    names = [
        opened(write_prepared_folder(tmp_path / f"{clips}{codec}", clips=clips, codec=codec), base, codec).digest
        for clips, codec in ((9, "one"), (10, "one"), (9, "other"))
    ]
    assert len(set(names)) == 3
