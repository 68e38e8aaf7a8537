from __future__ import annotations

from bot.language.letters import letter_name, spell


def test_words_are_spelt_with_azerbaijani_letters() -> None:
    assert spell("ABŞ") == "a be şe"
    assert spell("QI") == "qe ı"


def test_codes_are_spelt_with_latin_letters() -> None:
    assert spell("IBAN", latin=True) == "i be a en"


def test_what_is_no_letter_stays() -> None:
    assert letter_name("?") == "?"
