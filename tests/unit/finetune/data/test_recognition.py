from __future__ import annotations

import pytest

from finetune.data.recognition import distance, error_rate, open_recogniser
from finetune.errors import RecogniserError


def test_the_error_rate_is_of_words_alone():
    assert error_rate("SALAM NECESEN", "Salam, necəsən?") == pytest.approx(2 / 13)
    assert error_rate("saat 5", "Saat beş.") == 0
    assert error_rate("", "bir") == 1
    assert distance("kitab", "kitablar") == 3


@pytest.mark.parametrize("name", ["whisper", "whisper:/nowhere", "no_such_module:x", "math:nothing", "math:pi"])
def test_a_recogniser_that_cannot_be_opened_is_named(name: str):
    with pytest.raises(RecogniserError):
        open_recogniser(name)
