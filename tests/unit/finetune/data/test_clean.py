from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from finetune.data.audio import decode
from finetune.data.clean import clean, joined, split_words
from finetune.data.clip import Clip, Rejection, Utterance, Word, file_name
from finetune.data.dnsmos import Mos
from finetune.data.reasons import Reason, Rejected
from finetune.data.settings import PrepareSettings, TrimSettings
from finetune.data.text import spoken_form
from tests.unit.finetune.data.sounds import noise, recording, speech, write


def settings(folder: Path) -> PrepareSettings:
    return PrepareSettings(corpus=folder, output=folder / "out", codec="c", trim={"vad": "energy"})


def test_a_long_recording_with_word_times_is_split_with_its_text(tmp_path: Path):
    sentences = [["bu", "gün", "hava", "çox", "gözəldir"], ["sabah", "yağış", "yağacaq", "dedilər", "bizə"]]
    pieces, words, at = [], [], 0.0
    for index, sentence in enumerate(sentences):
        length = 8.4 if index == 0 else 9.0
        pieces += [recording(length, lead=0.1, tail=0.9, seed=index)]
        step = length / len(sentence)
        words += [Word(w, at + 0.1 + i * step, at + 0.1 + (i + 1) * step) for i, w in enumerate(sentence)]
        at += length + 1.0
    sound = write(tmp_path / "long.wav", np.concatenate(pieces))
    text = " ".join(word.text for word in words)
    prepared = settings(tmp_path).model_copy(
        update={"filters": settings(tmp_path).filters.model_copy(update={"letters_per_s_min": 1.0})}
    )
    first, second = clean(Utterance("a", sound, text, "0", words=tuple(words)), prepared)
    assert isinstance(first, Clip)
    assert isinstance(second, Clip)
    assert (first.id, first.text) == ("a", "bu gün hava çox gözəldir")
    assert (second.id, second.text) == ("a-1", "sabah yağış yağacaq dedilər bizə")
    assert first.seconds == pytest.approx(8.4 + 0.23, abs=0.1)
    assert second.seconds == pytest.approx(9.0 + 0.23, abs=0.1)


@pytest.mark.parametrize(
    ("text", "timed", "detail"),
    [
        ("bir iki üç dörd beş altı", "bir üç beş", "`words` lacks 3 of the text's 6, 0 are others"),
        ("bir iki üç", "bir iki üç dörd", "`words` lacks 0 of the text's 3, 1 are others"),
    ],
)
def test_word_times_of_another_text_do_not_part_sound_and_text(text: str, timed: str, detail: str, tmp_path: Path):
    sound = write(tmp_path / "long.wav", recording(20))
    words = tuple(Word(word, float(n), n + 0.9) for n, word in enumerate(timed.split()))
    (verdict,) = clean(Utterance("a", sound, text, "0", words=words), settings(tmp_path))
    assert verdict == Rejection("a", Reason.ROW_MALFORMED, detail, str(sound))


def test_word_times_may_spell_a_few_words_and_marks_otherwise(tmp_path: Path):
    sound = write(tmp_path / "long.wav", np.concatenate([recording(9, lead=0.1, tail=0.9, seed=n) for n in (1, 2)]))
    text = "Saat 5-də, gözəldir! " + " ".join(["gözəldir"] * 17)
    words = tuple(Word(word, n + 0.1, n + 1.0) for n, word in enumerate(["saat", "beşdə", *["GÖZƏLDİR"] * 18]))
    assert len(clean(Utterance("a", sound, text, "0", words=words), settings(tmp_path))) == 2


@given(st.lists(st.tuples(st.floats(0.05, 0.8), st.floats(0, 1.5)), min_size=1, max_size=60))
def test_splitting_loses_no_word_and_no_piece_is_too_long(lengths: list[tuple[float, float]]):
    words, at = [], 0.0
    for index, (length, pause) in enumerate(lengths):
        words.append(Word(str(index), at, at + length))
        at += length + pause
    groups = split_words(tuple(words), seconds_max=5.0)
    assert [word for group in groups for word in group] == words
    assert all(group[-1].end_s - group[0].start_s <= 5.0 for group in groups)


