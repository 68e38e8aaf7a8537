"""The demonstration voice that lies in the repository, if one has passed its gate (docs/demo-voice.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "finetune/demo/weights/voice"
"""No wheel carries it: an installed package has no such folder."""


@dataclass(frozen=True, slots=True)
class ShippedVoice:
    """A CSM checkpoint, and how it is served: so that it keeps its place in a text, and is understood."""

    folder: Path
    temperature: float  # that it passed its gate with
    piece_chars: int = 60  # it has learnt sentences of 45 letters on average, and loses its place in longer ones
    hears_conversation: bool = False  # it has learnt beside a turn or two of its own teachers, and is lost in a call


def shipped_voice(folder: Path = FOLDER) -> ShippedVoice | None:
    """Give the voice; None where there is none, or none that its own gate2.json says has held."""
    try:
        gate = json.loads((folder / "gate2.json").read_text(encoding="utf-8"))
        return ShippedVoice(folder, float(gate["temperature"])) if gate["held"] is True else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
