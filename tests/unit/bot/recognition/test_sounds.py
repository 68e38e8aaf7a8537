from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bot.recognition.sounds import NgramIndex, plain, sound


def test_plain_lowers_by_azerbaijani_rules():
    assert plain("  İŞIQ,  Qızım! ") == "işıq qızım"


def test_punctuation_parts_words():
    assert plain("xeyr,istəmirəm - yox_yox") == "xeyr istəmirəm yox yox"


def test_what_a_weak_recogniser_writes_sounds_the_same():
    assert sound("gabula jazilmax") == sound("Qəbula cazılmah")
    assert sound("Balid stür") == sound("bəlit istür".replace("bəlit i", "bəlit "))


@given(st.text(max_size=40))
def test_sound_is_stable(text: str):
    assert sound(sound(text)) == sound(text)


def test_the_phrase_itself_is_most_alike():
    index = NgramIndex(["qəbula yazılmaq istəyirəm", "iş saatlarınız necədir", "operator"])
    likeness = index.likeness("Gabula yazılmah isteyram")
    assert likeness.argmax() == 0
    assert np.isclose(index.likeness("operator")[2], 1.0)


def test_a_text_of_other_sounds_is_like_nothing():
    assert not NgramIndex(["operator"]).likeness("hmm").any()
    assert not NgramIndex(["operator"]).likeness("").any()


def test_an_index_of_nothing_gives_nothing():
    assert NgramIndex([]).likeness("salam").shape == (0,)
