"""What a conversation's turns become when one is added, cut short or chosen as context: pure functions.

Turns are dropped whole, oldest first, and in hops: a prompt whose beginning stays the same for several
turns is found in the engine's prefix cache; one that slides every turn is computed anew each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil, floor
from typing import TypeAlias

from tts_engine.backend.port import CodecFormat, SpokenTurn

Turns: TypeAlias = tuple[SpokenTurn, ...]  # oldest first

# A frame of codes lasts 80 ms; what the caller heard is rounded down to it. The slack takes back the
# rounding of seconds that were computed from whole frames.
_FRAME_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much of a conversation is kept."""

    max_turns: int = 64
    max_bytes: int = 128 * 1024  # text and codes; 160 s of codes at 800 B/s

    def hop(self) -> HistoryLimits:
        """How far a conversation is cut back once it has reached the limits."""
        return HistoryLimits(ceil(self.max_turns * 3 / 4), self.max_bytes * 3 // 4)


def remember(turns: Turns, turn: SpokenTurn, limits: HistoryLimits) -> Turns:
    """Add a turn. The user's replaces the one of its name, without codes its text only; the assistant's continues it.

    One that alone is more than is kept after a cut is not added, and costs the others nothing.
    """
    known = [t.turn_id for t in turns]
    if turn.turn_id in known:
        at = known.index(turn.turn_id)
        if turn.role == turns[at].role:
            turn = continued(turns[at], turn) if turn.role == "assistant" else _corrected(turns[at], turn)
        more = (*turns[:at], turn, *turns[at + 1 :])
    else:
        more = (*turns, turn)
    return more if _fits(more, limits) else _cut_back(more, limits.hop()) or turns


def repeats(turns: Turns, turn: SpokenTurn) -> bool:
    """Say whether the assistant's turn of that name is kept and ends with this: it came a second time."""
    return any(
        kept.turn_id == turn.turn_id
        and kept.role == turn.role == "assistant"
        and f" {kept.text}".endswith(f" {turn.text}")
        and kept.codes.endswith(turn.codes)
        for kept in turns
    )


def cut_to_heard(turns: Turns, turn_id: str, heard_s: float, codec: CodecFormat | None) -> Turns:
    """Forget what the caller did not hear of a turn; a turn of which nothing was heard goes whole."""
    return tuple(
        cut
        for turn in turns
        if (cut := heard_part(turn, heard_s, codec) if turn.turn_id == turn_id else turn) is not None
    )


def heard_part(turn: SpokenTurn, heard_s: float, codec: CodecFormat | None) -> SpokenTurn | None:
    """Keep the codes of whole frames heard, and the words up to the one that was being said.

    Words are spread evenly over the time of a request: a voice gives no timestamps, and a word too many or
    too few matters less than a text twice as long as its audio.
    """
    if heard_s >= turn.duration_s:
        return turn
    heard: SpokenTurn | None = None
    left_s = heard_s
    for part in turn.parts(codec):
        cut = _cut(part, left_s, codec)
        if cut is not None:
            heard = cut if heard is None else continued(heard, cut)
        if cut is not part:
            break
        left_s -= part.duration_s
    return None if heard is None else replace(heard, duration_s=heard_s)


def newest_within(turns: Turns, max_context_s: float) -> Turns:
    """Choose the newest turns that last no longer than `max_context_s` together.

    The first of them changes only when the conversation has grown by three quarters of that: who begins anew at each
    request has all of it read again, at 2,000 streams a third of the GPU's time (docs/benchmarks.md).
    """
    total_s = sum(turn.duration_s for turn in turns)
    if total_s <= max_context_s:
        return turns
    hop_s = max(max_context_s * 3 / 4, 1e-3)  # a request may ask for a context of next to nothing
    skip_s = ceil((total_s - max_context_s) / hop_s) * hop_s
    ends = accumulate(turn.duration_s for turn in turns)
    return tuple(turn for turn, end in zip(turns, ends, strict=True) if end - turn.duration_s >= skip_s)


def size_bytes(turn: SpokenTurn) -> int:
    """Bytes that a turn counts for."""
    return len(turn.text.encode()) + len(turn.codes)


def _cut(turn: SpokenTurn, heard_s: float, codec: CodecFormat | None) -> SpokenTurn | None:
    """Cut what one request said."""
    if heard_s >= turn.duration_s:
        return turn
    words = turn.text.split()
    said = " ".join(words[: ceil(len(words) * heard_s / turn.duration_s)])
    codes = turn.codes
    if codec is not None:
        codes = codes[: floor(heard_s * codec.frame_hz + _FRAME_SLACK) * codec.frame_bytes]
    if not (codes if turn.codes else said):  # a turn may have sound and no text: it was not recognised
        return None
    return replace(turn, text=said, duration_s=heard_s, codes=codes, joints=())


def continued(turn: SpokenTurn, more: SpokenTurn) -> SpokenTurn:
    """Say a turn, and then more of it."""
    letters, codes = len(turn.text) + 1, len(turn.codes)
    begun = ((0, 0), *more.joints) if turn.codes and more.codes else more.joints
    joint = ((letters + letter, codes + code) for letter, code in begun)
    return replace(
        turn,
        text=f"{turn.text} {more.text}",
        duration_s=turn.duration_s + more.duration_s,
        codes=turn.codes + more.codes,
        joints=(*turn.joints, *joint),
    )


def _corrected(turn: SpokenTurn, other: SpokenTurn) -> SpokenTurn:
    return replace(turn, text=other.text) if turn.codes and not other.codes else other


def _fits(turns: Turns, limits: HistoryLimits) -> bool:
    return len(turns) <= limits.max_turns and sum(map(size_bytes, turns)) <= limits.max_bytes


def _cut_back(turns: Turns, limits: HistoryLimits) -> Turns:
    while turns and not _fits(turns, limits):
        turns = turns[1:]
    return turns
