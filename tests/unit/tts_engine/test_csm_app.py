from __future__ import annotations

import pytest

from tts_engine.csm_app import serve_engine
from tts_engine.errors import SpeechUnavailableError
from tts_engine.settings import TtsSettings


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"backend": "vllm"}, r"\[tts\.csm\] engine_socket says where an engine is served"),
        ({"backend": "espeak", "csm": {"engine_socket": "/run/csm.sock"}}, "espeak has no engine to serve"),
    ],
)
async def test_an_engine_that_has_nowhere_to_be_or_is_none_is_not_served(settings: dict[str, object], said: str):
    with pytest.raises(SpeechUnavailableError, match=said):
        await serve_engine(TtsSettings.model_validate(settings), on_ready=lambda _: None)
