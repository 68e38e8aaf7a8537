"""The prepared folder as training samples: clips and conversations, with their lengths known beforehand."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.data.codes import Shard
from finetune.data.manifest import Entry, Prepared, read_manifest, read_prepared
from finetune.data.select import Split
from finetune.errors import CorpusError
from finetune.training.loss import Counts
from finetune.training.sample import Part, Sample, TrainingTurn, depth_count, joined, laid
from tts_engine.model.prompt import Codes, ContextTurn, PromptBuilder


@dataclass(frozen=True, slots=True)
class Item:
    """One clip, or the turns of one conversation; `positions` is its length in a prompt."""

    entries: tuple[Entry, ...]
    positions: int

    @property
    def voice(self) -> int:
        return self.entries[-1].voice

    def counts(self, share: float, *, ends: bool = True) -> Counts:
        """Count what a loss over it sums; `ends` False is without end frames."""
        targets = [entry for entry in self.entries if entry.clip.target]
        sound, stops = sum(entry.frames for entry in targets), len(targets) if ends else 0
        return Counts(sound + stops, stops, depth_count(sound=sound, ends=stops, share=share))


_KEPT_POSITIONS = 4_000_000
"""What is laid once is kept up to so many: 270 MB with 32 codebooks. Laying a clip anew takes as long as all the rest
of making a batch of it (60 of 135 us), and small models wait for that."""


class TrainingCorpus:
    """Reads codes when they are asked for; of a corpus larger than 4 M positions the rest stays on disk."""

    def __init__(self, folder: Path, builder: PromptBuilder, *, num_codebooks: int, codec: str) -> None:
        """Open the folder for a base by its codec's `fingerprint`; raises CorpusError if its codes are another's."""
        self.prepared: Prepared = read_prepared(folder)
        if self.prepared.num_codebooks != num_codebooks:
            raise CorpusError(
                f"{folder} has codes of {self.prepared.num_codebooks} codebooks, the base has {num_codebooks}: "
                "prepare it with this base as `codec`"
            )
        if self.prepared.codec_fingerprint not in {"", codec}:  # a folder of drawn codes has none
            raise CorpusError(
                f"{folder} has codes of another codec than the base, to which they are noise: prepare it with this "
                "base as `codec`"
            )
        manifest = (folder / "manifest.jsonl").read_bytes()
        self.digest = hashlib.sha256(self.prepared.codec_fingerprint.encode() + manifest).hexdigest()[:16]
        """Names all that a run learns from."""
        self._builder = builder
        self._entries = list(read_manifest(folder))
        self._folder = folder
        self._shards: dict[str, Shard] = {}
        self._laid: dict[tuple[str, str], Part] = {}
        self._kept = 0

    def items(self, split: Split) -> list[Item]:
        """Give clips and conversations of a split, in the order of the manifest.

        A conversation ends with the last turn that is learnt: what follows is in nothing that is predicted or said.
        """
        groups: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in self._entries:
            if entry.split == split:
                groups[entry.clip.conversation or f"clip {entry.clip.id}"].append(entry)
        turns = [_until_last_target(group) for group in groups.values()]
        return [Item(own, sum(self._positions(entry) for entry in own)) for own in turns if own]

    def texts(self, split: Split) -> list[str]:
        return [entry.clip.text for entry in self._entries if entry.split == split]

    def sample(self, item: Item, context: Item | None = None) -> Sample:
        """Build a sample, after the turns of `context`, which are only read."""
        turns = [*((entry, False) for entry in (context.entries if context else ())), *_targets(item)]
        return joined([self._part(entry) for entry, _ in turns], [target for _, target in turns])

    def codes(self, entry: Entry) -> Codes:
        """Read a clip's codes."""
        if entry.shard not in self._shards:
            self._shards[entry.shard] = Shard(self._folder / f"codes/{entry.shard}.safetensors")
        return self._shards[entry.shard].codes(entry.clip.id)

    def _part(self, entry: Entry) -> Part:
        key = entry.clip.id, entry.clip.text
        if (part := self._laid.get(key)) is None:
            part = laid(self._builder, TrainingTurn(entry.voice, entry.clip.text, self.codes(entry)))
            if self._kept + len(part[0]) <= _KEPT_POSITIONS:
                self._laid[key] = part
                self._kept += len(part[0])
        return part

    def _positions(self, entry: Entry) -> int:
        text, _ = self._builder.turn(ContextTurn(entry.voice, entry.clip.text, None))
        return len(text) + entry.frames + 1


def _until_last_target(group: Sequence[Entry]) -> tuple[Entry, ...]:
    last = max((number for number, entry in enumerate(group) if entry.clip.target), default=-1)
    return tuple(group[: last + 1])


def _targets(item: Item) -> list[tuple[Entry, bool]]:
    return [(entry, entry.clip.target) for entry in item.entries]


def fitting(items: Sequence[Item], positions_max: int) -> list[Item]:
    """Leave out what the model has no room for; raises CorpusError if that is all, or if there is nothing."""
    if not items:
        raise CorpusError(
            "the corpus has nothing to learn from or nothing held out: it takes two clips of different texts at least"
        )
    kept = [item for item in items if item.positions <= positions_max]
    if not kept:
        raise CorpusError(f"no sample has at most {positions_max} positions: shorten clips or conversations")
    return kept
