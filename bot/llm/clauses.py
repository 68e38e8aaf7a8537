"""Cuts a text that is still being written into clauses, so that the first can be spoken while the rest is written.

The first cut may be at a comma, since it is what the caller waits for; later ones are at the ends of sentences, which
a voice reads best in one piece. Where cuts fall does not depend on the pieces in which the text comes.
"""

from __future__ import annotations

import re

_FIRST_LEAST = 12  # characters before a first cut: a voice needs a few words to begin well
_END = re.compile(r"[.!?…]+[\"'»”)]*(?=\s)|\n")
_PAUSE = re.compile(r"[,;:–—][\"'»”)]*(?=\s)|[.!?…]+[\"'»”)]*(?=\s)|\n")
_OPEN_END = re.compile(r"(?:\b\w{1,3}|\d)\.$")  # dr. küç. 5. do not end a sentence
_LONGEST = 300  # characters without an end: cut at a space


class Clauses:
    """Feed it pieces; `end()` gives what is left."""

    def __init__(self) -> None:
        self._text = ""
        self._is_first = True

    def feed(self, piece: str) -> list[str]:
        """Take a piece; gives the clauses that it completes."""
        self._text += piece
        found: list[str] = []
        while (at := self._cut()) is not None:
            clause, self._text = self._text[:at].strip(), self._text[at:]
            if clause:
                found.append(clause)
                self._is_first = False
        return found

    def end(self) -> str:
        """Give the rest."""
        rest, self._text = self._text.strip(), ""
        return rest

    def _cut(self) -> int | None:
        for match in (_PAUSE if self._is_first else _END).finditer(self._text):
            before = self._text[: match.end()]
            if self._is_first and len(before.strip()) < _FIRST_LEAST and match[0] != "\n":
                continue
            if not _OPEN_END.search(before):
                return match.end()
        if len(self._text) > _LONGEST:
            space = self._text.rfind(" ", 0, _LONGEST)
            return space if space > 0 else _LONGEST
        return None
