from __future__ import annotations

from bot.language.inverse.corrections import corrections
from bot.language.inverse.tokens import plains, tokens


def test_the_last_correction_comes_first() -> None:
    parts = [(plains(before), plains(after)) for before, after in corrections(tokens("beş, yox, altı, səhv, yeddi"))]
    assert parts == [(("bes", "yox", "alti"), ("yeddi",)), (("bes",), ("alti", "sehv", "yeddi"))]


def test_no_turn_is_corrected_without_end() -> None:
    assert len(list(corrections(tokens("yox " * 2000)))) == 4


def test_who_does_not_correct_himself_has_no_corrections() -> None:
    assert not list(corrections(tokens("on beş manat, problem yoxdur")))
