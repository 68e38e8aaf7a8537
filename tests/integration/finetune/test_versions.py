"""An export says the same in the versions of `transformers` that people have.

Others than the installed one are folders of `pip install --no-deps --target FOLDER transformers==X` (4.57 wants its
tokenizers and huggingface_hub beside it), named in ZENG_TRANSFORMERS, parted by colons.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.export import write_merged
from tests.unit.finetune.tiny import Base
from tts_engine.model.checkpoint import Checkpoint

ROOT = Path(__file__).parents[3]
OTHERS = [path for path in os.environ.get("ZENG_TRANSFORMERS", "").split(os.pathsep) if path]


@pytest.mark.timeout(300)
def test_an_export_has_the_same_loss_in_every_version(base: Base, tmp_path: Path):
    write_merged(Checkpoint(base.folder), tmp_path / "voice")
    said: dict[str, list[float]] = {}
    for path in ["", *OTHERS]:
        environment = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(Path(__file__).parent / "load_export.py"), str(tmp_path / "voice")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        version, *losses = done.stdout.split()
        said[version] = [float(loss) for loss in losses]
    assert len(said) == 1 + len(OTHERS)
    for losses in said.values():
        assert losses == pytest.approx(next(iter(said.values())), rel=1e-5)
