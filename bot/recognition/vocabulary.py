"""Cut a CTranslate2 Whisper model down to the tokens that one alphabet can spell.

Every decoding step multiplies by the whole token matrix (51,865 rows for Whisper base), most of it Cyrillic, Chinese,
Arabic. Without the rows that Azerbaijani cannot use a step is a third cheaper, the text as good, and no foreign
script can come out (docs/recognition.md has the figures). The cut happens in memory, when the model is loaded.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import tokenizers

from bot.errors import ModelFileError

AZERBAIJANI_LETTERS = "abcçdeəfgğhxıijkqlmnoöprsştuüvyzABCÇDEƏFGĞHXIİJKQLMNOÖPRSŞTUÜVYZ"
_MARKS = " 0123456789.,?!-:%'"
_FORMAT = 6  # of model.bin
_TOKEN_MATRIX = b"decoder/embeddings/weight"  # and, in a quantised file, its `_scale`


@dataclass(frozen=True, slots=True)
class CutModel:
    """Files to load in place of the folder's, and what the new token ids were."""

    files: dict[str, bytes]
    kept: tuple[int, ...]  # new id → id in tokenizer.json


def cut(folder: Path, tokenizer: tokenizers.Tokenizer, letters: str) -> CutModel:
    """Read a model's folder and leave out the tokens that `letters` cannot spell."""
    kept = usable_tokens(tokenizer, letters)
    words = (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    with (folder / "model.bin").open("rb") as model:
        weights = _cut_weights(model, kept, folder)
    files = {
        "model.bin": weights,
        "vocabulary.txt": "".join(f"{words[token]}\n" for token in kept).encode(),
        "config.json": _cut_config((folder / "config.json").read_text(encoding="utf-8"), kept),
    }
    return CutModel(files=files, kept=kept)


def usable_tokens(tokenizer: tokenizers.Tokenizer, letters: str) -> tuple[int, ...]:
    """Ids of the tokens made of `letters`, digits and plain punctuation, and of all special tokens.

    Tokens with a capital inside go too: they spell words in capitals, and Whisper then shouts whole sentences.
    """
    characters = frozenset(letters + _MARKS)
    special = token_id(tokenizer, "<|endoftext|>")
    return tuple(
        token
        for token in range(vocabulary_size(tokenizer))
        if token >= special or _is_spelt(_bytes_of(tokenizer.id_to_token(token) or ""), characters)
    )


def first_timestamp(tokenizer: tokenizers.Tokenizer) -> int:
    """Id of `<|0.00|>`; tokenizer.json need not name the timestamps, they follow `<|notimestamps|>`."""
    return token_id(tokenizer, "<|notimestamps|>") + 1


def token_id(tokenizer: tokenizers.Tokenizer, name: str) -> int:
    """Id of a special token; raises `ModelFileError` where the tokenizer is not Whisper's."""
    found = tokenizer.token_to_id(name)
    if found is None:
        raise ModelFileError(f"tokenizer.json has no {name}: it is not the one of a multilingual Whisper model")
    return found


def vocabulary_size(tokenizer: tokenizers.Tokenizer) -> int:
    """Rows of the model's token matrix: text, special tokens, and a timestamp every 20 ms up to 30 s."""
    return first_timestamp(tokenizer) + 1501


def _is_spelt(token: bytes, characters: frozenset[str]) -> bool:
    # A token may begin or end inside a two-byte letter: ə is 0xC9 0x99.
    heads = {character.encode()[:1] for character in characters if len(character.encode()) == 2}
    tails = {character.encode()[1:] for character in characters if len(character.encode()) == 2}
    for start in (0, 1):
        for end in (0, 1):
            inner = token[start : len(token) - end]
            if (start and token[:1] not in tails) or (end and token[-1:] not in heads):
                continue
            if _is_text(inner, characters):
                return True
    return False


def _is_text(token: bytes, characters: frozenset[str]) -> bool:
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return False
    return characters.issuperset(text) and not any(character.isupper() for character in text.strip()[1:])


def _bytes_of(token: str) -> bytes:
    table = _byte_of_symbol()
    return bytes(table[symbol] for symbol in token)


@cache
def _byte_of_symbol() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes: Latin-1's printable characters for themselves, then from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(0x100 + place): byte for place, byte in enumerate(others)}


def _cut_config(text: str, kept: tuple[int, ...]) -> bytes:
    config = json.loads(text)
    new = {token: place for place, token in enumerate(kept)}
    for name in ("lang_ids", "suppress_ids", "suppress_ids_begin"):
        config[name] = [new[token] for token in config[name] if token in new]
    return json.dumps(config).encode()


def _cut_weights(model: BinaryIO, kept: tuple[int, ...], folder: Path) -> bytes:
    """Copy model.bin variable by variable; its layout is CTranslate2's `model_spec.py`, format 6."""
    out = BytesIO()
    version = _number(model, "<I")
    if version != _FORMAT:
        raise ModelFileError(
            f"{folder}/model.bin has CTranslate2 format {version}, not {_FORMAT}; set [recogniser_server] "
            "whole_vocabulary = true to load it as it is"
        )
    out.write(struct.pack("<I", version) + _text(model) + model.read(4))
    count = _number(model, "<I")
    out.write(struct.pack("<I", count))
    for _ in range(count):
        out.write(_variable(model, kept))
    out.write(model.read())  # aliases
    return out.getvalue()


def _variable(model: BinaryIO, kept: tuple[int, ...]) -> bytes:
    name = _text(model)
    rank = _number(model, "<B")
    shape = list(struct.unpack(f"<{rank}I", model.read(4 * rank)))
    kind = model.read(1)
    data = model.read(_number(model, "<I"))
    if _TOKEN_MATRIX in name and shape:
        row = len(data) // shape[0]
        data = b"".join(data[token * row : (token + 1) * row] for token in kept)
        shape[0] = len(kept)
    return name + struct.pack(f"<B{rank}I", rank, *shape) + kind + struct.pack("<I", len(data)) + data


def _text(model: BinaryIO) -> bytes:
    length = model.read(2)
    return length + model.read(struct.unpack("<H", length)[0])


def _number(model: BinaryIO, layout: str) -> int:
    return struct.unpack(layout, model.read(struct.calcsize(layout)))[0]
