"""Conversations: JSON lines of {"id", "turns": [{"speaker", "text", "audio", "train"}]}, turns in the order spoken.

`train` false makes a turn context only: it is heard, not learnt, as the caller's turns should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.data.clip import Rejection, Utterance
from finetune.data.readers import jsonl
from finetune.data.readers.rows import Row, json_lines
from finetune.data.reasons import Reason


def read(folder: Path, *, speaker: str) -> Iterator[Row]:
    """Give the turns of all conversations of the folder, one after the other."""
    for path in jsonl.manifests(folder):
        for name, fields in json_lines(path):
            if isinstance(fields, Rejection):
                yield fields
            else:
                yield from _turns(folder, str(fields.get("id", name)), fields.get("turns"), speaker)


def _turns(folder: Path, conversation: str, turns: Any, speaker: str) -> Iterator[Row]:  # noqa: ANN401 - any cell
    if not isinstance(turns, list) or not turns:
        yield Rejection(conversation, Reason.CONVERSATION_EMPTY)
        return
    for number, turn in enumerate(turns):
        identifier = f"{conversation}-{number}"
        if not isinstance(turn, dict):
            yield Rejection(identifier, Reason.ROW_MALFORMED, "a turn is an object")
            continue
        row = jsonl.row(folder, identifier, {**turn, "id": identifier}, speaker)
        if isinstance(row, Utterance):
            target = turn.get("train", True) is not False
            row = replace(row, conversation=conversation, turn=number, target=target)
        yield row
