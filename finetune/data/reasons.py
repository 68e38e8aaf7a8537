"""Why a clip is rejected: one word for the machine, one sentence for the person who made the recording."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The values are what `rejected.jsonl` holds; `REMEDIES` says what to do about each."""

    ROW_MALFORMED = "row_malformed"
    ROW_BAD_ENCODING = "row_bad_encoding"
    ID_DUPLICATE = "id_duplicate"
    SPEAKER_INVALID = "speaker_invalid"
    SEGMENT_INVALID = "segment_invalid"
    CONVERSATION_EMPTY = "conversation_empty"
    CONVERSATION_NO_TARGET = "conversation_no_target"
    AUDIO_MISSING = "audio_missing"
    AUDIO_OUTSIDE_FOLDER = "audio_outside_folder"
    AUDIO_NOT_A_FILE = "audio_not_a_file"
    AUDIO_EMPTY = "audio_empty"
    AUDIO_UNREADABLE = "audio_unreadable"
    AUDIO_TRUNCATED = "audio_truncated"
    AUDIO_NOT_FINITE = "audio_not_finite"
    AUDIO_RATE_LOW = "audio_rate_low"
    AUDIO_SILENT = "audio_silent"
    AUDIO_NO_SPEECH = "audio_no_speech"
    AUDIO_QUIET = "audio_quiet"
    AUDIO_CLIPPED = "audio_clipped"
    AUDIO_NOISY = "audio_noisy"
    AUDIO_POOR = "audio_poor"
    AUDIO_DUPLICATE = "audio_duplicate"
    RECORDING_TOO_LONG = "recording_too_long"
    CLIP_TOO_SHORT = "clip_too_short"
    CLIP_TOO_LONG = "clip_too_long"
    TEXT_MISSING = "text_missing"
    TEXT_EMPTY = "text_empty"
    TEXT_MOJIBAKE = "text_mojibake"
    TEXT_CYRILLIC = "text_cyrillic"
    TEXT_MARKUP = "text_markup"
    TEXT_CHARSET = "text_charset"
    TEXT_NOT_WORDS = "text_not_words"
    TEXT_NOT_HEARD = "text_not_heard"
    TEXT_REPEATED = "text_repeated"
    RATE_FAST = "rate_fast"
    RATE_SLOW = "rate_slow"
    RATE_OUTLIER = "rate_outlier"
    TEXT_OF_OTHER_SPLIT = "text_of_other_split"
    CODES_READ_AS_END = "codes_read_as_end"


REMEDIES: dict[Reason, str] = {
    Reason.ROW_MALFORMED: "The row is not what its format asks for; compare it with a good one.",
    Reason.ROW_BAD_ENCODING: "The row is not UTF-8; save the manifest as UTF-8.",
    Reason.ID_DUPLICATE: "Another row has this id; the first one is kept.",
    Reason.SPEAKER_INVALID: "A speaker is a name or a number of up to 64 characters.",
    Reason.SEGMENT_INVALID: "Start and end must lie in the recording, and the end after the start.",
    Reason.CONVERSATION_EMPTY: "A conversation has at least one turn.",
    Reason.CONVERSATION_NO_TARGET: "No turn of the conversation that is left is to be learnt (`train`).",
    Reason.AUDIO_MISSING: "The manifest names a file that is not there.",
    Reason.AUDIO_OUTSIDE_FOLDER: "The path leads out of the corpus folder; copy the file into it.",
    Reason.AUDIO_NOT_A_FILE: "The path names a folder or a device.",
    Reason.AUDIO_EMPTY: "The file has no bytes or no samples; copy it again.",
    Reason.AUDIO_UNREADABLE: (
        "The file is damaged, or no sound that libsndfile knows (WAV, FLAC, OGG, Opus, MP3): copy it again, or "
        "convert it (ffmpeg -i 001.m4a 001.wav)"
    ),
    Reason.AUDIO_TRUNCATED: "The file ends before its sound does; copy it again.",
    Reason.AUDIO_NOT_FINITE: "The samples are not all numbers; export the file again.",
    Reason.AUDIO_RATE_LOW: "The recording has less than 16,000 samples a second; the voice would be dull.",
    Reason.AUDIO_SILENT: "All samples are zero, or nearly.",
    Reason.AUDIO_NO_SPEECH: "No speech is found in the recording.",
    Reason.AUDIO_QUIET: "The speech is so quiet that raising it would raise the noise with it.",
    Reason.AUDIO_CLIPPED: "Peaks are cut off; record again with less gain.",
    Reason.AUDIO_NOISY: "The noise is too near to the speech; clean the recording or record again.",
    Reason.AUDIO_POOR: "It would sound poor to people (DNSMOS); record again, or lower `filters.dnsmos_min`.",
    Reason.AUDIO_DUPLICATE: "Another clip has the same sound; the first one is kept.",
    Reason.RECORDING_TOO_LONG: "Cut the recording into sentences, or give start and end of each in the manifest.",
    Reason.CLIP_TOO_SHORT: "Too short by itself, and no neighbour of the speaker to join it to.",
    Reason.CLIP_TOO_LONG: "Too long, and without word times it cannot be split with its text; give `words`.",
    Reason.TEXT_MISSING: "The row has no text.",
    Reason.TEXT_EMPTY: "Nothing is left of the text once it is normalised.",
    Reason.TEXT_MOJIBAKE: "UTF-8 was read as another encoding on the way (`É™` for `ə`).",
    Reason.TEXT_CYRILLIC: "The text is in Cyrillic letters; the voice is served Latin ones.",
    Reason.TEXT_MARKUP: "The text holds tags; they would be read out.",
    Reason.TEXT_CHARSET: "The text holds characters that Azerbaijani does not have.",
    Reason.TEXT_NOT_WORDS: "Digits or signs are left that no rule puts in words.",
    Reason.TEXT_NOT_HEARD: "The recogniser hears another text; listen, and mend the text or leave the clip out.",
    Reason.TEXT_REPEATED: "The speaker has said this text often enough.",
    Reason.RATE_FAST: "More text than can be said in the time: text and sound do not belong together.",
    Reason.RATE_SLOW: "Less text than the time asks for: words are missing in the text, or it is another's.",
    Reason.RATE_OUTLIER: "Far from the speaker's usual rate of speech: text and sound may not belong together.",
    Reason.TEXT_OF_OTHER_SPLIT: "The text is also in the other split; one of the two had to go.",
    Reason.CODES_READ_AS_END: "A frame of the clip has the codes that mean the end.",
}


class Rejected(Exception):  # noqa: N818 - a verdict about a clip, not an error of the program
    """Raised while a clip is looked at, caught where clips are counted."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail
