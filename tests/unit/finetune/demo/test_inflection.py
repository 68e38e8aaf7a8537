from __future__ import annotations

import pytest

from finetune.demo.inflection import inflect


@pytest.mark.parametrize(
    ("word", "suffix", "made"),
    [
        ("bazar", "(y)a", "bazara"),
        ("qapı", "(y)a", "qapıya"),
        ("ev", "da", "evdə"),
        ("Bakı", "da", "Bakıda"),
        ("göz", "(n)ı", "gözü"),
        ("qonşu", "(n)ı", "qonşunu"),
        ("otaq", "(n)ın", "otağın"),
        ("çörək", "(n)ı", "çörəyi"),
        ("ürək", "da", "ürəkdə"),
        ("kitab", "(ı)m", "kitabım"),
        ("qapı", "(ı)m", "qapım"),
        ("hava limanı", "dan", "hava limanıdan"),
        ("gül", "lar", "güllər"),
        ("at", "(n)ı", "atı"),
    ],
)
def test_azerbaijani_suffixes_follow_the_word(word: str, suffix: str, made: str) -> None:
    assert inflect(word, suffix, "az") == made


@pytest.mark.parametrize(
    ("word", "suffix", "made"),
    [
        ("ev", "da", "evde"),
        ("sokak", "(y)a", "sokağa"),
        ("otobüs", "da", "otobüste"),
        ("kapı", "(y)ı", "kapıyı"),
        ("ağaç", "(y)ı", "ağacı"),
        ("göl", "(n)ın", "gölün"),
    ],
)
def test_turkish_suffixes_follow_the_word(word: str, suffix: str, made: str) -> None:
    assert inflect(word, suffix, "tr") == made
