from __future__ import annotations

import pytest

from bot.recognition.copying import copies, first_saying, likely_tokens

STOP = 9
ENDS = frozenset({STOP})


@pytest.mark.parametrize(
    ("tokens", "length"),
    [
        ([1, 2, 3, STOP, 1, 2, 3, STOP], 4),
        ([1, 2, 3, 4, 5, STOP, 1, 2, 3, 4], 6),  # stopped within the second saying
        ([1, 2, 3, STOP, 1, 2, 3, STOP, 1, 2], 4),
    ],
)
def test_a_sentence_that_begins_again_is_said_once(tokens: list[int], length: int) -> None:
    assert first_saying(tokens, ENDS) == length


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [1, 2, 3, STOP],
        [1, 2, 3, STOP, 1, 2, 3],  # three tokens may be alike by chance
        [1, 2, 3, 4, 1, 2, 3, 4],  # digits that are said twice end no sentence
        [1, 2, 3, STOP, 1, 2, 3, 4],
        [5, 5, 1, 2, 3, STOP, 1, 2, 3, STOP],  # not from the start
    ],
)
def test_other_texts_are_no_loop(tokens: list[int]) -> None:
    assert first_saying(tokens, ENDS) is None


def test_longer_speech_may_have_more_tokens() -> None:
    assert likely_tokens(0.5) == 11
    assert likely_tokens(2.0) == 20


@pytest.mark.parametrize(
    ("text", "copied"),
    [
        ("İş saatlarınız necədir?", True),
        ("iş saatları necədir", True),  # two words of three
        ("İs satlarnuz nejadir.", False),
        ("Salam", False),
        ("", False),
    ],
)
def test_a_text_copies_the_prompt_where_half_of_its_words_stand_there(text: str, copied: bool) -> None:
    assert copies(text, "Məni operatora qoşun. İş saatlarınız necədir.") is copied
    assert not copies(text, "")
