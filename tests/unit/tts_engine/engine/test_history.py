from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.port import CodecFormat, SpokenTurn
from tts_engine.engine.history import (
    HistoryLimits,
    cut_to_heard,
    heard_part,
    newest_within,
    remember,
    repeats,
    size_bytes,
)

CODEC = CodecFormat(codebooks=32, frame_hz=12.5)
LIMITS = HistoryLimits(max_turns=8, max_bytes=10_000)


def said(turn_id: str, text: str = "Bəli", seconds: float = 1.6, *, role: str = "assistant") -> SpokenTurn:
    frames = round(seconds * CODEC.frame_hz)
    codes = b"".join(bytes([n % 251]) * CODEC.frame_bytes for n in range(frames))
    return SpokenTurn(turn_id, role, text, seconds, codes)


def names(turns: tuple[SpokenTurn, ...]) -> list[str]:
    return [turn.turn_id for turn in turns]


def test_turns_are_kept_in_the_order_in_which_they_came() -> None:
    turns = remember(remember((), said("t1"), LIMITS), said("t2", role="user"), LIMITS)

    assert names(turns) == ["t1", "t2"]


def test_the_assistant_s_next_piece_continues_its_turn_in_place() -> None:
    turns = (said("t1", "Salam."), said("t2", role="user"))

    first, second = remember(turns, said("t1", "Buyurun.", 0.8), LIMITS)

    assert first.text == "Salam. Buyurun."
    assert first.duration_s == pytest.approx(2.4)
    assert first.codes == said("t1").codes + said("t1", seconds=0.8).codes
    assert second.turn_id == "t2"


def one_name(*parts: SpokenTurn) -> SpokenTurn:
    turns: tuple[SpokenTurn, ...] = ()
    for part in parts:
        turns = remember(turns, part, HistoryLimits())
    (turn,) = turns
    return turn


def test_what_the_requests_of_a_turn_said_can_be_told_apart() -> None:
    spoken = said("t1", "Salam.", 0.8), said("t1", "Sizi  eşidirəm. ", 1.6), said("t1", "Hə?", 0.4)

    assert one_name(*spoken).parts(CODEC) == spoken
    assert len(one_name(*spoken).parts(None)) == 1


def test_a_turn_of_several_requests_is_cut_in_the_one_that_was_being_said() -> None:
    first, second, third = said("t1", "bir iki", 1.6), said("t1", "üç dörd beş altı", 3.2), said("t1", "yeddi", 0.8)

    heard = heard_part(one_name(first, second, third), 3.2, CODEC)  # half of the second

    assert heard is not None
    assert (heard.text, heard.duration_s) == ("bir iki üç dörd", 3.2)
    assert heard.parts(CODEC) == (first, said("t1", "üç dörd", 1.6))


def test_a_turn_whose_sound_is_longer_than_its_codes_keeps_all_parts() -> None:
    turn = replace(one_name(said("t1", "bir iki", 1.6), said("t1", "üç dörd", 1.6)), duration_s=4.0)

    assert heard_part(turn, 3.5, CODEC) == replace(turn, duration_s=3.5)


def test_a_turn_heard_to_where_a_request_ends_keeps_that_whole() -> None:
    first, second = said("t1", "bir iki", 1.6), said("t1", "üç dörd", 1.6)

    heard = heard_part(one_name(first, second), 1.6, CODEC)

    assert heard == first


@given(st.lists(st.tuples(st.text("ab ", min_size=1), st.integers(1, 40)), min_size=1, max_size=6), st.data())
def test_whatever_was_heard_of_a_turn_the_requests_before_are_whole(
    spoken: list[tuple[str, int]], data: st.DataObject
) -> None:
    parts = tuple(said("t1", text, frames * 0.08) for text, frames in spoken)
    turn = one_name(*parts)
    frames = data.draw(st.integers(1, len(turn.codes) // 64))

    heard = heard_part(turn, frames * 0.08, CODEC)

    assert heard is not None
    assert heard.codes == turn.codes[: frames * 64]
    *whole, _ = heard.parts(CODEC)
    assert [(part.text, part.codes) for part in whole] == [(part.text, part.codes) for part in parts[: len(whole)]]


def test_the_user_s_turn_sent_again_replaces_the_first() -> None:
    turns = (said("t1", "Salam", role="user"), said("t2"))

    assert [t.text for t in remember(turns, said("t1", "Sağ ol", role="user"), LIMITS)] == ["Sağ ol", "Bəli"]


def test_too_many_turns_drop_the_oldest_in_a_hop() -> None:
    turns = tuple(said(f"t{n}", seconds=0.8) for n in range(8))

    assert names(remember(turns, said("t8"), LIMITS)) == ["t3", "t4", "t5", "t6", "t7", "t8"]


def test_too_many_bytes_drop_the_oldest_in_a_hop() -> None:
    turns = tuple(said(f"t{n}", seconds=24 * 0.08) for n in range(6))  # 1,541 bytes each

    kept = remember(turns, said("t6", seconds=24 * 0.08), LIMITS)

    assert names(kept) == ["t3", "t4", "t5", "t6"]


def test_a_turn_bigger_than_the_limit_is_not_kept_and_costs_the_others_nothing() -> None:
    kept = (said("t1"), said("t2"))

    assert remember(kept, said("t3", seconds=20.0), LIMITS) == kept
    assert remember(kept, said("t2", seconds=20.0), LIMITS) == kept


def test_the_user_s_words_corrected_keep_their_sound() -> None:
    (turn,) = remember((said("t1", "Salım", role="user"),), SpokenTurn("t1", "user", "Salam", 0.4), LIMITS)

    assert turn == said("t1", "Salam", role="user")


def test_a_turn_of_another_role_replaces_the_one_of_its_name() -> None:
    other = SpokenTurn("t1", "user", "Salam", 0.4)

    assert remember((said("t1"),), other, LIMITS) == (other,)


def test_what_the_assistant_s_turn_ends_with_repeats_it() -> None:
    kept = remember((said("t1", "Salam.", 0.8),), said("t1", "Buyurun.", 0.8), LIMITS)

    assert repeats(kept, said("t1", "Buyurun.", 0.8))
    assert repeats(kept, said("t1", "Salam. Buyurun.", 0.8))
    assert not repeats(kept, said("t1", "yurun.", 0.8))
    assert not repeats(kept, said("t1", "Buyurun.", 1.6))
    assert not repeats(kept, said("t1", "Buyurun.", 0.8, role="user"))
    assert not repeats(kept, said("t2", "Buyurun.", 0.8))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60), st.booleans()), max_size=30))
