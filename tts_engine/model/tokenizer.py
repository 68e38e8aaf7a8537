"""The checkpoint's text tokenizer, without `transformers`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unicodedata import normalize

from tokenizers import Tokenizer

from tts_engine.model.errors import CheckpointError


class TextTokenizer:
    """Text to ids; special tokens written out in the text are text, so that a caller cannot forge audio markers."""

    def __init__(self, tokenizer: Tokenizer, *, bos_id: int, eos_id: int, lower: bool = False) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()  # a file saved after a padded call keeps the padding
        self._tokenizer.no_truncation()
        self.bos_id, self.eos_id, self._lower = bos_id, eos_id, lower

    @classmethod
    def read(cls, folder: Path, *, adapter: Path | None = None) -> TextTokenizer:
        """Read `tokenizer.json` and `tokenizer_config.json` in `folder`, and `text_norm.json` in either folder.

        Raises CheckpointError.
        """
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if not (folder / name).exists():
                raise CheckpointError(f"{folder / name} is missing")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        bos, eos = (_special(tokenizer, config, key, folder) for key in ("bos_token", "eos_token"))
        return cls(tokenizer, bos_id=bos, eos_id=eos, lower=learnt_lower(folder, adapter))

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone; in small letters if the voice has learnt no others."""
        text = _lowered(text) if self._lower else text
        return self._tokenizer.encode(text, add_special_tokens=False).ids


def learnt_lower(*folders: Path | None) -> bool:
    """Say whether any of the folders' `text_norm.json`, which fine-tuning writes, is of a voice without capitals."""
    paths = [folder / "text_norm.json" for folder in folders if folder is not None]
    return any(json.loads(path.read_text(encoding="utf-8")).get("case") == "lower" for path in paths if path.exists())


def _lowered(text: str) -> str:
    """Lower as Azerbaijani does (İ to i, I to ı), composed: what `bot.language.fold` made of the training's texts."""
    return normalize("NFC", text).replace("İ", "i").replace("I", "ı").lower().replace("\u0307", "")


def _special(tokenizer: Tokenizer, config: dict[str, Any], key: str, folder: Path) -> int:
    token = config.get(key)
    content = token["content"] if isinstance(token, dict) else token
    number = tokenizer.token_to_id(content) if content else None
    if number is None:
        raise CheckpointError(f"{folder / 'tokenizer_config.json'}: {key} {content!r} is not in the vocabulary")
    return number
