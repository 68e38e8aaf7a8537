from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_engine.model.errors import PromptError
from tts_engine.model.prompt import AUDIO, ContextTurn, Prompt, PromptBuilder


class Letters:
    """One id a letter."""

    bos_id, eos_id = 1000, 1001

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]


class Counted(Letters):
    """Counts what it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, text: str) -> list[int]:
        self.texts.append(text)
        return super().encode(text)


def builder(positions: int = 2048) -> PromptBuilder:
    return PromptBuilder(Letters(), num_codebooks=4, codebook_size=67, positions=positions)


def spoken(frames: int, *, speaker: int = 1, text: str = "a", code: int = 5) -> ContextTurn:
    return ContextTurn(speaker, text, np.full((frames, 4), code, np.int16))


def test_a_text_is_bos_speaker_text_eos():
    prompt = builder().build("ab", speaker=0, reserve_frames=10)
    assert prompt.tokens.tolist() == [1000, ord("["), ord("0"), ord("]"), ord("a"), ord("b"), 1001]
    assert not prompt.codes.any()


def test_a_turn_with_sound_has_its_frames_and_a_frame_of_zeros():
    tokens, codes = builder().turn(spoken(2))
    assert tokens.tolist() == [1000, ord("["), ord("1"), ord("]"), ord("a"), 1001, AUDIO, AUDIO, AUDIO]
    assert codes[6:].tolist() == [[5] * 4, [5] * 4, [0] * 4]


def test_a_turn_without_sound_has_no_frames():
    for codes in (None, np.zeros((0, 4), np.int16)):
        assert AUDIO not in builder().turn(ContextTurn(0, "a", codes))[0].tolist()


def test_a_turn_that_is_quoted_again_is_read_once_and_its_ids_go_with_it():
    tokenizer = Counted()
    prompts = PromptBuilder(tokenizer, num_codebooks=4, codebook_size=67, positions=2048)
    quoted, same = spoken(2, text="x"), spoken(2, text="x")
    first = prompts.build("y", speaker=0, context=[quoted, quoted], reserve_frames=10)
    again = prompts.build("y", speaker=0, context=[quoted, quoted], reserve_frames=10)
    assert np.array_equal(first.tokens, again.tokens)
    assert np.array_equal(first.codes, again.codes)
    assert tokenizer.texts == ["[0]y", "[1]x", "[0]y"]

    prompts.build("y", speaker=0, context=[same], reserve_frames=10)  # another turn, though it says the same
    assert tokenizer.texts[3:] == ["[0]y", "[1]x"]
    assert len(prompts._read) == 2
    del quoted, same
    assert not prompts._read  # a caller's words are kept no longer than the turn


def test_the_passage_of_a_turn_that_is_quoted_again_is_the_same_one_and_copies_no_codes():
    prompts, quoted = builder(), spoken(2)
    first, again = (prompts.build(text, speaker=0, context=[quoted], reserve_frames=10) for text in ("x", "y"))
    assert first.passages[0] is again.passages[0]
    assert quoted.codes is not None
    assert np.shares_memory(first.passages[0].frames[0], quoted.codes)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=1, max_size=8), st.randoms())
def test_a_prompt_made_of_arrays_has_them(runs: list[tuple[bool, int]], random: Random):
    tokens = np.concatenate([np.full(n, AUDIO if audio else 7, np.int32) for audio, n in runs])
    codes = np.array([[random.randrange(60) for _ in range(4)] for _ in tokens], np.int16)
    codes[tokens != AUDIO] = 0
    prompt = Prompt.of(tokens, np.asfortranarray(codes))
    assert np.array_equal(prompt.tokens, tokens)
    assert np.array_equal(prompt.codes, codes)
    assert len(prompt) == len(tokens)
    assert prompt.frame_bytes() == codes[tokens == AUDIO].tobytes()
    assert [prompt.frames_within(n) for n in range(len(tokens) + 2)] == [
        int((tokens[:n] == AUDIO).sum()) for n in range(len(tokens) + 2)
    ]


def test_codes_that_lie_apart_in_memory_are_put_together():
    apart = ContextTurn(1, "a", np.arange(48, dtype=np.int16).reshape(12, 4)[::2])
    prompt = builder().build("b", speaker=0, context=[apart], reserve_frames=10)
    assert apart.codes is not None
    assert prompt.frame_bytes() == apart.codes.tobytes() + bytes(8)


def test_turns_come_before_the_text_in_their_order():
    prompt = builder().build("z", speaker=0, context=[spoken(1, text="x"), spoken(1, text="y")], reserve_frames=10)
    letters = [chr(token) for token in prompt.tokens if chr(max(token, 0)) in "xyz"]
    assert (letters, prompt.dropped) == (["x", "y", "z"], 0)


@given(
    lengths=st.lists(st.integers(0, 400), max_size=20),
    text=st.text("ab ", min_size=1, max_size=200).filter(str.strip),
)
def test_a_prompt_fits_and_loses_only_whole_oldest_turns(lengths: list[int], text: str):
    context = [spoken(frames, code=1 + n) for n, frames in enumerate(lengths)]
    prompt = builder().build(text, speaker=0, context=context, reserve_frames=300)
    assert len(prompt) + 300 <= 2048
    kept = builder().build(text, speaker=0, context=context[prompt.dropped :], reserve_frames=300)
    assert np.array_equal(kept.tokens, prompt.tokens)
    assert np.array_equal(kept.codes, prompt.codes)


def test_trimming_goes_in_hops_so_that_most_turns_keep_the_beginning():
    context: list[ContextTurn] = []
    dropped: list[int] = []
    for turn in range(60):
        text = "a" * (20 + turn % 7)
        dropped.append(builder().build(text, speaker=0, context=context, reserve_frames=400).dropped)
        context.append(spoken(60 + turn % 5))
    assert dropped == sorted(dropped)
    assert 5 <= len(set(dropped)) - 1 <= 15
    assert dropped[-1] > 30


@pytest.mark.parametrize("frames", range(0, 300, 50))
def test_neither_text_nor_sample_moves_the_cut_among_texts_of_usual_length(frames: int):
    context = [spoken(frames), *(spoken(60 + turn % 5) for turn in range(40))]
    dropped = {
        builder().build("a" * letters, speaker=0, context=context, pinned=1, reserve_frames=512).dropped
        for letters in range(1, 250, 10)
    }
    assert len(dropped) == 1


def test_the_sample_of_the_voice_is_never_left_out():
    context = [spoken(300, text="v"), *(spoken(200) for _ in range(20))]
    prompt = builder().build("a", speaker=0, context=context, pinned=1, reserve_frames=300)
    assert ord("v") in prompt.tokens
    assert prompt.dropped >= 13


def test_a_text_that_does_not_fit_is_refused_with_the_remedy():
    with pytest.raises(PromptError, match="split the text") as caught:
        builder(100).build("a" * 90, speaker=0, reserve_frames=20)
    assert caught.value.field == "text"


def test_an_empty_text_is_refused():
    with pytest.raises(PromptError, match="no text"):
        builder().build(" \n", speaker=0, reserve_frames=1)


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((3, 5), np.int16),
        np.zeros((3, 4), np.int64),
        np.full((3, 4), 67, np.int16),
        -np.ones((1, 4), np.int16),
    ],
)
def test_codes_that_are_not_codes_are_refused(codes: np.ndarray):
    with pytest.raises(PromptError) as caught:
        builder().build("a", speaker=0, context=[ContextTurn(1, "a", codes)], reserve_frames=1)
    assert caught.value.field == "codes"
