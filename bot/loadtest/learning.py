"""From the answers of a first stage to sources: of each text the answer that the others agree with.

The first time that a bot says something is often its worst (nothing is rendered yet), so it is not simply the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.loadtest.alignment import Reference, align
from bot.loadtest.sound import Samples

_MOST = 64  # texts
_MEMBERS = 5  # answers that are compared
_LEAST_SHARE = 0.3  # of the voiced pieces up to the end of the answer; less is another text
_ALIKE_MS = 20.0  # answers that differ by less in all are equals


@dataclass(frozen=True, slots=True)
class Answer:
    """What was heard, and of what (scenario and step)."""

    name: str
    samples: Samples


@dataclass(slots=True)
class _Text:
    """Answers that say the same."""

    members: list[Answer] = field(default_factory=list[Answer])

    def takes(self, answer: Answer) -> bool:
        """Whether the answer says what its first member says; a sixth and later one is not kept."""
        found = align(Reference("", self.members[0].samples), answer.samples)
        if found is None or found.found_share < _LEAST_SHARE or not found.same:
            return False
        if len(self.members) < _MEMBERS:
            self.members.append(answer)
        return True

    def best(self) -> Samples:
        """The member that differs least from the others; of equals the one beside which less is cut, then the longest.

        What one of two has too much is more often a stall of the one than a loss of the other.
        """
        return min(self.members, key=self._differs).samples

    def _differs(self, member: Answer) -> tuple[int, int, int]:
        source = Reference("", member.samples)
        found = [align(source, other.samples) for other in self.members if other is not member]
        cut_ms = sum(one.cut_ms + one.shortened_ms for one in found if one is not None)
        all_ms = cut_ms + sum(one.inserted_ms for one in found if one is not None)
        return round(all_ms / _ALIKE_MS), round(cut_ms / _ALIKE_MS), -len(member.samples)


def choose_sources(answers: Sequence[Answer]) -> list[Reference]:
    """Sort answers by what they say, those of one name first, and give a source for each text."""
    texts: list[_Text] = []
    for answer in answers:
        known = sorted(texts, key=lambda text: all(member.name != answer.name for member in text.members))
        if not any(text.takes(answer) for text in known) and len(texts) < _MOST:
            texts.append(_Text([answer]))
    names: dict[str, int] = {}
    sources: list[Reference] = []
    for text in texts:
        name = text.members[0].name
        variant = names[name] = names.get(name, -1) + 1
        sources.append(Reference(f"{name}#{variant}" if variant else name, text.best()))
    return sources
