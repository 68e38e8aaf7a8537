"""The Triton kernels of the depth decoder and the codec, in Triton's interpreter, in a process that has Triton."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULES = (
    "test_alone_depth",
    "test_depth_kernels",
    "test_fused",
    "test_depth_paths",
    "mimi/test_fused",
    "mimi/test_whole_frame",
)


@pytest.mark.timeout(600)
def test_the_kernels_give_what_plain_pytorch_gives():
    built = subprocess.run([ROOT / "tests/triton_env.sh", "--if-built"], check=False, capture_output=True, text=True)
    if built.returncode == 3:
        pytest.skip("no Triton here: tests/triton_env.sh fetches it once")
    assert built.returncode == 0, built.stderr
    paths = [f"tests/unit/tts_engine/model/{module}.py" for module in MODULES]
    variables = {"TRITON_INTERPRET": "1", "PYTHONPATH": built.stdout.strip(), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=300", *paths],
        cwd=ROOT, env={**os.environ, **variables}, check=False, capture_output=True, text=True, timeout=550,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert "skipped" not in ran.stdout, ran.stdout
