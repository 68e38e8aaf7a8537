from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.settings import load_settings
from tests.configuration_page import PAGE, page


def test_the_defaults_are_valid() -> None:
    assert load_settings(None).web.host == "127.0.0.1"


def test_environment_goes_over_file_and_arguments_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text('[web]\nport = 1000\nhost = "0.0.0.0"\n[workers]\ncalls = 3\n')
    monkeypatch.setenv("ZENG_WEB__PORT", "2000")

    settings = load_settings(file, {"workers": {"calls": 4}})

    assert (settings.web.host, settings.web.port, settings.workers.calls) == ("0.0.0.0", 2000, 4)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[web]\nprot = 1\n", "[web] prot: there is no such setting; did you mean port?"),
        ("[web]\nspeed = 1\n", "[web] speed: there is no such setting; docs/configuration.md has all names"),
        ("[web]\nport = 70000\n", "[web] port: must be less than"),
        ("[wbe]\nport = 1\n", "[wbe] there is no such setting; did you mean web?"),
        ("[tts.csm]\ndevise = 'x'\n", "[tts.csm] devise: there is no such setting; did you mean device?"),
        ("web = 1\n", "[web] must be a table"),
        ("[speech]\nurl = '127.0.0.1:8100'\n", "[speech] url: '127.0.0.1:8100' is no URL: begin with http://"),
        ("[recogniser]\nurl = 'gpu/v1'\n", "[recogniser] url: 'gpu/v1' is no URL"),
        ("[llm]\nurl = 'localhost:8000'\n", "[llm] url: 'localhost:8000' is no URL"),
        ("[models]\nhub_url = 'mirror.example'\n", "[models] hub_url: 'mirror.example' is no URL"),
        ("[understanding]\nllm_url = ''\n", "[understanding] llm_url: '' is no URL"),
        ("[redis]\nurl = 'localhost:6379'\n", "[redis] url: 'localhost:6379' is no URL of Redis: begin with redis://"),
        ("[tts]\nredis_url = 'localhost:6379'\n", "[tts] redis_url: 'localhost:6379' is no URL of Redis"),
        ("[recogniser]\nmodel = 'whisper-large'\n", "which runs 'whisper-base'; set [recogniser_server] model"),
        ("[recogniser_server]\ncompute_type = 'int4'\n", "[recogniser_server] compute_type: must be 'default', 'auto'"),
        ("[flow]\noperator = '200'\n", "[flow] operator = '200' is no SIP address: write sip:200@pbx.example"),
        ("[flow]\noperator = 'tel:+99412'\n", "write sip:+99412@pbx.example"),
        ("[flow]\noperator = '200@pbx.az'\n", "write sip:200@pbx.az"),
        ("[flow]\nprivate_hosts = ['http://10.0.0.1:80']\n", "[flow] private_hosts: 'http://10.0.0.1:80' is no host:"),
        (
            "[rtp]\nport_min = 30000\nport_max = 30009\n",
            "has 5 pairs of ports for the 12 places",
        ),
        ("[turns]\nvoice_release = 0.7\n", "[turns] voice_release is above voice_threshold"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text(text)

    with pytest.raises(SettingsError, match=re.escape(named)):
        load_settings(file)


@pytest.mark.parametrize(
    "text",
    [
        "[recogniser]\nmodel = 'whisper-large'\nurl = 'http://gpu:8000/v1'\n",
        "[recogniser]\nlanguage = 'tr'\n[recogniser_server]\nmodel = 'other'\n",
        "[redis]\nurl = 'unix:///run/redis.sock'\n",
        "[flow]\noperator = 'sips:200@[::1]:5061;transport=tls'\nprivate_hosts = ['crm.local:8443', '::1']\n",
        "[rtp]\nport_min = 30000\nport_max = 30009\n[sip]\nenabled = false\n",
        "[rtp]\nport_min = 30000\nport_max = 30047\n[workers]\ncount = 2\n",
    ],
)
def test_what_is_right_is_taken(tmp_path: Path, text: str) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text(text)

    assert load_settings(file).rtp.port_max


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("ZENG_SIP_PORT", "ZENG_SIP_PORT is no setting: did you mean ZENG_SIP__PORT?"),
        ("ZENG_WBE__PORT", "ZENG_WBE__PORT is no setting: did you mean ZENG_WEB__PORT?"),
        ("ZENG_NOWHERE__NAME", "ZENG_NOWHERE__NAME is no setting: there is no such section"),
    ],
)
def test_a_variable_that_is_like_a_setting_is_refused(
    variable: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "5099")

    with pytest.raises(SettingsError, match=re.escape(said)):
        load_settings(None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ZENG_WEB", "{"), ("ZENG_SIP__ALLOWED_SOURCES", "10.0.0.0/8"), ("ZENG_RTP__CODECS", "PCMA")],
)
def test_a_variable_that_is_no_json_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError, match=f"environment: {variable}: .* written as JSON, such as"):
        load_settings(None)


def test_the_variables_of_secrets_are_the_settings_own_affair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text('[web]\napi_token_env = "ZENG_LLM_API_KEY"\n')
    monkeypatch.setenv("ZENG_LLM_API_KEY", "gizli")

    assert load_settings(file).web.api_token_env == "ZENG_LLM_API_KEY"


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "zeng.toml"
    file.write_bytes(b'[flow]\npath = "\xff"\n')

    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load_settings(tmp_path / "none.toml")


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text("[web\n")

    with pytest.raises(SettingsError, match=r"zeng\.toml"):
        load_settings(file)


def test_the_configuration_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.configuration_page`"


def test_trunks_are_an_array_of_tables_and_each_needs_its_servers(tmp_path: Path) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text('[[sip.trunks]]\nname = "pbx"\nservers = ["sip:pbx.example;transport=tls"]\noptions_s = 30\n')
    (trunk,) = load_settings(file).sip.trunks
    assert (trunk.name, trunk.registers, trunk.password_env) == ("pbx", True, "")

    file.write_text('[[sip.trunks]]\nname = "pbx"\n')
    with pytest.raises(SettingsError, match="servers"):
        load_settings(file)


def test_the_page_tells_what_a_setting_may_be_and_what_each_name_is_for() -> None:
    assert '| `csm.dtype` | `null` | `"float32"` or `"bfloat16"`; None: float32 with torch' in page()
    assert '| `codecs` | `["opus", "G722", "PCMU", "PCMA"]` | `"PCMU"`, `"PCMA"`, `"G722"` or `"opus"`; taken' in page()
    assert '| `api_token_env` | `""` | environment variable with the token' in page()
