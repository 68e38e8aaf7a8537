from __future__ import annotations

import pytest
from pydantic import ValidationError

from tts_engine.settings import TtsSettings


def test_the_voice_without_weights_is_the_default() -> None:
    assert TtsSettings().backend == "espeak"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"espeak\.wpm"):
        TtsSettings.model_validate({"espeak": {"wpm": 150}})


def test_a_backend_that_is_not_there_is_refused_with_the_list() -> None:
    with pytest.raises(ValidationError, match="'espeak', 'torch' or 'vllm'"):
        TtsSettings.model_validate({"backend": "festival"})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TtsSettings().port = 1  # type: ignore[misc]  # that is the test
