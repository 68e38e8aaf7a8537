from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.data.clip import Clip
from finetune.data.reasons import Reason
from finetune.data.select import (
    Split,
    assign_splits,
    merge_short,
    text_key,
    whole_conversations,
    without_duplicates,
    without_outliers,
)
from finetune.data.settings import FilterSettings, MergeSettings, SplitSettings

FILTERS = FilterSettings()


def clip(name: str, *, seconds: float = 3.0, text: str = "", speaker: str = "a", **change: object) -> Clip:
    text = text or f"Bu gün {name} gedirik"
    plain = Clip(name, f"{name}.flac", text, speaker, seconds, name, name, 30.0, 0.0, 11_000)
    return replace(plain, **change)


def join(clips: list[Clip]) -> Clip:
    length = sum(c.seconds for c in clips) + 0.25 * (len(clips) - 1)
    return replace(clips[0], text=" ".join(c.text for c in clips), seconds=length)


def all_in(clips: list[Clip], split: Split = "train") -> dict[str, Split]:
    return {one.id: split for one in clips}


def test_a_short_clip_joins_the_next_of_its_speaker_with_its_text():
    clips = [clip("a", seconds=0.5, text="Bəli."), clip("x", seconds=0.5, speaker="b"), clip("b", text="Aydındır.")]
    kept, out = merge_short(clips, all_in(clips), FILTERS, MergeSettings(), join)
    assert [(c.text, c.seconds) for c in kept] == [("Bəli. Aydındır.", 3.75)]
    assert [(r.id, r.reason) for r in out] == [("x", Reason.CLIP_TOO_SHORT)]


def test_a_last_short_clip_joins_the_one_before():
    clips = [clip("a"), clip("b", seconds=0.5)]
    kept, out = merge_short(clips, all_in(clips), FILTERS, MergeSettings(), join)
    assert [c.seconds for c in kept] == [3.75]
    assert out == []


def test_a_clip_just_too_short_joins_the_next_one_too():
    clips = [clip("a", seconds=0.9), clip("b")]
    kept, out = merge_short(clips, all_in(clips), FILTERS, MergeSettings(), join)
    assert [c.seconds for c in kept] == [4.15]
    assert out == []


def test_turns_of_a_conversation_stay_alone_however_short():
    turn = clip("a", seconds=0.4, conversation="c")
    clips = [turn, clip("b")]
    assert merge_short(clips, all_in(clips), FILTERS, MergeSettings(), join)[0] == clips


def test_joined_clips_are_no_longer_than_a_clip_may_be():
    clips = [clip("a", seconds=4.5), clip("b", seconds=0.8), clip("c", seconds=3.0)]
    kept, _ = merge_short(clips, all_in(clips), FilterSettings(seconds_max=5.0), MergeSettings(), join)
    assert [c.seconds for c in kept] == [4.5, 4.05]


@given(st.lists(st.tuples(st.sampled_from([0.4, 0.6, 2.0]), st.integers(0, 9)), min_size=2, max_size=60))
def test_no_sentence_of_joined_clips_is_in_both_splits(readings: list[tuple[float, int]]):
    clips = [clip(f"{n}", seconds=s, text=f"mətn{'x' * t}") for n, (s, t) in enumerate(readings)]
    splits, _ = assign_splits(clips, SplitSettings(validation_share=0.3), seconds_min=FILTERS.seconds_min)
    kept, _ = merge_short(clips, splits, FILTERS, MergeSettings(), join)
    texts = [
        {word for c in kept if splits[c.id] == split for word in c.text.split()} for split in ("train", "validation")
    ]
    assert not texts[0] & texts[1]
    # and what is held out is not lost for being short
    if len({c.text for c in clips if c.seconds >= FILTERS.seconds_min}) > 1:
        assert texts[1]


def test_a_text_said_too_often_is_left_out_whatever_its_marks():
    clips = [clip(f"{n}", text=t) for n, t in enumerate(("Salam!", "salam", "SALAM", "Salam."))]
    kept, out = without_duplicates(clips, FILTERS)
    assert len(kept) == 3
    assert out[0].reason == Reason.TEXT_REPEATED


def test_a_sound_that_is_only_heard_may_be_in_two_conversations():
    asked = [clip(f"{n}", conversation=n, target=False, sound_hash="alo") for n in "ab"]
    learnt = [clip("c", sound_hash="bəli"), clip("d", sound_hash="bəli")]
    kept, out = without_duplicates([*asked, *learnt], FILTERS)
    assert [one.id for one in kept] == ["a", "b", "c"]
    assert [(r.id, r.reason, r.detail) for r in out] == [("d", Reason.AUDIO_DUPLICATE, "c")]


