from __future__ import annotations

from bot.language.inverse.tokens import Token, plains, tokens


def test_a_suffix_written_against_digits_belongs_to_them() -> None:
    assert tokens("25-ə") == (Token("25", "25", "25", "ə"),)


def test_a_word_written_against_digits_is_its_own() -> None:
    assert plains(tokens("25manat 5abc123")) == ("25", "manat", "5", "abc", "123")


def test_punctuation_is_remembered_as_a_pause() -> None:
    assert [token.after_pause for token in tokens("əlli, yüz iyirmi. Üç")] == [False, True, False, True]


def test_dates_times_and_groups_stay_whole() -> None:
    assert plains(tokens("22.11.2026 saat 14:35, 050-123")) == ("22.11.2026", "saat", "14:35", "050-123")


def test_digits_in_threes_are_one_number_where_that_is_asked_for() -> None:
    assert plains(tokens("1 500 manat", grouped=True)) == ("1 500", "manat")
    assert plains(tokens("050 123 45 67, 50 1234", grouped=True)) == ("050", "123", "45", "67", "50", "1234")
    assert plains(tokens("50 123 45 67")) == ("50", "123", "45", "67")


def test_a_minus_is_written_against_the_digits() -> None:
    assert [token.minus for token in tokens("-5 − 6 7-8 -9manat -on")] == [True, False, False, True, False, False]


def test_words_know_whether_they_were_written_as_digits() -> None:
    assert [token.is_number for token in tokens("beş 5 %")] == [False, True, False]
