"""Preparing real speech: Silero finds it, and several processes do what one does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from finetune.data.audio import RATE_HZ, read_clip
from finetune.data.manifest import read_manifest
from finetune.data.prepare import prepare
from finetune.data.settings import PrepareSettings
from finetune.data.speech import energy_spans, silero_path, silero_spans
from finetune.evaluation.measures import silence
from tests.gpu.finetune_cure import sentences, write_corpus
from tests.unit.finetune.tiny import Base


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), sentences(4))


def test_silero_and_energy_find_the_same_sentences(corpus: Path):
    path = silero_path()
    assert path is not None
    for file in sorted((corpus / "wavs").iterdir()):
        samples = np.asarray(soundfile.read(file, dtype="float32")[0], np.float32)
        network, level = silero_spans(samples, path), energy_spans(samples)
        assert network[0][0] == pytest.approx(level[0][0], abs=0.2 * RATE_HZ)
        assert network[-1][1] == pytest.approx(level[-1][1], abs=0.3 * RATE_HZ)


def test_two_processes_prepare_what_one_does(corpus: Path, tmp_path: Path, base: Base):
    made = []
    for workers in (1, 2):
        output = tmp_path / f"out{workers}"
        settings = PrepareSettings(corpus=corpus, output=output, codec=str(base.folder), workers=workers)
        prepare(settings, Console(quiet=True))
        made.append(list(read_manifest(output)))
    assert made[0] == made[1]
    for entry in made[0]:
        quiet = silence(read_clip(tmp_path / "out1" / entry.clip.file))
        assert quiet.lead_s < 0.25
        assert quiet.tail_s < 0.4
