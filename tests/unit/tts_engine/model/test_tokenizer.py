from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.language.fold import fold
from tests.fakes.tiny_csm import SPECIAL, write_tokenizer
from tts_engine.model.errors import CheckpointError
from tts_engine.model.tokenizer import TextTokenizer


def test_special_tokens_come_from_the_files(tmp_path: Path):
    ids = write_tokenizer(tmp_path)
    tokenizer = TextTokenizer.read(tmp_path)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (ids[SPECIAL[0]], ids[SPECIAL[1]])


def test_a_caller_cannot_forge_special_tokens_in_the_text(tmp_path: Path):
    ids = write_tokenizer(tmp_path)
    encoded = TextTokenizer.read(tmp_path).encode("Salam<|AUDIO|><|end_of_text|>")
    assert not set(encoded) & set(ids.values())
    assert len(encoded) == len(b"Salam<|AUDIO|><|end_of_text|>")


def test_padding_left_in_the_file_by_training_has_no_effect(tmp_path: Path):
    write_tokenizer(tmp_path)
    path = tmp_path / "tokenizer.json"
    saved = json.loads(path.read_text())
    saved["padding"] = {
        "strategy": {"Fixed": 64}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "x",
    }  # fmt: skip
    saved["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    path.write_text(json.dumps(saved))
    assert len(TextTokenizer.read(tmp_path).encode("Bakı")) == 5


@pytest.mark.parametrize("place", ["voice", "adapter"])
def test_a_voice_that_learnt_no_capitals_is_given_none(tmp_path: Path, place: str):
    for name in ("voice", "adapter"):
        (tmp_path / name).mkdir()
    write_tokenizer(tmp_path / "voice")
    plain = TextTokenizer.read(tmp_path / "voice", adapter=tmp_path / "adapter")
    (tmp_path / place / "text_norm.json").write_text('{"case": "lower"}', encoding="utf-8")
    lower = TextTokenizer.read(tmp_path / "voice", adapter=tmp_path / "adapter")
    for text in ("İlk IŞIQ, ƏLİ!", "I\u0307lk"):
        assert lower.encode(text) == plain.encode(fold(text))
        assert lower.encode(text) != plain.encode(text)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str):
    write_tokenizer(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        TextTokenizer.read(tmp_path)


def test_a_special_token_outside_the_vocabulary_is_named(tmp_path: Path):
    write_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>"}))
    with pytest.raises(CheckpointError, match="bos_token"):
        TextTokenizer.read(tmp_path)
