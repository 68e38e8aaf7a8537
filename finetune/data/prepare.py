"""From a folder of recordings to a folder of clips, codes and a report: the whole of `zeng finetune prepare`."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from rich.console import Console
from rich.progress import Progress

from finetune.data.clean import Outcome, clean, joined
from finetune.data.clip import Clip, Rejection, Utterance
from finetune.data.codes import Encoder, Shard, encode_shard, read_as_end, shards
from finetune.data.dnsmos import require_dnsmos
from finetune.data.journal import Journal, key_of
from finetune.data.manifest import Entry, Prepared, write_manifest, write_prepared, write_rejections
from finetune.data.readers.detect import open_corpus
from finetune.data.reasons import Reason
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
from finetune.errors import CorpusError
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
    settings.output.mkdir(parents=True, exist_ok=True)
    (settings.output / "prepared.json").unlink(missing_ok=True)
    utterances, rejections = _rows(settings)
    with Progress(console=console) as progress:
        outcomes = _clean_all(utterances, settings, progress)
        rejections += [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
        clips, more = _select([o for o in outcomes if isinstance(o, Clip)], settings)
        rejections += more
        splits, more = assign_splits(clips, settings.split)
        rejections += more
        clips = [clip for clip in clips if clip.id in splits]
        voices = _voices(clips)
        encoder = Encoder(codec, device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        entries, more = _encode_all(clips, splits, voices, encoder, settings, progress)
        rejections += more
    _finish(entries, rejections, settings)
    if not entries:
        raise CorpusError(f"no clip is left of {settings.corpus}: {settings.output / 'report.html'} says why")
    _drop_unused_shards(entries, settings)
    prepared = Prepared(encoder.fingerprint, encoder.num_codebooks, voices, NORMALISER, settings.text_case)
    seconds = sum(entry.clip.seconds for entry in entries)
    reasons = Counter(rejection.reason for rejection in rejections)
    sums = {"clips": len(entries), "seconds": round(seconds, 1), "rejected": dict(reasons)}
    write_prepared(settings.output, prepared, settings.model_dump(mode="json"), sums)
    return Summary(len(entries), seconds, dict(reasons))


def _check_networks(settings: PrepareSettings) -> None:
    """Find out before the first clip, not in a worker, that a network is not there."""
    if settings.filters.dnsmos_min is not None:
        require_dnsmos("filters.dnsmos_min")
    if settings.filters.recogniser:
        open_recogniser(settings.filters.recogniser)


def _rows(settings: PrepareSettings) -> tuple[list[Utterance], list[Rejection]]:
    utterances: dict[str, Utterance] = {}
    rejections: list[Rejection] = []
    for row in open_corpus(settings.corpus, settings.format, speaker=settings.speaker):
        if isinstance(row, Rejection):
            rejections.append(row)
        elif row.id in utterances:
            rejections.append(Rejection(row.id, Reason.ID_DUPLICATE))
        else:
            utterances[row.id] = row
    return list(utterances.values()), rejections


def _clean_all(utterances: Sequence[Utterance], settings: PrepareSettings, progress: Progress) -> list[Outcome]:
    """Outcomes in the order of the corpus, whichever process was first."""
    task = progress.add_task("cleaning", total=len(utterances))
    journal = Journal(settings.output / "journal.jsonl", settings.output)
    done: dict[str, tuple[Outcome, ...]] = {}
    try:
        keys = {utterance.id: key_of(utterance, settings) for utterance in utterances}
        for utterance in utterances:
            if (outcomes := journal.get(keys[utterance.id])) is not None:
                done[utterance.id] = outcomes
                progress.advance(task)
        for utterance, outcomes in _cleaned((u for u in utterances if u.id not in done), settings):
            journal.add(keys[utterance.id], outcomes)
            done[utterance.id] = outcomes
            progress.advance(task)
    finally:
        journal.close()
    return [outcome for utterance in utterances for outcome in done[utterance.id]]


def _cleaned(
    utterances: Iterable[Utterance], settings: PrepareSettings
) -> Iterator[tuple[Utterance, tuple[Outcome, ...]]]:
    workers = settings.workers or os.cpu_count() or 1
    if workers == 1:
        for utterance in utterances:
            yield utterance, clean(utterance, settings)
        return
    # spawned, since forking a process that has threads of torch can hang
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending: dict[Future[tuple[Outcome, ...]], Utterance] = {}
        source = iter(utterances)
        while True:
            # few at a time: a corpus with sound in its rows must not be in memory as a whole
            for utterance in islice(source, 4 * workers - len(pending)):
                pending[pool.submit(clean, utterance, settings)] = utterance
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                yield pending.pop(future), future.result()


def _select(clips: Sequence[Clip], settings: PrepareSettings) -> tuple[list[Clip], list[Rejection]]:
    rejections: list[Rejection] = []
    kept, out = without_duplicates(clips, settings.filters)
    rejections += out
    kept, out = merge_short(kept, settings.filters, settings.merge, partial(joined, settings=settings))
    rejections += out
    kept, out = without_outliers(kept, settings.filters)
    rejections += out
    kept, out = whole_conversations(kept)
    return kept, rejections + out


def _voices(clips: Iterable[Clip]) -> dict[str, int]:
    """Give each speaker a number; those that are numbers keep them, the rest follow by name."""
    names = {clip.speaker for clip in clips}
    voices = {name: int(name) for name in names if name.isdecimal() and int(name) < 1000}
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
