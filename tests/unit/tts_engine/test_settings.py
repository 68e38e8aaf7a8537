from __future__ import annotations

import pytest
from pydantic import ValidationError

from tts_engine.settings import EspeakSettings, TtsSettings, load_tts_settings


def test_the_voice_without_weights_is_the_default() -> None:
    assert TtsSettings().backend == "espeak"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"espeak\.wpm"):
        TtsSettings.model_validate({"espeak": {"wpm": 150}})


def test_a_backend_that_is_not_there_is_refused_with_the_list() -> None:
    with pytest.raises(ValidationError, match="'espeak', 'torch' or 'vllm'"):
        TtsSettings.model_validate({"backend": "festival"})


def test_more_candidates_than_an_engine_keeps_are_refused_before_it_starts() -> None:
    assert TtsSettings.model_validate({"csm": {"top_k": 64}}).csm.top_k == 64
    with pytest.raises(ValidationError, match=r"csm\.top_k"):
        TtsSettings.model_validate({"csm": {"top_k": 65}})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TtsSettings().port = 1  # type: ignore[misc]  # that is the test


def test_the_environment_goes_over_the_file_and_arguments_over_both(tmp_path, monkeypatch) -> None:
    config = tmp_path / "zeng.toml"
    config.write_text("[sip]\nport = 5070\n[tts]\nport = 1111\nmax_streams = 7\n[tts.espeak]\npitch = 40\n")
    monkeypatch.setenv("ZENG_TTS__PORT", "2222")
    monkeypatch.setenv("ZENG_TTS__ESPEAK__PROCESSES", "3")

    settings = load_tts_settings(config, {"host": "127.0.0.2"})

    assert (settings.host, settings.port, settings.max_streams) == ("127.0.0.2", 2222, 7)
    assert settings.espeak == EspeakSettings(pitch=40, processes=3)
    assert load_tts_settings(config, {"port": 3333}).port == 3333
    assert load_tts_settings(None).port == 2222


def test_what_is_wrong_in_the_file_is_named(tmp_path) -> None:
    config = tmp_path / "zeng.toml"
    config.write_text("[tts]\nprot = 1111\n")

    with pytest.raises(ValueError, match=r"tts\.prot: Extra inputs"):
        load_tts_settings(config)
    with pytest.raises(ValueError, match="no settings file"):
        load_tts_settings(tmp_path / "other.toml")
