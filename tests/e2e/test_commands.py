"""The commands as a person types them."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]


def zeng(*arguments: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot.cli", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
    )


def test_help_lists_the_commands_and_an_unknown_one_is_refused_with_them() -> None:
    assert "demo" in zeng("--help").stdout
    refused = zeng("dmeo")
    assert refused.returncode == 2
    assert "no command 'dmeo'" in refused.stderr
    assert "demo" in refused.stderr


def test_chat_holds_the_clinics_conversation_typed() -> None:
    said = zeng("chat", typed="iş saatları\nsağ olun\n")

    assert said.returncode == 0, said.stderr
    assert "süni intellekt" in said.stdout
    assert "tell_hours" in said.stdout
    assert "Sağlam qalın" in said.stdout


def test_doctor_names_what_is_missing_and_the_remedy(tmp_path: Path) -> None:
    found = zeng("doctor", ZENG_MODELS__CACHE_DIR=str(tmp_path), ZENG_SIP__PORT="0", ZENG_WEB__PORT="0")

    assert found.returncode == 1
    assert "zeng models fetch whisper-base" in found.stdout
    assert "zeng[vllm]" in found.stdout


def test_a_wrong_setting_is_named_before_anything_starts() -> None:
    refused = zeng("demo", ZENG_WEB__PORT="many")

    assert refused.returncode == 1
    assert "[web] port" in refused.stderr


def test_every_command_has_help() -> None:
    commands = ("demo", "serve", "chat", "doctor", "flow", "models", "stt", "tts", "finetune", "dial", "loadtest")
    with ThreadPoolExecutor(os.cpu_count()) as side_by_side:
        all_shown = list(side_by_side.map(lambda command: zeng(command, "--help"), commands))
    for command, shown in zip(commands, all_shown, strict=True):
        assert shown.returncode == 0, (command, shown.stderr[-500:])
        assert "Usage" in shown.stdout
