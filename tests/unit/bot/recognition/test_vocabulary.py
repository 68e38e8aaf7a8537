from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers.models import BPE

from bot.errors import ModelFileError
from bot.recognition.vocabulary import (
    AZERBAIJANI_LETTERS,
    cut,
    first_timestamp,
    token_id,
    usable_tokens,
    vocabulary_size,
)

# As in GPT-2's table: Ġ is a space, É is 0xC9 and Ļ 0x99 (together ə), Ð and ° the Cyrillic а, â 0xE2.
TEXT = ["salam", "Ġsalam", "ÉĻ", "É", "Ļ", "lÉ", "ĻlÉ", "HELLO", "Salam", "Ð°", "â", "w", "7", "Ġ"]
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|az|>", "<|notimestamps|>"]


@pytest.fixture
def tokenizer() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(BPE({token: place for place, token in enumerate(TEXT)}, []))
    made.add_special_tokens(SPECIAL)
    return made


def _kept(tokenizer: tokenizers.Tokenizer, letters: str = AZERBAIJANI_LETTERS) -> list[str]:
    return [TEXT[token] for token in usable_tokens(tokenizer, letters) if token < len(TEXT)]


def test_tokens_that_azerbaijani_spells_are_kept(tokenizer: tokenizers.Tokenizer):
    kept = _kept(tokenizer)
    assert kept == ["salam", "Ġsalam", "ÉĻ", "É", "Ļ", "lÉ", "ĻlÉ", "Salam", "7", "Ġ"]


def test_other_letters_keep_other_tokens(tokenizer: tokenizers.Tokenizer):
    assert _kept(tokenizer, "aw") == ["w", "7", "Ġ"]


def test_special_tokens_and_every_timestamp_are_kept(tokenizer: tokenizers.Tokenizer):
    kept = usable_tokens(tokenizer, "")
    assert first_timestamp(tokenizer) == len(TEXT) + len(SPECIAL)
    assert kept[-1501:] == tuple(range(first_timestamp(tokenizer), vocabulary_size(tokenizer)))
    assert set(range(len(TEXT), vocabulary_size(tokenizer))) <= set(kept)


def test_a_tokenizer_of_another_model_is_refused(tokenizer: tokenizers.Tokenizer):
    with pytest.raises(ModelFileError, match=r"no <\|translate\|>"):
        token_id(tokenizer, "<|translate|>")


def _variable(name: str, array: np.ndarray) -> bytes:
    encoded = name.encode() + b"\0"
    shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
    data = array.tobytes()
    return struct.pack("<H", len(encoded)) + encoded + shape + b"\x04" + struct.pack("<I", len(data)) + data


def _model(folder: Path, rows: int, *, version: int = 6) -> bytes:
    matrix = np.arange(rows * 2, dtype=np.float16).reshape(rows, 2)
    other = np.arange(6, dtype=np.float16).reshape(3, 2)
    name = b"WhisperSpec\0"
    content = struct.pack("<I", version) + struct.pack("<H", len(name)) + name + struct.pack("<II", 3, 3)
    content += _variable("decoder/embeddings/weight", matrix) + _variable("encoder/conv1/weight", other)
    content += _variable("decoder/num_heads", np.array(8, np.int8)) + b"aliases"
    (folder / "model.bin").write_bytes(content)
    words = [*TEXT, *SPECIAL, *(f"<|{place}|>" for place in range(rows - len(TEXT) - len(SPECIAL)))]
    (folder / "vocabulary.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    config = {"suppress_ids": [0, 7, 12], "suppress_ids_begin": [13], "lang_ids": [16], "alignment_heads": [[1, 2]]}
    (folder / "config.json").write_text(json.dumps(config))
    return content


def test_the_model_keeps_the_rows_of_the_kept_tokens_and_all_else(tokenizer: tokenizers.Tokenizer, tmp_path: Path):
    whole = _model(tmp_path, vocabulary_size(tokenizer))
    smaller = cut(tmp_path, tokenizer, AZERBAIJANI_LETTERS)
    assert smaller.kept == usable_tokens(tokenizer, AZERBAIJANI_LETTERS)
    after = smaller.files["model.bin"]
    assert len(whole) - len(after) == 4 * (vocabulary_size(tokenizer) - len(smaller.kept))
    assert after.endswith(b"aliases")
    start = after.index(b"decoder/embeddings/weight\0") + len("decoder/embeddings/weight\0")
    rank, rows, columns = struct.unpack_from("<BII", after, start)
    assert (rank, rows, columns) == (2, len(smaller.kept), 2)
    matrix = np.frombuffer(after, np.float16, rows * columns, start + 14).reshape(rows, columns)
    expected = np.arange(vocabulary_size(tokenizer) * 2, dtype=np.float16).reshape(-1, 2)[list(smaller.kept)]
    assert np.array_equal(matrix, expected)
    rest = io.BytesIO(after[start + 14 + matrix.nbytes :]).read()
    assert rest == whole[-len(rest) :]


def test_names_and_ids_follow_their_rows(tokenizer: tokenizers.Tokenizer, tmp_path: Path):
    _model(tmp_path, vocabulary_size(tokenizer))
    smaller = cut(tmp_path, tokenizer, AZERBAIJANI_LETTERS)
    words = smaller.files["vocabulary.txt"].decode().splitlines()
    assert words[:10] == _kept(tokenizer)
    assert words[10:14] == SPECIAL
    config = json.loads(smaller.files["config.json"])
    assert config["suppress_ids"] == [0, 8]  # HELLO is gone, 7 is the ninth of those left
    assert config["lang_ids"] == [12]
    assert config["alignment_heads"] == [[1, 2]]


def test_an_unknown_format_is_refused_with_the_remedy(tokenizer: tokenizers.Tokenizer, tmp_path: Path):
    _model(tmp_path, vocabulary_size(tokenizer), version=7)
    with pytest.raises(ModelFileError, match=r"format 7.*whole_vocabulary"):
        cut(tmp_path, tokenizer, AZERBAIJANI_LETTERS)
