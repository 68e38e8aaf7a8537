"""The checkpoint's text tokenizer, without `transformers`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from tts_engine.model.errors import CheckpointError


class TextTokenizer:
    """Text to ids; special tokens written out in the text are text, so that a caller cannot forge audio markers."""

    def __init__(self, tokenizer: Tokenizer, *, bos_id: int, eos_id: int) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()  # a file saved after a padded call keeps the padding
        self._tokenizer.no_truncation()
        self.bos_id, self.eos_id = bos_id, eos_id

    @classmethod
    def read(cls, folder: Path) -> TextTokenizer:
        """Read `tokenizer.json` and `tokenizer_config.json` in `folder`."""
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if not (folder / name).exists():
                raise CheckpointError(f"{folder / name} is missing")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        bos, eos = (_special(tokenizer, config, key, folder) for key in ("bos_token", "eos_token"))
        return cls(tokenizer, bos_id=bos, eos_id=eos)

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids


def _special(tokenizer: Tokenizer, config: dict[str, Any], key: str, folder: Path) -> int:
    token = config.get(key)
    content = token["content"] if isinstance(token, dict) else token
    number = tokenizer.token_to_id(content) if content else None
    if number is None:
        raise CheckpointError(f"{folder / 'tokenizer_config.json'}: {key} {content!r} is not in the vocabulary")
    return number
