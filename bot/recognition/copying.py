"""What a prompt does to Whisper: it says a prompted sentence again and again, or says one that nobody spoke."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bot.recognition.sounds import plain

# A syllable of Azerbaijani is about one and a half tokens; docs/recognition.md has how many utterances stay below.
_TOKENS_AT_LEAST = 8
_TOKENS_PER_S = 6
_AGAIN = 4  # tokens alike that are no chance
_COPIED = 0.5  # of the words


def likely_tokens(audio_s: float) -> int:
    """How many tokens an utterance hardly has more of: a text as long as that may be going round in a loop."""
    return _TOKENS_AT_LEAST + math.ceil(_TOKENS_PER_S * audio_s)


def first_saying(tokens: Sequence[int], ends: frozenset[int]) -> int | None:
    """Length of the sentence that the text consists of, where it is being said again from its start; else None.

    `ends` are tokens that end a sentence. Digits that a caller repeats end in none, so they are not taken for a loop.
    """
    for length in range(_AGAIN, len(tokens) - _AGAIN + 1):
        if tokens[length - 1] in ends and all(tokens[at] == tokens[at - length] for at in range(length, len(tokens))):
            return length
    return None


def copies(text: str, prompt: str) -> bool:
    """Whether at least half of the words of a text stand in the prompt: then the sound has to bear it out."""
    words = plain(text).split()
    prompted = frozenset(plain(prompt).split())
    return bool(words) and sum(word in prompted for word in words) >= _COPIED * len(words)
