"""One row of a corpus to a clean clip, or several if it is long, or the reason why not. Runs in workers."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from finetune.data.audio import RATE_HZ, Recording, Samples, bandwidth_hz, decode, read_clip, write_flac
from finetune.data.clip import Clip, Rejection, Utterance, Word, file_name, letters
from finetune.data.dnsmos import dnsmos, require_dnsmos
from finetune.data.loudness import levelled
from finetune.data.reasons import Reason, Rejected
from finetune.data.recognition import error_rate, open_recogniser
from finetune.data.settings import FilterSettings, PrepareSettings, TrimSettings
from finetune.data.speech import Span, levels_db, speech_finder
from finetune.data.text import spoken_form, words
from finetune.data.trim import snr_db, trimmed
from finetune.whole_file import whole_file

Outcome = Clip | Rejection

_PLAYED = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"\xff\xfb": ".mp3", b"\xff\xf3": ".mp3"}


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a recording with its own text."""

    text: str
    samples: Samples


def clean(utterance: Utterance, settings: PrepareSettings) -> tuple[Outcome, ...]:
    """Look at a row and write its clips under `output/clips`; never raises for what is wrong with the row."""
    if not utterance.target:
        settings = settings.model_copy(update={"filters": _heard_only(settings.filters)})
    try:
        text = spoken_form(utterance.text, case=settings.text_case)
        recording = decode(
            utterance.sound,
            start_s=utterance.start_s,
            end_s=utterance.end_s,
            rate_min_hz=settings.filters.rate_min_hz,
            seconds_max=settings.filters.recording_max_s,
        )
        _check_clipping(recording, settings.filters)
        parts = _parts(text, utterance, recording, settings)
    except Rejected as verdict:
        return (_rejection(utterance.id, utterance, verdict, settings.output),)
    outcomes: list[Outcome] = []
    for number, part in enumerate(parts):
        name = utterance.id if number == 0 else f"{utterance.id}-{number}"
        try:
            outcomes.append(_clip(name, part, utterance, settings))
        except Rejected as verdict:  # of this piece: the others are as good as they were
            outcomes.append(_rejection(name, utterance, verdict, settings.output))
    return tuple(outcomes)


def _heard_only(filters: FilterSettings) -> FilterSettings:
    """Give the filters of a turn that is heard and not learnt: a caller sounds as the line does, when served too."""
    spared = {"rate_min_hz": min(filters.rate_min_hz, 8_000), "clipped_share_max": 1.0, "snr_min_db": -100.0}
    return filters.model_copy(update={**spared, "dnsmos_min": None})


def _rejection(name: str, utterance: Utterance, verdict: Rejected, output: Path) -> Rejection:
    if isinstance(utterance.sound, Path):
        # absolute: the report lies in another folder than the one the corpus was named from
        sound = str(utterance.sound.absolute())
    else:
        sound = _kept_to_be_heard(utterance.sound, output, name)
    return Rejection(name, verdict.reason, verdict.detail, sound)


def _kept_to_be_heard(sound: bytes, output: Path, name: str) -> str | None:
    """Write a rejected sound that came in a table, as it is; None where it is of no kind that a browser plays."""
    ending = next((ending for start, ending in _PLAYED.items() if sound.startswith(start)), None)
    if ending is None:
        return None
    path = Path("rejected") / f"{file_name(name)}-{hashlib.sha256(sound).hexdigest()[:8]}{ending}"
    (output / path).parent.mkdir(parents=True, exist_ok=True)
    with whole_file(output / path) as partial:
        partial.write_bytes(sound)
    return str(path)


def write_clip(samples: Samples, folder: Path, name: str) -> tuple[str, str]:
    """Write FLAC of 16 bits; returns its path below the folder and the hash of its sound."""
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
    digest = hashlib.sha256(pcm.tobytes()).hexdigest()
    path = Path("clips") / f"{file_name(name)}-{digest[:8]}.flac"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / path) as partial:
        write_flac(partial, pcm)
    return str(path), digest


def _parts(text: str, utterance: Utterance, recording: Recording, settings: PrepareSettings) -> list[Part]:
    """Give the whole, or if it is long and its words have times, pieces parted at its longest pauses."""
    filters = settings.filters
    _check_rate_of_speech(text, recording.seconds, filters, only_fast=True)
    if recording.seconds <= filters.seconds_max or not utterance.words:
        return [Part(text, recording.samples)]
    _check_words(text, utterance.words, settings)
    groups = split_words(utterance.words, seconds_max=filters.seconds_max - 0.5)
    parts: list[Part] = []
    for index, group in enumerate(groups):
        # the cut lies in the middle of the pause, so that no sound goes to both
        before = 0.0 if index == 0 else _middle(groups[index - 1], group)
        after = recording.seconds if index == len(groups) - 1 else _middle(group, groups[index + 1])
        spoken = spoken_form(" ".join(word.text for word in group), case=settings.text_case)
        parts.append(Part(spoken, recording.samples[round(before * RATE_HZ) : round(after * RATE_HZ)]))
    return parts


def _check_words(text: str, timed: tuple[Word, ...], settings: PrepareSettings) -> None:
    """Refuse words that are not those of the text: what lacks a time would be in the sound of a piece, not in its text.

    One in twenty may differ, as numbers written in two ways do.
    """
    meant = Counter(words(text))
    given = Counter(words(spoken_form(" ".join(word.text for word in timed), case=settings.text_case)))
    lacking, strange = (meant - given).total(), (given - meant).total()
    if max(lacking, strange) > 0.05 * meant.total():
        raise Rejected(
            Reason.ROW_MALFORMED, f"`words` lacks {lacking} of the text's {meant.total()}, {strange} are others"
        )


