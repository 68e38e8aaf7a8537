from __future__ import annotations

import pytest
from pipecat.services.stt_service import STTService

from bot.errors import SettingsError
from bot.recognition.settings import RecogniserSettings
from bot.services.pipecat_stt import pipecat_service


def test_without_a_name_there_is_none() -> None:
    assert pipecat_service(RecogniserSettings()) is None


def test_a_service_is_made_with_its_arguments() -> None:
    settings = RecogniserSettings(
        pipecat="pipecat.services.openai.stt:OpenAISTTService",
        pipecat_arguments={"api_key": "k", "base_url": "http://127.0.0.1:1/v1"},
    )

    make = pipecat_service(settings)

    assert make is not None
    assert isinstance(make(), STTService)


@pytest.mark.parametrize("name", ["nothing", "no.such.module:Service", "json:JSONDecoder", "json:nothing"])
def test_what_is_no_service_is_refused_by_its_setting(name: str) -> None:
    with pytest.raises(SettingsError, match=r"\[recogniser\] pipecat"):
        pipecat_service(RecogniserSettings(pipecat=name))
