"""The demonstration voice's stages in miniature: espeak-ng's sentences, a codec, a base and its adaptation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from finetune.budget import Budget
from finetune.codec.model import Codec, write_codec
from finetune.codec.settings import CodecTraining
from finetune.codec.training import train_codec
from finetune.config import RunSettings, parse_settings
from finetune.data.codes import Encoder
from finetune.data.loudness import loudness_lufs
from finetune.data.manifest import read_manifest
from finetune.demo.__main__ import app
from finetune.demo.base import BaseShape, write_base
from finetune.demo.hearing import chosen, hear
from finetune.demo.listening import judged, say
from finetune.demo.packing import pack
from finetune.demo.prepared import write_prepared_corpus, write_recordings
from finetune.demo.sentences import sentences
from finetune.demo.synthesis import RATE_HZ, Corpus, read_corpus, synthesise, write_corpus
from finetune.meter.meter import Meter, MeterConfig
from finetune.training.loop import train
from finetune.voice import Voice
from tests.unit.finetune.codec.small import SHAPE
from tts_engine.model.checkpoint import Checkpoint

SMALL_BASE = BaseShape(
    hidden=64, layers=2, heads=2, kv_heads=1, feed=128,
    depth_hidden=48, depth_layers=1, depth_heads=2, depth_kv_heads=1, depth_feed=96,
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return synthesise(list(sentences({"az": 12, "tr": 12, "en": 8}, 3)), processes=1)


@pytest.fixture(scope="module")
def codec(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    folder, told = tmp_path_factory.mktemp("codec"), list[str]()
    settings = CodecTraining(batch=4, crop_frames=8, warmup_steps=10, check_every_steps=10)
    torch.manual_seed(0)
    made = Codec(SHAPE)
    sound = torch.from_numpy(corpus.training_sound.copy())
    train_codec(made, settings, sound, folder / "run", Budget(steps=50), told.append, lambda: None)
    write_codec(made, folder / "codec")
    return folder / "codec", [float(line.split("mel ")[1].split()[0]) for line in told if " mel " in line]


@pytest.fixture(scope="module")
def base(corpus: Corpus, codec: tuple[Path, list[float]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    indices = [n for n in chosen(corpus, "train") if corpus.sentences[n].language != "az"]
    write_base(folder / "base", codec[0], [corpus.sentences[n].text for n in indices], SMALL_BASE)
    encoder = Encoder(folder / "base", device=torch.device("cpu"))
    write_prepared_corpus(folder / "data", corpus, indices, encoder, validation=3)
    return folder


def test_espeak_says_every_sentence_trimmed_and_levelled(corpus: Corpus) -> None:
    assert len(corpus.sentences) == 12 + 12 + 8 + 9
    for n, row in enumerate(corpus.sentences):
        clip = corpus.clip(n)
        assert 0.2 < len(clip) / RATE_HZ < 0.4 * len(row.text) + 1
        if len(clip) > RATE_HZ:
            assert abs(loudness_lufs(clip) + 23.0) < 1.0


def test_what_is_held_out_is_not_in_the_training_sound(corpus: Corpus) -> None:
    trained = [row.split == "train" for row in corpus.sentences]
    assert len(corpus.training_sound) >= corpus.places[trained, 1].max()
    assert len(corpus.training_sound) <= corpus.places[~np.array(trained), 0].min()


def test_a_corpus_is_read_as_it_was_written(corpus: Corpus, tmp_path: Path) -> None:
    write_corpus(tmp_path, corpus)
    read = read_corpus(tmp_path)
    assert read.sentences == corpus.sentences
    assert np.array_equal(read.clip(3), corpus.clip(3))


def test_fifty_steps_teach_a_codec_something(codec: tuple[Path, list[float]]) -> None:
    mels = codec[1]
    assert mels[-1] < 0.85 * mels[0]


def test_the_meters_measure_source_and_codec_alike(corpus: Corpus) -> None:
    torch.manual_seed(0)
    meter = Meter(MeterConfig(width=16, blocks=2)).eval()
    rates, sounds = hear({"judge": meter}, Codec(SHAPE).eval(), corpus, "az", 2)
    assert [(one.meter, one.clips) for one in rates] == [("judge", 2)]
    assert [len(sound) for _, sound in sounds] == [len(corpus.clip(n)) for n in chosen(corpus, "held_out", "az", 2)]


def test_the_package_trains_its_own_base_and_adapts_it(base: Path) -> None:
    common = {
        "data": base / "data", "precision": "fp32", "checks": {"every_steps": 40, "sentences": 0},
        "batches": {"positions_per_step": 600, "positions_per_batch": 600, "context_share": 0.0},
    }  # fmt: skip
    told: list[str] = []
    full = {"base": str(base / "base"), "output": base / "full", "method": {"type": "full", "learning_rate": 3e-3}}
    train(parse_settings(RunSettings, {**common, **full, "schedule": {"steps": 40}}), told.append)
    losses = [float(line.split("loss ")[1]) for line in told if line.startswith("step")]
    assert losses[-1] < losses[0] - 1.0
    lora = {"base": str(base / "full/last"), "output": base / "lora", "method": {"type": "lora", "rank": 4}}
    train(parse_settings(RunSettings, {**common, **lora, "schedule": {"steps": 2}}), told.append)
    assert (base / "lora/last/adapter_model.safetensors").exists()


def test_a_voice_is_judged_by_what_it_says(base: Path, corpus: Corpus) -> None:
    voice = Voice(base / "base", adapter=None, device=torch.device("cpu"), dtype=torch.float32)
    rows = [corpus.sentences[n] for n in chosen(corpus, "held_out", "tr")]
    heard = say(voice, rows, temperature=0.6, limit_s=0.8)
    torch.manual_seed(0)
    said = judged(heard, Meter(MeterConfig(width=16, blocks=2)).eval(), [1.0] * len(rows), temperature=0.6)
    assert said.sentences == 3
    assert said.duration_ratio <= 0.8
    assert said.error_rate > 0.5


def test_recordings_are_what_prepare_takes(corpus: Corpus, tmp_path: Path) -> None:
    indices = chosen(corpus, "train", "az", 3)
    write_recordings(tmp_path, corpus, indices)
    assert len((tmp_path / "manifest.jsonl").read_text(encoding="utf-8").splitlines()) == 3
    for n in indices:
        samples, rate = soundfile.read(tmp_path / f"wavs/{corpus.sentences[n].id}.wav", dtype="float32")
        assert rate == RATE_HZ
        assert np.allclose(samples, corpus.clip(n), atol=1e-4)


def test_the_base_has_a_row_of_codes_for_every_80_ms(base: Path) -> None:
    entries = list(read_manifest(base / "data"))
    assert sum(entry.split == "validation" for entry in entries) == 3
    assert all(entry.frames == -(-round(entry.clip.seconds * RATE_HZ) // 1920) for entry in entries)


def test_a_packed_voice_is_half_as_large_and_says_the_same(base: Path, tmp_path: Path) -> None:
    size = pack(base / "base", tmp_path / "voice", adapter=None, measured=[{"voice": "base", "CER": 0.9}])
    assert size < 0.6 * sum(file.stat().st_size for file in (base / "base").iterdir())
    whole, packed = (
        Voice(folder, adapter=None, device=torch.device("cpu"), dtype=torch.float32)
        for folder in (base / "base", tmp_path / "voice")
    )
    codes = np.random.default_rng(0).integers(0, SHAPE.codes, (12, SHAPE.codebooks)).astype(np.int16)
    (sound,), small = whole.sound([codes]), packed.sound([codes])
    assert np.abs(sound - small[0]).max() < 0.02 * np.abs(sound).max()
    card = (tmp_path / "voice/README.md").read_text(encoding="utf-8")
    assert "says nothing about CSM-1B's quality" in card
    assert "| base | 0.900 |" in card


def test_a_base_is_whole_again_from_its_own_weights(
    base: Path, codec: tuple[Path, list[float]], tmp_path: Path
) -> None:
    cli = CliRunner()
    assert cli.invoke(app, ["weights", str(base / "base"), str(tmp_path / "base.safetensors")]).exit_code == 0
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base / "base" / name, tmp_path / name)
    arguments = ["whole", str(tmp_path / "whole"), "--result", str(tmp_path), "--codec", str(codec[0])]
    assert cli.invoke(app, arguments).exit_code == 0
    before, after = Checkpoint(base / "base"), Checkpoint(tmp_path / "whole")
    assert set(before.names()) == set(after.names())
    for name in before.names():
        torch.testing.assert_close(after.tensor(name), before.tensor(name), atol=0.01, rtol=0.01)
