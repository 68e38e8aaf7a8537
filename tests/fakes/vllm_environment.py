"""The environment that tests/vllm_env.sh builds, with the plugin found as it is when installed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENTRY_POINT = "[vllm.general_plugins]\nzeng_csm = tts_engine.backend.vllm_plugin:register\n"


def vllm_python() -> str:
    """Its interpreter. Skips where it is not built: `make test` builds it, a bare pytest does not."""
    built = subprocess.run([ROOT / "tests/vllm_env.sh", "--if-built"], check=False, capture_output=True, text=True)
    if built.returncode == 3:
        pytest.skip("no vLLM here: tests/vllm_env.sh builds its environment once")
    assert built.returncode == 0, built.stderr
    return built.stdout.strip()


def vllm_variables(plugins: Path, more: Mapping[str, str]) -> dict[str, str]:
    """What a process in it is started with; `plugins` is an empty folder."""
    info = plugins / "zeng_csm-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zeng-csm\nVersion: 0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINT)
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",  # with more, on a busy machine, the same run took twenty times as long
        "VLLM_PLUGINS": "zeng_csm",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "PYTHONPATH": f"{ROOT}:{plugins}",
        **more,
    }


def run_in_vllm(
    script: Path,
    arguments: Sequence[str | Path],
    *,
    plugins: Path,
    environment: Mapping[str, str],
) -> None:
    """Run a script to its end; fails with what it wrote."""
    ran = subprocess.run(
        [vllm_python(), script, *arguments],
        env=vllm_variables(plugins, environment),
        check=False,
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-6000:]
