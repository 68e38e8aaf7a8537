"""Preparing real speech: Silero finds it, and several processes do what one does."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from finetune.config import write_settings
from finetune.data.audio import RATE_HZ, read_clip
from finetune.data.clip import Utterance
from finetune.data.manifest import read_manifest
from finetune.data.prepare import prepare
from finetune.data.settings import PrepareSettings
from finetune.data.speech import energy_spans, silero_path, silero_spans
from finetune.data.workers import cleaned
from finetune.errors import CorpusError
from finetune.evaluation.measures import silence
from tests.gpu.finetune_cure import sentences, write_corpus
from tests.unit.finetune.tiny import Base

ROOT = Path(__file__).parents[3]
RECOGNISERS = "tests.integration.finetune.recognisers"


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


@pytest.mark.timeout(120)
def test_ctrl_c_is_the_commands_affair_and_workers_end_when_it_is_killed(corpus: Path, tmp_path: Path, base: Base):
    settings = PrepareSettings(
        corpus=corpus, output=tmp_path / "out", codec=str(base.folder), workers=2,
        filters={"recogniser": f"{RECOGNISERS}:never"},
    )  # fmt: skip
    write_settings(settings, tmp_path / "prepare.yaml")
    os.mkfifo(tmp_path / "pids")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PIDS": str(tmp_path / "pids")}
    command = [sys.executable, "-m", "finetune", "prepare", str(tmp_path / "prepare.yaml")]
    # for writing too, so that it does not end when a worker has written
    with (
        os.fdopen(os.open(tmp_path / "pids", os.O_RDWR), encoding="ascii") as told,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run,
    ):
        ends = {int(told.readline()): -1 for _ in range(2)}
        try:
            ends = {pid: os.pidfd_open(pid) for pid in ends}
            for pid in ends:
                os.kill(pid, signal.SIGINT)
            run.kill()
            for end in ends.values():
                assert select.select([end], [], [], 30)[0], "a worker goes on without its parent"
            assert run.stdout is not None
            assert "Traceback" not in run.stdout.read()
        finally:
            for end in ends.values():
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(end, signal.SIGKILL)
                os.close(end)
    assert len(ends) == 2


def test_a_worker_that_the_system_ends_is_told_of_with_what_to_do(corpus: Path, tmp_path: Path):
    settings = PrepareSettings(
        corpus=corpus, output=tmp_path / "out", codec="none", workers=2, filters={"recogniser": f"{RECOGNISERS}:dies"}
    )
    utterance = Utterance("a", corpus / "wavs/0000.flac", "Sürücü sabah tezdən çörək alır.", "0")
    with pytest.raises(CorpusError, match="set `workers` lower"):
        list(cleaned([utterance], settings))
