"""From a folder of recordings to a folder of clips, codes and a report: the whole of `zeng finetune prepare`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from finetune.data.clean import Outcome, joined
from finetune.data.clip import Clip, Rejection, Utterance
from finetune.data.codes import Encoder, Shard, encode_shard, read_as_end, shards
from finetune.data.dnsmos import require_dnsmos
from finetune.data.journal import Journal, key_of
from finetune.data.manifest import Entry, Prepared, write_manifest, write_prepared, write_rejections
from finetune.data.readers.detect import open_corpus
from finetune.data.readers.hub import corpus_folder
from finetune.data.reasons import REMEDIES, Reason
from finetune.data.recognition import open_recogniser
from finetune.data.report import write_report
from finetune.data.select import (
    Split,
    assign_splits,
    merge_short,
    whole_conversations,
    without_duplicates,
    without_outliers,
)
from finetune.data.settings import PrepareSettings
from finetune.data.text import NORMALISER
from finetune.data.workers import cleaned
from finetune.errors import ConfigError, CorpusError
from tts_engine.model.checkpoint import resolve


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of it."""

    clips: int
    seconds: float
    rejected: dict[Reason, int]


def prepare(settings: PrepareSettings, console: Console) -> Summary:
    """Do all of it; what an earlier run has done and nothing has changed is not done again."""
    _check_networks(settings)
    codec = resolve(settings.codec)  # before hours of cleaning, not after
    folder = corpus_folder(settings.corpus)
    if settings.output.resolve() == folder.resolve():
        raise ConfigError("is the corpus itself, whose manifests it would be read with; name another", field="output")
    settings.output.mkdir(parents=True, exist_ok=True)
    (settings.output / "prepared.json").unlink(missing_ok=True)
    keys, rejections = _rows(folder, settings)
    with Progress(console=console) as progress:
        outcomes = _clean_all(folder, keys, settings, progress)
        rejections += [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
        clips, splits, more = _select([o for o in outcomes if isinstance(o, Clip)], settings)
        rejections += more
        voices = _voices(clips)
        encoder = Encoder(codec, device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        entries, more = _encode_all(clips, splits, voices, encoder, settings, progress)
        rejections += more
    _finish(entries, rejections, settings)
    if not entries:
        raise CorpusError(_nothing_left(rejections, settings))
    _drop_unused_shards(entries, settings)
    prepared = Prepared(encoder.fingerprint, encoder.num_codebooks, voices, NORMALISER, settings.text_case)
    seconds = sum(entry.clip.seconds for entry in entries)
    reasons = Counter(rejection.reason for rejection in rejections)
    sums = {"clips": len(entries), "seconds": round(seconds, 1), "rejected": dict(reasons)}
    write_prepared(settings.output, prepared, settings.model_dump(mode="json"), sums)
    return Summary(len(entries), seconds, dict(reasons))


def _nothing_left(rejections: Sequence[Rejection], settings: PrepareSettings) -> str:
    if not rejections:
        return f"{settings.corpus} has a manifest, but there is no row in it"
    (reason, count), *_ = Counter(rejection.reason for rejection in rejections).most_common(1)
    detail = next(rejection.detail for rejection in rejections if rejection.reason == reason)
    said = (
        f"{count} of {len(rejections)} are {reason} ({detail})"
        if detail
        else f"{count} of {len(rejections)} are {reason}"
    )
    return (
        f"no clip is left of {settings.corpus}: {said}. {REMEDIES[reason]} All are in {settings.output / 'report.html'}"
    )


def _check_networks(settings: PrepareSettings) -> None:
    """Find out before the first clip, not in a worker, that a network is not there."""
    if settings.filters.dnsmos_min is not None:
        require_dnsmos("filters.dnsmos_min")
    if settings.filters.recogniser:
        open_recogniser(settings.filters.recogniser)


def _rows(folder: Path, settings: PrepareSettings) -> tuple[dict[str, str], list[Rejection]]:
    """Give the key of each row by its id, in the order of the corpus; sound in rows is not kept."""
    keys: dict[str, str] = {}
    rejections: list[Rejection] = []
    for row in open_corpus(folder, settings.format, speaker=settings.speaker):
        if isinstance(row, Rejection):
            rejections.append(row)
        elif row.id in keys:
            rejections.append(Rejection(row.id, Reason.ID_DUPLICATE))
        else:
            keys[row.id] = key_of(row, settings)
    return keys, rejections


def _clean_all(folder: Path, keys: Mapping[str, str], settings: PrepareSettings, progress: Progress) -> list[Outcome]:
    """Outcomes in the order of the corpus, whichever process was first."""
    task = progress.add_task("cleaning", total=len(keys))
    journal = Journal(settings.output / "journal.jsonl", settings.output)
    try:
        done = {name: outcomes for name, key in keys.items() if (outcomes := journal.get(key)) is not None}
        progress.advance(task, len(done))
        for name, outcomes in cleaned(_again(folder, keys.keys() - done.keys(), settings), settings):
            journal.add(keys[name], outcomes)
            done[name] = outcomes
            progress.advance(task)
    finally:
        journal.close()
    return _once(outcome for name in keys for outcome in done.get(name, ()))


def _once(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Leave out clips of an id that there was: the pieces of recording `a` are `a-1` and so on, as a row may be too."""
    found: list[Outcome] = []
    taken: set[str] = set()
    for outcome in outcomes:
        if isinstance(outcome, Clip) and outcome.id in taken:
            found.append(Rejection(outcome.id, Reason.ID_DUPLICATE, f"of {outcome.source}", outcome.file))
        else:
            found.append(outcome)
        if isinstance(outcome, Clip):
            taken.add(outcome.id)
    return found


def _again(folder: Path, wanted: set[str], settings: PrepareSettings) -> Iterator[Utterance]:
    """Read the corpus once more, for the first row of each id that is wanted."""
    for row in open_corpus(folder, settings.format, speaker=settings.speaker):
        if isinstance(row, Utterance) and row.id in wanted:
            wanted.discard(row.id)
            yield row


def _select(clips: Sequence[Clip], settings: PrepareSettings) -> tuple[list[Clip], dict[str, Split], list[Rejection]]:
    filters = settings.filters
    rejections: list[Rejection] = []
    kept, out = without_duplicates(clips, filters)
    rejections += out
    splits, out = assign_splits(kept, settings.split, seconds_min=filters.seconds_min)
    rejections += out
    kept = [clip for clip in kept if clip.id in splits]
    kept, out = merge_short(kept, splits, filters, settings.merge, partial(joined, settings=settings))
    rejections += out
    kept, out = without_outliers(kept, filters)
    rejections += out
    kept, out = whole_conversations(kept)
    return kept, splits, rejections + out


_NUMBERS = frozenset(map(str, range(1000)))


def _voices(clips: Iterable[Clip]) -> dict[str, int]:
    """Give each speaker a number; those that are numbers keep them, the rest follow by name."""
    names = {clip.speaker for clip in clips}
    # as Python writes them: 01 is another speaker than 1
    voices = {name: int(name) for name in names if name in _NUMBERS}
    free = (number for number in range(len(names) + 1000) if number not in set(voices.values()))
    for name in sorted(names - voices.keys()):
        voices[name] = next(free)
    return voices


def _encode_all(
    clips: Sequence[Clip],
    splits: dict[str, Split],
    voices: dict[str, int],
    encoder: Encoder,
    settings: PrepareSettings,
    progress: Progress,
) -> tuple[list[Entry], list[Rejection]]:
    folder = settings.output / "codes"
    folder.mkdir(exist_ok=True)
    task = progress.add_task("encoding", total=len(clips))
    entries: dict[str, Entry] = {}
    rejections: list[Rejection] = []
    for content, part in shards(clips, settings.shard_clips):
        name = f"{content}-{encoder.fingerprint}"
        path = folder / f"{name}.safetensors"
        if not path.exists():
            encode_shard(encoder, part, settings.output, path, batch_s=settings.codec_batch_s)
        shard = Shard(path)
        for clip in part:
            codes = shard.codes(clip.id)
            if read_as_end(codes):
                rejections.append(Rejection(clip.id, Reason.CODES_READ_AS_END, "", clip.file))
            else:
                entries[clip.id] = Entry(clip, splits[clip.id], voices[clip.speaker], name, len(codes))
        progress.advance(task, len(part))
    return [entries[clip.id] for clip in clips if clip.id in entries], rejections


def _drop_unused_shards(entries: Sequence[Entry], settings: PrepareSettings) -> None:
    used = {f"{entry.shard}.safetensors" for entry in entries}
    for path in (settings.output / "codes").iterdir():
        if path.name not in used:
            path.unlink()


def _finish(entries: Sequence[Entry], rejections: Sequence[Rejection], settings: PrepareSettings) -> None:
    write_manifest(settings.output, entries)
    write_rejections(settings.output, rejections)
    write_report(settings.output, entries, rejections)