def test_joined_clips_have_their_sounds_and_texts_one_after_the_other(tmp_path: Path):
    prepared = settings(tmp_path)
    clips = []
    for name in ("a", "b"):
        sound = write(tmp_path / f"{name}.wav", recording(1.5, seed=ord(name)))
        clips += clean(Utterance(name, sound, f"Bu gün hava {name * 3}", "0"), prepared)
    whole = joined(clips, prepared)
    assert whole.text == "Bu gün hava aaa Bu gün hava bbb"
    assert whole.seconds == pytest.approx(clips[0].seconds + clips[1].seconds + 0.25, abs=1e-3)
    assert soundfile.info(prepared.output / whole.file).frames == round(whole.seconds * 24_000)


def test_channels_that_cancel_out_give_the_louder_one(tmp_path: Path):
    sound = speech(2)
    write(tmp_path / "a.wav", np.stack((sound, -sound * 0.9), axis=1))
    out = decode(tmp_path / "a.wav", start_s=None, end_s=None, rate_min_hz=16_000, seconds_max=60)
    assert np.abs(out.samples - sound).max() < 0.01


def test_a_part_of_a_recording_is_resampled_to_24_khz(tmp_path: Path):
    write(tmp_path / "a.flac", noise(4, -20, rate=44_100), rate=44_100)
    out = decode(tmp_path / "a.flac", start_s=1.0, end_s=2.5, rate_min_hz=16_000, seconds_max=60)
    assert out.seconds == pytest.approx(1.5, abs=1e-3)
    with pytest.raises(Rejected, match=Reason.AUDIO_EMPTY):
        decode(b"", start_s=None, end_s=None, rate_min_hz=16_000, seconds_max=60)


@pytest.mark.parametrize(
    ("raw", "spoken"),
    [
        ("Saat 5-də   gəl.", "Saat beşdə gəl."), ("s\u0327\u0259h\u0259r", "şəhər"),
        ("‘Salam’ dedi, Quranʼın", "‘Salam’ dedi, Quranʼın"),
    ],
)  # fmt: skip
def test_text_is_composed_and_numbers_are_words(raw: str, spoken: str):
    assert spoken_form(raw, case="keep") == spoken


def test_a_capital_that_python_lowered_is_one_letter_again():
    assert spoken_form("İlk gün".lower(), case="keep") == "ilk gün"


def test_capitals_are_lowered_as_azerbaijani_does():
    assert spoken_form("İstanbul IŞIQ ƏLİ", case="lower") == "istanbul ışıq əli"
    assert spoken_form("İstanbul IŞIQ", case="keep") == "İstanbul IŞIQ"


def test_file_names_are_safe_whatever_the_id():
    assert file_name("../a b/ə.wav") == "a_b_.wav"
    assert file_name("...") == "clip"


def test_a_clip_whose_text_is_not_heard_is_rejected_with_what_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said = {"text": "bu gün hava çox gözəldir"}
    monkeypatch.setattr("finetune.data.clean.open_recogniser", lambda name: lambda samples: said["text"])
    plain = settings(tmp_path)
    asked = plain.model_copy(update={"filters": plain.filters.model_copy(update={"recogniser": "any:one"})})
    utterance = Utterance("a", write(tmp_path / "a.wav", recording(2.5)), "Bu gün hava çox gözəldir.", "0")
    (kept,) = clean(utterance, asked)
    assert isinstance(kept, Clip)
    assert kept.error_rate == 0.0
    said["text"] = "sabah yağış yağacaq"
    (out,) = clean(utterance, asked)
    assert isinstance(out, Rejection)
    assert out.reason is Reason.TEXT_NOT_HEARD
    assert "sabah yağış" in out.detail