def _middle(group: tuple[Word, ...], following: tuple[Word, ...]) -> float:
    return (group[-1].end_s + following[0].start_s) / 2


def split_words(words: tuple[Word, ...], *, seconds_max: float) -> list[tuple[Word, ...]]:
    """Part words at the longest pause again and again until no piece is too long; a piece keeps its words."""
    if len(words) < 2 or words[-1].end_s - words[0].start_s <= seconds_max:
        return [words]
    middle = (words[0].start_s + words[-1].end_s) / 2

    def worth(index: int) -> float:
        pause = words[index].start_s - words[index - 1].end_s
        # a pause near the middle is worth a little more, so that pieces are of a size
        return pause - 0.02 * abs(words[index].start_s - middle)

    cut = max(range(1, len(words)), key=worth)
    return [
        *split_words(words[:cut], seconds_max=seconds_max),
        *split_words(words[cut:], seconds_max=seconds_max),
    ]


def _clip(name: str, part: Part, utterance: Utterance, settings: PrepareSettings) -> Clip:
    filters = settings.filters
    spans, samples = _trim(part.samples, settings.trim)
    snr = snr_db(part.samples, spans)
    _check_level(part.samples, spans, snr, filters)
    seconds = len(samples) / RATE_HZ
    if seconds > filters.seconds_max:
        raise Rejected(Reason.CLIP_TOO_LONG, f"{seconds:.1f} s")
    _check_rate_of_speech(part.text, seconds, filters)
    samples = levelled(samples, lufs=settings.loudness_lufs, peak_dbfs=settings.peak_dbfs)
    mos, errors = _judged(samples, part.text, filters)
    file, digest = write_clip(samples, settings.output, name)
    return Clip(
        id=name,
        file=file,
        text=part.text,
        speaker=utterance.speaker,
        seconds=round(seconds, 4),
        source=utterance.id,
        sound_hash=digest,
        snr_db=None if snr is None else round(snr, 1),
        cut_s=round(len(part.samples) / RATE_HZ - seconds, 3),
        bandwidth_hz=round(bandwidth_hz(part.samples)),
        conversation=utterance.conversation,
        turn=utterance.turn,
        target=utterance.target,
        mos=mos,
        error_rate=errors,
    )


def _judged(samples: Samples, text: str, filters: FilterSettings) -> tuple[float | None, float | None]:
    """Ask the networks that the filters name: DNSMOS, and the recogniser's character error rate."""
    mos = errors = None
    if filters.dnsmos_min is not None:
        mos = round(dnsmos(samples, require_dnsmos("filters.dnsmos_min")).overall, 2)
        if mos < filters.dnsmos_min:
            raise Rejected(Reason.AUDIO_POOR, f"DNSMOS {mos:.2f}")
    if filters.recogniser:
        heard = open_recogniser(filters.recogniser)(samples)
        errors = round(error_rate(heard, text), 3)
        if errors > filters.error_rate_max:
            raise Rejected(Reason.TEXT_NOT_HEARD, f"{100 * errors:.0f} % otherwise: {heard[:200]}")
    return mos, errors


def _trim(samples: Samples, settings: TrimSettings) -> tuple[list[Span], Samples]:
    """Give where speech is, and the samples without the silence around it."""
    if settings.vad == "none":
        return [(0, len(samples))], samples
    spans = speech_finder(settings.vad)(samples)
    if not spans:
        raise Rejected(Reason.AUDIO_NO_SPEECH)
    return spans, trimmed(samples, spans, settings)


def joined(clips: list[Clip], settings: PrepareSettings) -> Clip:
    """Join clips of one speaker with a short pause between them, and their texts with a space."""
    gap = np.zeros(settings.merge.gap_ms * RATE_HZ // 1000, np.float32)
    pieces: list[Samples] = []
    for clip in clips:
        pieces += [gap] if pieces else []
        pieces.append(read_clip(settings.output / clip.file))
    whole = np.concatenate(pieces)
    file, digest = write_clip(whole, settings.output, clips[0].id)
    ratios = [clip.snr_db for clip in clips if clip.snr_db is not None]
    return replace(
        clips[0],
        file=file,
        text=" ".join(clip.text for clip in clips),
        seconds=round(len(whole) / RATE_HZ, 4),
        sound_hash=digest,
        snr_db=min(ratios, default=None),
        mos=min((clip.mos for clip in clips if clip.mos is not None), default=None),
        error_rate=max((clip.error_rate for clip in clips if clip.error_rate is not None), default=None),
        cut_s=round(sum(clip.cut_s for clip in clips), 3),
    )


def _check_clipping(recording: Recording, filters: FilterSettings) -> None:
    if recording.clipped_share > filters.clipped_share_max:
        raise Rejected(Reason.AUDIO_CLIPPED, f"{100 * recording.clipped_share:.2f} % of the samples")


def _check_level(samples: Samples, spans: list[Span], snr: float | None, filters: FilterSettings) -> None:
    speech = np.concatenate([samples[first:last] for first, last in spans])
    level = float(levels_db(speech, len(speech))[0])
    if level < filters.level_min_dbfs:
        raise Rejected(Reason.AUDIO_QUIET, f"{level:.0f} dBFS")
    if snr is not None and snr < filters.snr_min_db:
        raise Rejected(Reason.AUDIO_NOISY, f"{snr:.0f} dB")


def _check_rate_of_speech(text: str, seconds: float, filters: FilterSettings, *, only_fast: bool = False) -> None:
    rate = letters(text) / seconds
    if rate > filters.letters_per_s_max:
        raise Rejected(Reason.RATE_FAST, f"{rate:.1f} letters a second")
    if rate < filters.letters_per_s_min and not only_fast:
        raise Rejected(Reason.RATE_SLOW, f"{rate:.1f} letters a second")
