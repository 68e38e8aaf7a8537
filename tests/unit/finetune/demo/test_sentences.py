from __future__ import annotations

import random
from pathlib import Path

import pytest

from finetune.data.text import spoken_form, words
from finetune.demo.grammar import Grammar
from finetune.demo.inflection import Language
from finetune.demo.sentences import SPEAKERS, Sentence, kept_apart, read_sentences, sentences, write_sentences
from finetune.meter.letters import ALPHABET, spelt

ROWS = list(sentences({"az": 600, "tr": 200, "en": 200}, 30))


def test_there_are_as_many_sentences_as_asked_for() -> None:
    counted = {(row.language, row.split): 0 for row in ROWS}
    for row in ROWS:
        counted[row.language, row.split] += 1
    assert counted == {
        **{(language, "held_out"): 30 for language in ("az", "tr", "en")},
        ("az", "train"): 600,
        ("tr", "train"): 200,
        ("en", "train"): 200,
    }


def test_no_word_that_is_kept_apart_is_trained_on() -> None:
    for row in ROWS:
        assert any(kept_apart(word) for word in words(row.text)) == (row.split == "held_out")


def test_sentences_are_varied() -> None:
    azerbaijani = [row.text for row in ROWS if row.language == "az"]
    assert len(set(azerbaijani)) > 0.95 * len(azerbaijani)
    assert len({word for text in azerbaijani for word in words(text)}) > 800
    assert {row.speaker for row in ROWS} == set(range(len(SPEAKERS)))


def test_azerbaijani_sentences_are_as_the_voice_will_be_given_them() -> None:
    for row in ROWS:
        if row.language == "az":
            assert spoken_form(row.text, case="keep") == row.text


@pytest.mark.parametrize("language", ["az", "tr", "en"])
def test_every_pattern_can_be_filled_and_spelt(language: Language) -> None:
    grammar = Grammar.read(language)
    for template in grammar.templates:
        one = Grammar(language, grammar.lists, grammar.suffixes, [template], grammar.short)
        text = next(text for text in one.sentences(random.Random(3)) if text not in grammar.short)
        assert "{" not in text
        assert set(spelt(text, english=language == "en")) <= set(ALPHABET)


def test_a_list_of_sentences_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [Sentence(0, "az", 1, "train", "Bəli."), Sentence(1, "en", 0, "held_out", "Yes.")]
    write_sentences(tmp_path / "deep/sentences.jsonl", rows)
    assert read_sentences(tmp_path / "deep/sentences.jsonl") == rows


def test_the_same_seed_gives_the_same_corpus() -> None:
    assert list(sentences({"az": 20}, 2, seed=5)) == list(sentences({"az": 20}, 2, seed=5))
    assert list(sentences({"az": 20}, 2, seed=5)) != list(sentences({"az": 20}, 2, seed=6))
