from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from finetune.budget import Budget
from finetune.meter.meter import Meter, MeterConfig, read_meter, steps, write_meter
from finetune.meter.training import Spoken, measured, train_meter

SMALL = MeterConfig(bands=32, width=48, blocks=3, kernel=5)


def _alphabet_of_tones(words: list[str]) -> Spoken:
    """A language of three letters, each a tone of 120 ms; a fast way to something that can be read."""
    pitch, time = {"a": 300.0, "b": 900.0, "c": 2400.0}, np.arange(2880) / 24_000
    fade = np.minimum(1.0, np.minimum(np.arange(2880), np.arange(2880)[::-1]) / 240)
    sounds = [np.concatenate([np.sin(2 * np.pi * pitch[c] * time) * fade for c in word]) for word in words]
    places = np.cumsum([0, *(len(sound) for sound in sounds)])
    flat = torch.from_numpy((np.concatenate(sounds) * 16_000).astype(np.int16))
    return Spoken(flat, np.stack((places[:-1], places[1:]), 1), words)


def _words(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abc"), rng.integers(3, 8))) for _ in range(count)]


def test_it_learns_to_read_words_that_it_never_met() -> None:
    trained, unmet = _words(60, seed=0), _words(20, seed=1)
    unmet = [word for word in unmet if word not in trained]
    meter = train_meter(SMALL, _alphabet_of_tones(trained), Budget(steps=150), lambda _: None, batch_s=12.0)
    assert measured(meter, _alphabet_of_tones(unmet)) < 0.1


def test_it_has_under_a_million_parameters() -> None:
    assert sum(parameter.numel() for parameter in Meter(MeterConfig()).parameters()) < 1_000_000


def test_it_reads_the_same_once_it_was_written(tmp_path: Path) -> None:
    meter = Meter(SMALL).eval()
    write_meter(meter, tmp_path / "meter.safetensors")
    again = read_meter(tmp_path / "meter.safetensors")
    sound = np.random.default_rng(0).standard_normal(24_000).astype(np.float32) * 0.1
    assert again.read(sound) == meter.read(sound)
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_it_gives_as_many_classes_as_it_says() -> None:
    meter = Meter(SMALL).eval()
    for samples in (1024, 5000, 24_000, 24_479):
        assert meter(meter.ear(torch.zeros(1, samples))).shape[1] == steps(samples)


def test_a_clip_that_is_too_short_says_nothing() -> None:
    assert Meter(SMALL).eval().read(np.zeros(500, np.float32)) == ""
