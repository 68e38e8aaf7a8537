"""Verdicts that need the whole corpus: short clips joined, duplicates and outliers out, splits kept apart."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Literal

from finetune.data.clip import Clip, Rejection
from finetune.data.reasons import Reason
from finetune.data.settings import FilterSettings, MergeSettings, SplitSettings
from finetune.data.text import words

Split = Literal["train", "validation"]
Sifted = tuple[list[Clip], list[Rejection]]


def text_key(text: str) -> str:
    """Keep what two readings of one text share, whatever their marks and capitals."""
    return " ".join(words(text))


def merge_short(
    clips: Sequence[Clip],
    splits: Mapping[str, Split],
    filters: FilterSettings,
    merge: MergeSettings,
    join: Callable[[list[Clip]], Clip],
) -> Sifted:
    """Join clips that are too short with the speaker's next ones of the split, sound and text; turns stay alone."""
    kept: list[Clip] = []
    out: list[Rejection] = []
    by_speaker: defaultdict[tuple[str, Split], list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.conversation is not None:
            kept.append(clip)
        else:
            by_speaker[clip.speaker, splits[clip.id]].append(clip)
    for own in by_speaker.values():
        for group in _groups(own, filters, merge):
            if len(group) > 1:
                kept.append(join(group))
            elif group[0].seconds >= filters.seconds_min:
                kept.append(group[0])
            else:
                out.append(_rejection(group[0], Reason.CLIP_TOO_SHORT, f"{group[0].seconds:.2f} s"))
    place = {clip.id: number for number, clip in enumerate(clips)}
    return sorted(kept, key=lambda clip: place[clip.id]), out


def _groups(clips: Sequence[Clip], filters: FilterSettings, merge: MergeSettings) -> list[list[Clip]]:
    seconds_min, seconds_max = filters.seconds_min, min(merge.seconds_max, filters.seconds_max)
    groups: list[list[Clip]] = []
    for clip in clips:
        open_group = groups[-1] if groups else []
        gap = merge.gap_ms / 1000
        length = sum(c.seconds for c in open_group) + gap * max(len(open_group) - 1, 0)
        short = clip.seconds < seconds_min or 0 < length < seconds_min
        if open_group and short and length + gap + clip.seconds <= seconds_max:
            open_group.append(clip)
        else:
            groups.append([clip])
    return groups


def without_duplicates(clips: Sequence[Clip], filters: FilterSettings) -> Sifted:
    """Keep the first of the same sound, and `repeats_max` readings of a text by a speaker.

    A turn that is only heard may come again: without it, its conversation would be parted, and it is not learnt.
    """
    kept: list[Clip] = []
    out: list[Rejection] = []
    first: dict[str, str] = {}
    readings: Counter[tuple[str, str]] = Counter()
    for clip in clips:
        reading = (clip.speaker, text_key(clip.text))
        if clip.sound_hash in first and clip.target:
            out.append(_rejection(clip, Reason.AUDIO_DUPLICATE, first[clip.sound_hash]))
        elif clip.conversation is None and readings[reading] >= filters.repeats_max:
            out.append(_rejection(clip, Reason.TEXT_REPEATED, f"{filters.repeats_max} times before"))
        else:
            first.setdefault(clip.sound_hash, clip.id)
            readings[reading] += 1
            kept.append(clip)
    return kept, out


def without_outliers(clips: Sequence[Clip], filters: FilterSettings) -> Sifted:
    """Leave out what is far from its speaker's usual rate; speakers of fewer than 8 clips have no usual rate."""
    rates: defaultdict[str, list[float]] = defaultdict(list)
    for clip in clips:
        rates[clip.speaker].append(clip.letters_per_s)
    centre = {speaker: median(values) for speaker, values in rates.items()}
    spread = {s: 1.4826 * median(abs(v - centre[s]) for v in values) for s, values in rates.items()}
    kept: list[Clip] = []
    out: list[Rejection] = []
    for clip in clips:
        # people vary by a tenth whatever the sample says
        width = max(spread[clip.speaker], 0.1 * centre[clip.speaker])
        distance = abs(clip.letters_per_s - centre[clip.speaker]) / width
        if len(rates[clip.speaker]) >= 8 and distance > filters.rate_z_max:
            detail = f"{clip.letters_per_s:.1f} letters a second, usually {centre[clip.speaker]:.1f}"
            out.append(_rejection(clip, Reason.RATE_OUTLIER, detail))
        else:
            kept.append(clip)
    return kept, out


def whole_conversations(clips: Sequence[Clip]) -> Sifted:
    """Part conversations where a turn is missing, since what follows answers it; drop those with nothing to learn."""
    kept: list[Clip] = []
    out: list[Rejection] = []
    talks: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.conversation is None:
            kept.append(clip)
        else:
            talks[clip.conversation].append(clip)
    for name, turns in talks.items():
        turns.sort(key=lambda clip: clip.turn)
        runs: list[list[Clip]] = []
        for turn in turns:
            if runs and turn.turn - runs[-1][-1].turn <= 1:
                runs[-1].append(turn)
            else:
                runs.append([turn])
        for number, run in enumerate(runs):
            if any(turn.target for turn in run):
                kept += [replace(turn, conversation=f"{name}/{number}" if number else name) for turn in run]
            else:
                out += [_rejection(turn, Reason.CONVERSATION_NO_TARGET, name) for turn in run]
    return kept, out


def assign_splits(
    clips: Sequence[Clip], settings: SplitSettings, *, seconds_min: float = 0.0
) -> tuple[dict[str, Split], list[Rejection]]:
    """Give each clip its split by id. No text is in both; with enough speakers, no speaker who is learnt is either.

    A conversation is one text, and goes where those go who are learnt of it. Chance is a hash, so a corpus that grows
    keeps what was held out. Done before clips are joined, or a text would be in one split by itself and in the other
    within a longer one; so one that is always shorter than `seconds_min` is not drawn by itself, since it may find
    nothing to be joined to there.
    """
    learnt = _learnt(clips)
    circles = _circles(learnt)
    names = set(circles.values())
    drawn = _drawn(names, settings.validation_share) if len(names) >= settings.speakers_min else set[str]()
    voices = {talk: any(circles[speaker] in drawn for speaker in own) for talk, own in learnt.items()}
    texts: defaultdict[bool, set[str]] = defaultdict(set)
    for clip in clips:
        texts[voices.get(_talk_of(clip), False)].add(_text_of(clip))
    # what both a held-out speaker and another one say; without any held out, texts alone decide
    shared = texts[True] & texts[False] if drawn else texts[False]
    alone = {_text_of(clip) for clip in clips if clip.conversation is not None or clip.seconds >= seconds_min}
    to_validation = _drawn(shared & alone, settings.validation_share)
    splits: dict[str, Split] = {}
    out: list[Rejection] = []
    for clip in clips:
        text, voice = _text_of(clip), voices.get(_talk_of(clip), False)
        split: Split = "validation" if (text in to_validation if text in shared else voice) else "train"
        if drawn and text in shared and voice != (split == "validation"):
            out.append(_rejection(clip, Reason.TEXT_OF_OTHER_SPLIT, f"its text is in {split}"))
        else:
            splits[clip.id] = split
    return splits, out


def _talk_of(clip: Clip) -> str:
    """Name the conversation, or for a clip by itself its speaker."""
    return f"speaker {clip.speaker}" if clip.conversation is None else f"conversation {clip.conversation}"


def _learnt(clips: Iterable[Clip]) -> dict[str, set[str]]:
    """Give the speakers who are learnt of each conversation: a caller who is only heard is no voice of the corpus."""
    learnt: defaultdict[str, set[str]] = defaultdict(set)
    for clip in clips:
        if clip.target:
            learnt[_talk_of(clip)].add(clip.speaker)
    return dict(learnt)


def _circles(learnt: Mapping[str, set[str]]) -> dict[str, str]:
    """Name each speaker's circle, those who are learnt in one conversation with them and so on, by its first name."""
    circles = {speaker: speaker for own in learnt.values() for speaker in own}
    for own in learnt.values():
        names = {circles[speaker] for speaker in own}
        if len(names) > 1:
            first = min(names)
            circles = {speaker: first if name in names else name for speaker, name in circles.items()}
    return circles


def _text_of(clip: Clip) -> str:
    return f"conversation {clip.conversation}" if clip.conversation is not None else text_key(clip.text)


def _drawn(keys: set[str], share: float) -> set[str]:
    """Draw a share of two keys or more, by their names alone; at least one, never all."""
    drawn = {key for key in keys if _chance(key) < share}
    if len(keys) < 2 or 0 < len(drawn) < len(keys):
        return drawn if len(keys) > 1 else set()
    return {min(keys, key=_chance)}


def _chance(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def _rejection(clip: Clip, reason: Reason, detail: str) -> Rejection:
    return Rejection(clip.id, reason, detail, clip.file)