def test_a_clip_that_would_sound_poor_is_rejected_with_its_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("finetune.data.clean.require_dnsmos", lambda field: tmp_path)
    monkeypatch.setattr("finetune.data.clean.dnsmos", lambda samples, path: Mos(3.0, 3.0, 2.5))
    plain = settings(tmp_path)
    utterance = Utterance("a", write(tmp_path / "a.wav", recording(2.5)), "Bu gün hava çox gözəldir.", "0")
    for least, kept in ((2.4, True), (2.6, False)):
        filters = plain.filters.model_copy(update={"dnsmos_min": least})
        (outcome,) = clean(utterance, plain.model_copy(update={"filters": filters}))
        assert outcome.mos == 2.5 if isinstance(outcome, Clip) else outcome.reason is Reason.AUDIO_POOR
        assert isinstance(outcome, Clip) is kept


def test_without_voice_detection_a_recording_stays_as_it_is(tmp_path: Path):
    sound = recording(2.5, lead=0.8, tail=1.2)
    whole = settings(tmp_path).model_copy(update={"trim": TrimSettings(vad="none")})
    (clip,) = clean(Utterance("a", write(tmp_path / "a.wav", sound), "Bu gün hava çox gözəldir.", "0"), whole)
    assert isinstance(clip, Clip)
    assert clip.seconds == pytest.approx(len(sound) / 24_000, abs=1e-3)


def test_a_piece_that_is_no_good_costs_only_itself(tmp_path: Path):
    # two pieces of one recording, the second with more text than can be said in it
    pieces = [recording(8.4, lead=0.1, tail=0.9, seed=seed) for seed in (1, 2)]
    sound = write(tmp_path / "long.wav", np.concatenate(pieces))
    words = tuple(
        Word(text, at + 0.2 + 1.6 * n, at + 1.5 + 1.6 * n)
        for text, at in (("gözəldir", 0.0), ("gözəldir" * 6, 9.4))
        for n in range(5)
    )
    text = " ".join(word.text for word in words)
    good, bad = clean(Utterance("a", sound, text, "0", words=words), settings(tmp_path))
    assert isinstance(good, Clip)
    assert isinstance(bad, Rejection)
    assert (good.id, bad.id, bad.reason) == ("a", "a-1", Reason.RATE_FAST)


@pytest.mark.parametrize(
    ("rate", "snr_db", "reason"), [(8_000, 40.0, Reason.AUDIO_RATE_LOW), (16_000, 10.0, Reason.AUDIO_NOISY)]
)
def test_a_caller_who_is_only_heard_may_sound_like_a_telephone(
    rate: int, snr_db: float, reason: Reason, tmp_path: Path
):
    sound = write(tmp_path / "a.wav", recording(2.5, rate=rate, snr_db=snr_db), rate=rate)
    turn = Utterance("a", sound, "Bu gün hava çox gözəldir", "c", conversation="call")
    (learnt,) = clean(turn, settings(tmp_path))
    assert isinstance(learnt, Rejection)
    assert learnt.reason == reason
    (heard,) = clean(replace(turn, target=False), settings(tmp_path))
    assert isinstance(heard, Clip)
    assert not heard.target


@pytest.mark.parametrize(("format_", "ending"), [("WAV", ".wav"), ("FLAC", ".flac"), ("OGG", ".ogg"), ("MP3", ".mp3")])
def test_a_rejected_sound_out_of_a_table_can_be_heard(tmp_path: Path, format_: str, ending: str):
    sound = io.BytesIO()
    soundfile.write(sound, recording(2.5), 24_000, format=format_)
    (outcome,) = clean(Utterance("a/b", sound.getvalue(), "gözəldir" * 60, "0"), settings(tmp_path))
    assert isinstance(outcome, Rejection)
    assert outcome.sound is not None
    assert outcome.sound.endswith(ending)
    assert (settings(tmp_path).output / outcome.sound).read_bytes() == sound.getvalue()


def test_rejected_bytes_that_are_no_sound_are_not_kept(tmp_path: Path):
    (outcome,) = clean(Utterance("a", b"not a sound", "Bu gün hava çox gözəldir.", "0"), settings(tmp_path))
    assert isinstance(outcome, Rejection)
    assert outcome.sound is None
