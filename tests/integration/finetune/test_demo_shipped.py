"""The demonstration's own recipe in fifty steps and, once it is packed, the voice that ships."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch

from finetune.config import RunSettings, read_settings
from finetune.data.codes import Encoder
from finetune.demo.base import BaseShape, write_base
from finetune.demo.hearing import base_clips, chosen
from finetune.demo.listening import judged, say
from finetune.demo.prepared import write_prepared_corpus
from finetune.demo.sentences import sentences
from finetune.demo.showing import write_samples
from finetune.demo.synthesis import RATE_HZ, Corpus, synthesise
from finetune.meter.meter import read_meter
from finetune.training.loop import train
from finetune.voice import Voice
from tts_engine.shipped import shipped_voice

ROOT = Path(__file__).parents[3]
WEIGHTS = ROOT / "finetune/demo/weights"


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return synthesise(list(sentences({"az": 14, "tr": 14}, 20, seed=5)), processes=1)


def test_fifty_steps_of_the_demonstration_s_lora_lower_the_loss(corpus: Corpus, tmp_path: Path) -> None:
    """By its own recipe, on what its own codec makes of sentences; the base is small and has learnt nothing."""
    shape = BaseShape(
        hidden=64, layers=2, heads=2, kv_heads=1, feed=128,
        depth_hidden=48, depth_layers=1, depth_heads=2, depth_kv_heads=1, depth_feed=96,
    )  # fmt: skip
    write_base(tmp_path / "base", WEIGHTS / "codec", [corpus.sentences[n].text for n in base_clips(corpus)], shape)
    encoder = Encoder(tmp_path / "base", device=torch.device("cpu"))
    write_prepared_corpus(tmp_path / "az", corpus, chosen(corpus, "train", "az"), encoder, validation=3, batch_s=20.0)
    changes = [
        f"base={tmp_path}/base", f"data={tmp_path}/az", f"output={tmp_path}/run", "precision=fp32", "schedule.steps=50",
        "checks.every_steps=50", "checks.sentences=0", "batches.positions_per_step=400", "batches.context_share=0",
    ]  # fmt: skip
    told: list[str] = []
    train(read_settings(RunSettings, ROOT / "finetune/recipes/demo_voice.yaml", changes), told.append)
    losses = [float(line.split("loss ")[1]) for line in told if line.startswith("step")]
    assert fmean(losses[-5:]) < fmean(losses[:5]) - 0.5


def test_sentences_of_the_voice_that_ships_end_and_are_understood(corpus: Corpus, tmp_path: Path) -> None:
    voice = shipped_voice()
    assert voice is not None, "finetune/demo/weights/voice is not there, or its gate2.json does not say that it held"
    opened = Voice(voice.folder, adapter=None, device=torch.device("cpu"), dtype=torch.float32)
    taught = [n for n in chosen(corpus, "held_out", "az") if corpus.sentences[n].speaker in {0, 1}]
    indices = taught[:10]  # twice as many, for chance has less of a say
    rows = [corpus.sentences[n] for n in indices]
    heard = say(opened, rows, temperature=voice.temperature, limit_s=12.0)
    source_s = [float(np.ptp(corpus.places[n])) / RATE_HZ for n in indices]
    said = judged(heard, read_meter(WEIGHTS / "judge.safetensors"), source_s, temperature=voice.temperature)
    assert said.stop_rate == 1.0
    assert said.error_rate <= 0.3
    assert 0.5 < said.duration_ratio < 2.0
    page = write_samples(tmp_path / "samples", heard, read_meter(WEIGHTS / "judge.safetensors"))
    assert page.count("said-") == 2 * len(rows)
