"""Leaves out what a reasoning model thinks aloud before it answers: `<think>...</think>` is not for the caller."""

from __future__ import annotations

_OPENING, _CLOSING = "<think>", "</think>"


class Thoughts:
    """Feed it the text as it comes; what it gives is the answer alone."""

    def __init__(self) -> None:
        self._text: str | None = ""  # None: the answer has begun

    def without(self, piece: str) -> str:
        """Give what of the text so far is answer, and was not given yet."""
        if self._text is None:
            return piece
        self._text += piece
        text = self._text.lstrip()
        if text.startswith(_OPENING):
            _, closing, answer = text.partition(_CLOSING)
            if not closing:
                return ""
        elif _OPENING.startswith(text):
            return ""
        else:
            answer = self._text
        self._text = None
        return answer
