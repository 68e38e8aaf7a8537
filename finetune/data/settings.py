"""What decides how recordings become clips."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from finetune.config import Count, Settings, Share

Format = Literal["auto", "ljspeech", "audiofolder", "jsonl", "common_voice", "parquet", "conversations"]


class TrimSettings(Settings):
    """How much silence stays. Untrimmed ends teach the voice to go on after the last word."""

    vad: Literal["auto", "silero", "energy", "none"] = "auto"
    """`none` keeps recordings as they are, which is only of use to show what that does."""
    lead_ms: int = Field(default=80, ge=50, le=100)
    tail_ms: int = Field(default=150, ge=100, le=200)
    pause_max_ms: int = Field(default=600, ge=200)


class FilterSettings(Settings):
    seconds_min: float = Field(default=1.0, gt=0.0)
    seconds_max: float = Field(default=15.0, gt=0.0)
    recording_max_s: float = Field(default=1800.0, gt=0.0)
    rate_min_hz: Count = 16_000
    clipped_share_max: Share = 0.001
    snr_min_db: float = 15.0
    level_min_dbfs: float = -50.0
    letters_per_s_min: float = Field(default=4.0, gt=0.0)
    letters_per_s_max: float = Field(default=22.0, gt=0.0)
    rate_z_max: float = Field(default=5.0, gt=0.0)
    """How far from the median of the speaker, in robust standard deviations."""
    dnsmos_min: float | None = Field(default=None, ge=1.0, le=5.0)
    """Least overall DNSMOS; 2.8 to 3.0 is usual. Needs the extra `quality`; none is not looked at."""
    recogniser: str = ""
    """`whisper:FOLDER` or `module:function`: who is asked whether the text is what is said; empty is nobody."""
    error_rate_max: float = Field(default=0.15, gt=0.0)
    """Greatest share of characters that the recogniser may hear otherwise."""
    repeats_max: Count = 3
    """How often a speaker may say the same text."""


class MergeSettings(Settings):
    """Clips shorter than `filters.seconds_min` are joined with the speaker's next ones."""

    seconds_max: float = Field(default=12.0, gt=0.0)
    gap_ms: int = Field(default=250, ge=0)


class SplitSettings(Settings):
    validation_share: float = Field(default=0.05, gt=0.0, lt=0.5)
    speakers_min: Count = 5
    """With fewer speakers only texts are kept apart, since every voice is needed in training."""


class PrepareSettings(Settings):
    """The whole of a `prepare`; `output` is its one folder."""

    corpus: Path
    """A folder of recordings, or a data set of the Hugging Face hub as `owner/name` or `owner/name@revision`."""
    output: Path
    codec: str
    """The folder or hub id of the base model, whose Mimi makes the codes."""
    format: Format = "auto"
    trim: TrimSettings = TrimSettings()
    filters: FilterSettings = FilterSettings()
    merge: MergeSettings = MergeSettings()
    split: SplitSettings = SplitSettings()
    loudness_lufs: float = Field(default=-23.0, ge=-40.0, le=-10.0)
    peak_dbfs: float = Field(default=-1.0, le=0.0)
    text_case: Literal["keep", "lower"] = "keep"
    """`keep` is what the bot sends; a voice that learns `lower` is served small letters, by its `text_norm.json`."""
    speaker: str = Field(default="0", coerce_numbers_to_str=True)
    """Whose the clips are that name no speaker: a name, or the number that the prompt will have."""
    consent: str = ""
    """Whose voices these are and what they agreed to; it goes into the model card."""
    licence: str = ""
    """Under what terms the recordings may be used; it goes into the model card."""
    workers: int = Field(default=0, ge=0)
    """Processes; 0 is one a core, 1 works in this process."""
    shard_clips: Count = 512
    codec_batch_s: float = Field(default=120.0, gt=0.0)