def test_no_history_grows_beyond_its_limits(steps: list[tuple[int, int, bool]]) -> None:
    turns: tuple[SpokenTurn, ...] = ()
    for name, frames, by_user in steps:
        turns = remember(
            turns, said(f"t{name}", "Salam", frames * 0.08, role="user" if by_user else "assistant"), LIMITS
        )

        assert len(turns) <= LIMITS.max_turns
        assert sum(map(size_bytes, turns)) <= LIMITS.max_bytes
        assert len(set(names(turns))) == len(turns)


def test_what_was_not_heard_is_cut_to_whole_frames_and_words() -> None:
    turn = said("t1", "bir iki üç dörd", 1.6)  # 20 frames

    (cut,) = cut_to_heard((turn,), "t1", 0.85, CODEC)

    assert cut.codes == turn.codes[: 10 * 64]
    assert cut.text == "bir iki üç"
    assert cut.duration_s == 0.85


def test_seconds_counted_from_whole_frames_lose_none_of_them() -> None:
    turn = said("t1", seconds=8.0)

    for frames in range(1, 100):
        part = heard_part(turn, frames * 0.08, CODEC)
        assert part is not None
        assert len(part.codes) == frames * 64


def test_a_turn_heard_to_its_end_is_left_alone() -> None:
    turn = said("t1")

    assert cut_to_heard((turn,), "t1", 1.6, CODEC) == (turn,)
    assert cut_to_heard((turn,), "t1", 99.0, CODEC) == (turn,)


def test_a_turn_of_which_no_frame_was_heard_is_forgotten() -> None:
    assert cut_to_heard((said("t1"), said("t2")), "t1", 0.05, CODEC) == (said("t2"),)


def test_sound_that_was_not_recognised_is_cut_as_well() -> None:
    (cut,) = cut_to_heard((said("t1", "", 2.0),), "t1", 1.5, CODEC)

    assert (cut.text, len(cut.codes)) == ("", 18 * 64)


def test_without_a_codec_the_words_are_cut() -> None:
    turn = SpokenTurn("t1", "assistant", "bir iki üç dörd", 2.0)

    (cut,) = cut_to_heard((turn,), "t1", 0.9, None)

    assert (cut.text, cut.codes) == ("bir iki", b"")
    assert cut_to_heard((turn,), "t1", 0.0, None) == ()


def test_a_turn_that_is_not_known_changes_nothing() -> None:
    assert cut_to_heard((said("t1"),), "t9", 0.1, CODEC) == (said("t1"),)


def test_all_is_heard_while_it_fits() -> None:
    turns = tuple(said(f"t{n}", seconds=10.0) for n in range(4))

    assert newest_within(turns, 40.0) == turns


def test_the_first_turn_of_the_context_changes_in_hops_only() -> None:
    turns = tuple(said(f"t{n:02}", seconds=2.0) for n in range(60))

    firsts = [names(newest_within(turns[:count], 40.0))[0] for count in range(1, 61)]

    assert len(set(firsts)) == 4  # 120 s of conversation, 90 s dropped, 30 s at a time
    assert firsts == sorted(firsts)


@pytest.mark.parametrize("max_s", [0.0, 5e-324, 1e-310, 1e-6])
def test_a_context_of_next_to_nothing_is_empty(max_s: float) -> None:
    assert newest_within((said("t1"), said("t2")), max_s) == ()


@given(st.lists(st.integers(0, 200), max_size=30), st.integers(0, 60))
def test_a_context_is_the_newest_turns_and_never_too_long(frames: list[int], max_s: int) -> None:
    turns = tuple(said(f"t{n}", seconds=count * 0.08) for n, count in enumerate(frames))

    chosen = newest_within(turns, float(max_s))

    assert sum(turn.duration_s for turn in chosen) <= max_s + 1e-6
    assert chosen == turns[len(turns) - len(chosen) :]
