from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.llm.thoughts import Thoughts


def _answer(*pieces: str) -> str:
    thoughts = Thoughts()
    return "".join(thoughts.without(piece) for piece in pieces)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Bəli, var.", "Bəli, var."),
        ("<think>The caller asks.</think>Bəli.", "Bəli."),
        ("\n<think></think> Bəli.", " Bəli."),
        ("<think>It never ends", ""),
        ("<b>Bəli", "<b>Bəli"),
        ("Bəli <think> var", "Bəli <think> var"),
        ("<thi", ""),
        ("", ""),
    ],
)
def test_only_the_answer_is_left(text: str, answer: str) -> None:
    assert _answer(text) == answer


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "a", " "]), max_size=8).map("".join), st.integers(1, 5))
def test_it_does_not_matter_in_which_pieces_it_comes(text: str, size: int) -> None:
    assert _answer(*(text[at : at + size] for at in range(0, len(text), size))) == _answer(text)
