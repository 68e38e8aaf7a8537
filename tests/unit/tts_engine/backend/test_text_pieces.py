from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.text_pieces import TextPiece, cut_text


def pieces(text: str, max_chars: int) -> list[tuple[str, int]]:
    return [(piece.text, piece.pause_ms) for piece in cut_text(text, max_chars=max_chars)]


def test_a_short_text_stays_whole() -> None:
    assert list(cut_text(" Salam. Necəsən? ", max_chars=20)) == [TextPiece("Salam. Necəsən?", 0)]


def test_a_long_text_is_cut_after_the_last_sentence_that_fits() -> None:
    assert pieces("Bir. İki! Üç dörd, beş.", 12) == [("Bir. İki!", 390), ("Üç dörd,", 195), ("beş.", 0)]


def test_without_a_sentence_it_is_cut_after_a_clause() -> None:
    assert pieces("bir iki, üç dörd", 12) == [("bir iki,", 195), ("üç dörd", 0)]


def test_without_a_clause_it_is_cut_between_words_without_a_pause() -> None:
    assert pieces("bir iki üç dörd", 12) == [("bir iki üç", 0), ("dörd", 0)]


def test_a_word_longer_than_a_piece_is_cut_in_it() -> None:
    assert pieces("aaaaabbbbb", 5) == [("aaaaa", 0), ("bbbbb", 0)]


def test_closing_quotes_stay_with_their_sentence() -> None:
    assert pieces("«Gəl.» O getdi.", 8) == [("«Gəl.»", 390), ("O getdi.", 0)]


def test_a_new_line_ends_a_sentence() -> None:
    assert pieces("Birinci\nikinci", 10) == [("Birinci", 390), ("ikinci", 0)]


@given(st.text(alphabet="abəş ,.!?\n»", max_size=200), st.integers(1, 40))
def test_nothing_but_space_is_lost_and_no_piece_is_too_long(text: str, max_chars: int) -> None:
    cut = pieces(text, max_chars)

    assert "".join("".join(piece.split()) for piece, _ in cut) == "".join(text.split())
    assert all(len(piece) <= max_chars for piece, _ in cut)
    assert cut[-1][1] == 0
