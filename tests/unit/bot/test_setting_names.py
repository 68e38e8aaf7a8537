"""Variables that are like settings and are none."""

from __future__ import annotations

import pytest

from bot.setting_names import misspelt, variable_names
from bot.settings import Settings


def test_the_variables_of_nested_sections_are_known_and_an_array_is_one_of_its_own() -> None:
    names = set(variable_names(Settings))

    assert {"ZENG_WEB__PORT", "ZENG_TTS__CSM__DEVICE", "ZENG_SIP__TRUNKS"} <= names
    assert "ZENG_SIP__TRUNKS__NAME" not in names


@pytest.mark.parametrize("variable", ["ZENG_SIP_PORT", "zeng_sip_port", "ZENG_SIPPORT", "ZENG__SIP__PORT"])
def test_a_slip_in_the_underscores_is_told_with_the_right_name(variable: str) -> None:
    assert misspelt({variable: "5099"}, Settings, own=()) == [f"{variable} is no setting: did you mean ZENG_SIP__PORT?"]


@pytest.mark.parametrize("section", Settings.model_fields)
def test_what_kubernetes_tells_of_a_service_named_as_a_section_is_left_alone(section: str) -> None:
    own = f"ZENG_{section.upper()}"
    told = {
        f"{own}_SERVICE_HOST": "10.0.0.1",
        f"{own}_SERVICE_PORT": "8100",
        f"{own}_SERVICE_PORT_HTTP": "8100",
        f"{own}_PORT": "tcp://10.0.0.1:8100",
        f"{own}_PORT_8100_TCP": "tcp://10.0.0.1:8100",
        f"{own}_PORT_8100_TCP_PORT": "8100",
        f"{own}_PORT_8100_TCP_ADDR": "10.0.0.1",
    }

    assert misspelt(told, Settings, own=()) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ZENG_CONFIG", "zeng.toml"),
        ("ZENG_TEST_VOICE", "espeak"),
        ("ZENG_VOICE", "./voice"),  # of compose
        ("ZENG_EDGE_IP", "127.0.0.1"),
        ("ZENG_SECOND_GPU", "1"),
        ("ZENG_GPU_MEMORY", "0.85"),
        ("ZENG_SIP__PORT", "5099"),
        ("ZENG_SIP__PROT", "5099"),  # pydantic refuses it
        ("SIP_PORT", "5099"),
        ("ZENG_TTS_VOICES", "own"),
    ],
)
def test_what_is_no_slip_is_left_alone(variable: str, value: str) -> None:
    assert misspelt({variable: value}, Settings, own={"ZENG_TTS_VOICES"}) == []