def test_a_rate_far_from_the_speakers_own_is_left_out():
    usual = [clip(f"{n}", seconds=2 + n / 50) for n in range(12)]
    kept, out = without_outliers([*usual, clip("slow", seconds=9.0), clip("other", seconds=9, speaker="b")], FILTERS)
    assert [r.id for r in out] == ["slow"]
    assert len(kept) == 13


def test_a_conversation_is_parted_where_a_turn_is_missing():
    turns = [clip(f"{n}", conversation="c", turn=n, target=n != 0) for n in (0, 1, 3, 4)]
    kept, out = whole_conversations([*turns, clip("x")])
    assert [(c.id, c.conversation) for c in kept] == [
        ("x", None), ("0", "c"), ("1", "c"), ("3", "c/1"), ("4", "c/1"),
    ]  # fmt: skip
    assert out == []
    kept, out = whole_conversations([turns[0], *turns[2:]])
    assert [r.reason for r in out] == [Reason.CONVERSATION_NO_TARGET]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 12)), min_size=2, max_size=80))
def test_no_text_is_in_both_splits_and_with_many_voices_no_voice_is(readings: list[tuple[int, int]]):
    clips = [clip(f"{n}", speaker=f"s{s}", text=f"mətn {'x' * t}") for n, (s, t) in enumerate(readings)]
    splits, out = assign_splits(clips, SplitSettings())
    assert splits.keys() | {r.id for r in out} == {c.id for c in clips}
    parts = {split: [c for c in clips if splits.get(c.id) == split] for split in ("train", "validation")}
    texts = [{text_key(c.text) for c in part} for part in parts.values()]
    assert not texts[0] & texts[1]
    if len({c.speaker for c in clips}) >= 5:
        assert not {c.speaker for c in parts["train"]} & {c.speaker for c in parts["validation"]}
    else:
        assert not out
        assert len(texts[0] | texts[1]) < 2 or parts["validation"]


def turns(name: str, learnt: str, *, caller: str = "") -> list[Clip]:
    """Give a conversation in which each of the letters is learnt once, after a caller who is only heard."""
    spoken = [(caller, False)] * bool(caller) + [(letter, True) for letter in learnt]
    return [
        clip(f"{name}-{n}", speaker=speaker, conversation=name, turn=n, target=target)
        for n, (speaker, target) in enumerate(spoken)
    ]


@pytest.mark.parametrize("voice", ["bot", "operator", "a", "b", "c", "d"])
def test_callers_who_are_only_heard_are_no_voices_that_part_a_corpus(voice: str):
    talks = [turns(f"call{n}", "", caller=f"caller{n}") for n in range(40)]
    clips = [
        one
        for n, talk in enumerate(talks)
        for one in (*talk, clip(f"call{n}-1", speaker=voice, conversation=f"call{n}", turn=1))
    ]
    splits, out = assign_splits(clips, SplitSettings())
    assert out == []
    assert all(splits[f"call{n}-0"] == splits[f"call{n}-1"] for n in range(40))
    assert 0 < sum(split == "validation" for split in splits.values()) < 16


@given(st.lists(st.tuples(st.text("abcdefghij", min_size=1, max_size=3), st.booleans()), min_size=2, max_size=30))
def test_a_conversation_is_in_one_split_and_of_many_voices_none_is_in_both(talks: list[tuple[str, bool]]):
    clips = [
        one
        for n, (learnt, heard) in enumerate(talks)
        for one in turns(f"call{n}", learnt, caller=f"caller{n % 3}" if heard else "")
    ]
    splits, out = assign_splits(clips, SplitSettings())
    assert out == []
    for n in range(len(talks)):
        assert len({splits[one.id] for one in clips if one.conversation == f"call{n}"}) == 1
    voices = {
        split: {one.speaker for one in clips if one.target and splits[one.id] == split}
        for split in ("train", "validation")
    }
    assert voices["train"]
    assert voices["validation"]
    if all(len(set(learnt)) == 1 for learnt, _ in talks) and len({learnt[0] for learnt, _ in talks}) >= 5:
        assert not voices["train"] & voices["validation"]


def test_what_is_held_out_stays_held_out_when_the_corpus_grows():
    clips = [clip(f"{n}", text=f"mətn {'x' * n}") for n in range(40)]
    few, many = (assign_splits(part, SplitSettings(validation_share=0.2))[0] for part in (clips[:30], clips))
    held = {name for name, split in few.items() if split == "validation"}
    assert len(held & {name for name, split in many.items() if split == "validation"}) == len(held)
