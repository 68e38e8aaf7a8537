from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.tiny_csm import write_tiny_csm
from tts_engine import csm_app
from tts_engine.csm_app import csm_backend, serve_engine
from tts_engine.errors import SpeechUnavailableError
from tts_engine.settings import CsmSettings, TtsSettings


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"backend": "vllm"}, r"\[tts\.csm\] engine_socket says where an engine is served"),
        ({"backend": "espeak", "csm": {"engine_socket": "/run/csm.sock"}}, "espeak has no engine to serve"),
        (
            {"backend": "vllm", "csm": {"engine_socket": "/run/csm.sock", "model": "/nowhere"}},
            "engine 'vllm' cannot be made: /nowhere is neither a folder",
        ),
    ],
)
async def test_an_engine_that_has_nowhere_to_be_or_is_none_is_not_served(settings: dict[str, object], said: str):
    with pytest.raises(SpeechUnavailableError, match=said):
        await serve_engine(TtsSettings.model_validate(settings), on_ready=lambda _: None)


def test_the_hub_is_asked_once_for_all_that_reads_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    folder = write_tiny_csm(tmp_path)

    def resolve(model: str) -> Path:
        asked.append(model)
        return folder

    monkeypatch.setattr(csm_app, "resolve", resolve)
    for socket in (None, Path("/run/csm.sock")):
        csm = CsmSettings(model="sesame/csm-1b", positions=512, engine_socket=socket)
        assert csm_backend(csm, "torch").description.model == folder.name
    assert asked == ["sesame/csm-1b"] * 2
